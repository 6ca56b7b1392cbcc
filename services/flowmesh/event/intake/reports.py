"""Tells every orchestrator up to where the events are stored, so that outboxes can be emptied."""

from collections.abc import Callable
from typing import Final

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2_grpc
from flowmesh.errors import FlowmeshError
from flowmesh.event.intake.buffer import Keeper
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Loop, Runtime

ORCHESTRATOR: Final = "orchestrator"


class Orchestrators(Loop):
    """The addresses of the orchestrators, as they come and go."""

    interval_ms = 500

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._addresses: tuple[str, ...] = ()

    async def run_once(self) -> None:
        """Follows the registry until that ends."""
        async for endpoints in self._runtime.instances(ORCHESTRATOR):
            self._addresses = tuple(endpoint.address for endpoint in endpoints)

    def outboxes(self) -> list["history_service_pb2_grpc.OutboxServiceAsyncStub"]:
        return [
            self._runtime.stub_at(history_service_pb2_grpc.OutboxServiceStub, address)
            for address in self._addresses
        ]


class ReportLoop(Loop):
    """Reports stored positions, at most once a second and only when some moved."""

    interval_ms = 1_000

    def __init__(
        self,
        *,
        keeper: Keeper,
        outboxes: Callable[[], list["history_service_pb2_grpc.OutboxServiceAsyncStub"]],
    ) -> None:
        self._keeper = keeper
        self._outboxes = outboxes

    async def run_once(self) -> int:
        """Waits until there is something to say, says it; returns how many heard it.

        Every orchestrator is told: the owner deletes the rows of its own incarnation, any other
        those of incarnations that are gone. All are told again while one of them does not answer.
        """
        await self._keeper.reportable.wait()
        outboxes = self._outboxes()
        if not outboxes:
            return 0
        self._keeper.reportable.clear()
        moved, self._keeper.unreported = self._keeper.unreported, {}
        positions = [pb.Position(incarnation=i, position=p) for i, p in moved.items()]
        heard = 0
        for outbox in outboxes:
            try:
                await outbox.ReportPositions(pb.ReportPositionsRequest(positions=positions))
                heard += 1
            except FlowmeshError:
                continue
        failpoint("event.reported")
        if heard < len(outboxes):
            self._keeper.unreported = moved | self._keeper.unreported
            self._keeper.reportable.set()
        return heard
