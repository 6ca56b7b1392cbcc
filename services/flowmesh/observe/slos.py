"""Service level objectives of workflows, computed from the counts of executions."""

from typing import TYPE_CHECKING, Final

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid, Violation
from flowmesh.observe.limits import WINDOW_S_DEFAULT, WINDOW_S_MAX

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub

HOUR_S: Final = 3_600
_ENDED: Final = ("completed", "failed")
SLOWER_MS_MAX: Final = 366 * 86_400_000


class Slos:
    """Counts executions that started in the window."""

    def __init__(
        self, *, searches: "SearchServiceAsyncStub", definitions: "DefinitionServiceAsyncStub"
    ) -> None:
        self._searches = searches
        self._definitions = definitions

    async def state(self, namespace: str, request: pb.GetSloRequest) -> pb.Slo:
        """Return the state of an objective. Raises REQUEST_INVALID, WORKFLOW_NOT_FOUND."""
        await self._definitions.GetWorkflow(
            definition_pb.GetWorkflowRequest(namespace=namespace, workflow_id=request.workflow_id)
        )
        window_s = request.window_s or WINDOW_S_DEFAULT
        if not 0 < request.target < 100:
            _refuse("target", "must be above 0 and below 100 percent")
        if not HOUR_S <= window_s <= WINDOW_S_MAX:
            _refuse("window_s", f"must be from {HOUR_S:,} to {WINDOW_S_MAX:,}")
        if not 0 <= request.slower_than_ms <= SLOWER_MS_MAX:
            _refuse("slower_than_ms", f"must be from 0 to {SLOWER_MS_MAX:,}")
        good, bad = await self._counts(namespace, request, window_s)
        hour = await self._counts(namespace, request, HOUR_S)
        burned = burn_rate(good, bad, request.target)
        return pb.Slo(
            workflow_id=request.workflow_id,
            target=request.target,
            window_s=window_s,
            slower_than_ms=request.slower_than_ms,
            good=good,
            bad=bad,
            reached=100 * good / (good + bad) if good + bad else 100,
            budget_left=1 - burned,
            burn_rate_hour=burn_rate(*hour, request.target),
            burn_rate=burned,
        )

    async def _counts(
        self, namespace: str, request: pb.GetSloRequest, seconds: int
    ) -> tuple[int, int]:
        """Return the number of good and of bad executions."""
        since = f'workflow = "{request.workflow_id}" AND started >= "-{seconds}s"'
        ended = await self._grouped(namespace, f"{since} AND status IN (completed, failed)")
        good, bad = ended.get("completed", 0), ended.get("failed", 0)
        if request.slower_than_ms and good:
            slow = f'{since} AND status = completed AND duration > "{request.slower_than_ms:.0f}ms"'
            late = (await self._grouped(namespace, slow)).get("completed", 0)
            good, bad = good - late, bad + late
        return good, bad

    async def _grouped(self, namespace: str, text: str) -> dict[str, int]:
        counted = await self._searches.CountExecutions(
            search_pb.CountExecutionsRequest(namespace=namespace, filter=text, group_by=["status"])
        )
        return {each.values[0]: each.count for each in counted.groups if each.values[0] in _ENDED}


def burn_rate(good: int, bad: int, target: float) -> float:
    """Return the share of bad ones divided by the allowed share."""
    return bad / (good + bad) / (1 - target / 100) if bad else 0.0


def _refuse(field: str, problem: str) -> None:
    raise Invalid(
        "REQUEST_INVALID",
        f"{field} {problem}",
        violations=(Violation(field, problem, "REQUEST_INVALID"),),
    )
