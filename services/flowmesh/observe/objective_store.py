"""Rows of stored objectives."""

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowmesh.access.audited import audited_call
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import NotFound, WrongState
from flowmesh.observe.limits import OBJECTIVES_MAX
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

STATE_US: Final = 60_000_000
"""Age from which a state is computed again."""

CLAIMED_MAX: Final = 20


class Claimed(NamedTuple):
    """An objective whose state this process computes."""

    namespace: str
    workflow: str
    body: bytes
    burning: bool


class ObjectiveStore:
    """The objectives of workflows; at most one for each."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", *, call: Callable[[], str] = audited_call
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.observe").joinpath("sql"), call=call)

    async def put(self, namespace: str, slo: pb.Slo) -> None:
        """Store an objective. Raises SLOS_FULL."""
        stored = await self._sql.set_objective(
            self._pool,
            namespace=namespace,
            workflow=slo.workflow_id,
            body=slo.SerializeToString(),
            most=OBJECTIVES_MAX,
        )
        if not stored:
            raise WrongState("SLOS_FULL", f"the namespace has {OBJECTIVES_MAX} objectives")

    async def delete(self, namespace: str, workflow: str) -> None:
        """Delete an objective. Raises SLO_NOT_FOUND."""
        if not await self._sql.delete_objective(self._pool, namespace=namespace, workflow=workflow):
            raise _missing(workflow)

    async def get(self, namespace: str, workflow: str) -> pb.Slo:
        """Return an objective with its last state. Raises SLO_NOT_FOUND."""
        body = await self._sql.objective(self._pool, namespace=namespace, workflow=workflow)
        if body is None:
            raise _missing(workflow)
        return pb.Slo.FromString(body)

    async def listed(self, namespace: str) -> list[pb.Slo]:
        """Return the objectives of a namespace by workflow."""
        rows = self._sql.objectives(self._pool, namespace=namespace)
        return [pb.Slo.FromString(row["body"]) async for row in rows]

    async def claim(self, now_us: int) -> list[Claimed]:
        """Return objectives with an old state, which no other process computes now."""
        rows = self._sql.claim_objectives(
            self._pool, now_us=now_us, before_us=now_us - STATE_US, most=CLAIMED_MAX
        )
        return [Claimed._make(row) async for row in rows]

    async def set_state(self, claimed: Claimed, slo: pb.Slo, now_us: int) -> None:
        await self._sql.set_objective_state(
            self._pool,
            namespace=claimed.namespace,
            workflow=claimed.workflow,
            body=slo.SerializeToString(),
            burning=slo.burning,
            now_us=now_us,
        )


def _missing(workflow: str) -> NotFound:
    return NotFound("SLO_NOT_FOUND", f"workflow {workflow!r} has no stored objective")
