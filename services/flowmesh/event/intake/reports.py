"""Reports of stored positions to all orchestrators, which then delete outbox rows."""

from collections.abc import Callable
from typing import Final

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2_grpc
from flowmesh.errors import FlowmeshError
from flowmesh.event.intake.buffer import IntakeBuffer
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Loop, Runtime

ORCHESTRATOR: Final = "orchestrator"


class OrchestratorWatchLoop(Loop):
    """Tracks the addresses of the orchestrators."""

    interval_ms = 500

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._addresses: tuple[str, ...] = ()

    async def run_once(self) -> None:
        """Follow the registry until its stream ends."""
        async for endpoints in self._runtime.instances(ORCHESTRATOR):
            self._addresses = tuple(endpoint.address for endpoint in endpoints)

    def outboxes(self) -> list["history_service_pb2_grpc.OutboxServiceAsyncStub"]:
        return [
            self._runtime.stub_at(history_service_pb2_grpc.OutboxServiceStub, address)
            for address in self._addresses
        ]


class ReportLoop(Loop):
    """Reports stored positions at most once a second, and only changed ones."""

    interval_ms = 1_000

    def __init__(
        self,
        *,
        buffer: IntakeBuffer,
        outboxes: Callable[[], list["history_service_pb2_grpc.OutboxServiceAsyncStub"]],
    ) -> None:
        self._buffer = buffer
        self._outboxes = outboxes

    async def run_once(self) -> int:
        """Wait for positions to report and send them. Return the number of successful reports.

        Each orchestrator gets the report: the owner deletes the rows of its own incarnation, others
        those of ended incarnations. The report is repeated to all until all have received it.
        """
        await self._buffer.reportable.wait()
        outboxes = self._outboxes()
        if not outboxes:
            return 0
        self._buffer.reportable.clear()
        moved, self._buffer.unreported = self._buffer.unreported, {}
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
            self._buffer.unreported = moved | self._buffer.unreported
            self._buffer.reportable.set()
        return heard
