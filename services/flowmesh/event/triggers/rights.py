"""The rights of triggers in a closed installation.

A firing runs as `trigger:<id>` with the permissions that the principal who applied the workflow
has at that moment, and never with more.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from flowmesh.access import Principal, rule_of
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import Forbidden, NotFound, Unauthenticated
from flowmesh.event.triggers.store import Firing, TriggerStore

START: Final = "/flowmesh.api.execution.v1.ExecutionService/StartExecution"


class Rights:
    """Checks the starts of triggers."""

    def __init__(
        self, *, store: TriggerStore, principal: Callable[[str], Awaitable[Principal]]
    ) -> None:
        self._store = store
        self._principal = principal
        rule = rule_of(START)
        assert rule is not None
        self._rule = rule

    async def check(self, firing: Firing, request: pb.StartExecutionRequest) -> None:
        """Set the permissions of a start; raise TRIGGER_NOT_PERMITTED without the right to it."""
        applied_by = await self._store.applied_by(firing)
        if not applied_by:
            raise _refused("the workflow was applied while the installation was open")
        try:
            principal = await self._principal(applied_by)
            self._rule.check(principal, request)
        except Unauthenticated:
            raise _refused("the principal that applied the workflow is gone") from None
        except (Forbidden, NotFound):
            text = "the principal that applied the workflow has lost its role"
            raise _refused(text) from None
        request.permissions[:] = principal.permissions


def _refused(problem: str) -> Forbidden:
    text = f"{problem}; an editor of the project may apply it again"
    return Forbidden("TRIGGER_NOT_PERMITTED", text)
