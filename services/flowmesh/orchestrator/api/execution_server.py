"""Translates messages about executions, payloads, partitions and histories; contains no logic."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_service_pb2 as history
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_grpc
from flowmesh.errors import NotFound
from flowmesh.orchestrator.api.session import Sessions
from flowmesh.orchestrator.api.session_stream import answers
from flowmesh.orchestrator.commit.piggyback import PiggybackWrites
from flowmesh.orchestrator.insight.ended_items import EndedItems
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.cluster_stats import ClusterStats
from flowmesh.orchestrator.operations.deliveries import Deliveries
from flowmesh.orchestrator.operations.executions import Executions
from flowmesh.orchestrator.operations.outcomes import Outcomes
from flowmesh.orchestrator.ownership.lease_keeper import LeaseKeeper
from flowmesh.orchestrator.ownership.peers import was_forwarded
from flowmesh.orchestrator.search.listing import Listing
from flowmesh.orchestrator.signals.keyed_signals import KeyedSignals
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.histories import Histories
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.orchestrator.storage.payloads import CHUNK_BYTES, Payloads
from flowmesh.orchestrator.storage.stores.outbox_store import OutboxStore
from flowmesh.rpc import check_enum_values, namespace_of

OUTBOX_POSITIONS_DEFAULT = 100
OUTBOX_POSITIONS_MAX = 1_000


class ExecutionServer(pb_grpc.ExecutionServiceServicer):
    """Starts, reads and changes executions."""

    def __init__(
        self,
        *,
        executions: Executions,
        outcomes: Outcomes,
        changes: ExecutionChanges,
        keyed_signals: KeyedSignals,
        ended_items: EndedItems,
        listing: Listing,
        stats: ClusterStats,
        sessions: Sessions,
    ) -> None:
        self._executions = executions
        self._outcomes = outcomes
        self._changes = changes
        self._keyed_signals = keyed_signals
        self._ended_items = ended_items
        self._listing = listing
        self._stats = stats
        self._sessions = sessions

    async def StartExecution(
        self, request: pb.StartExecutionRequest, context: Any
    ) -> pb.StartExecutionResponse:
        return await self._executions.start(request, forwarded=was_forwarded(context))

    async def GetExecution(
        self, request: pb.GetExecutionRequest, context: Any
    ) -> pb.GetExecutionResponse:
        execution = await self._executions.get(namespace_of(request), request.execution_id)
        truncated = False
        if request.node:
            await self._ended_items.keep_one(execution, request.node)
        elif request.ended_items:
            truncated = await self._ended_items.add(execution)
        return pb.GetExecutionResponse(execution=execution, truncated=truncated)

    async def ListExecutions(
        self, request: pb.ListExecutionsRequest, context: Any
    ) -> pb.ListExecutionsResponse:
        return await self._listing.list(request)

    async def WaitExecution(
        self, request: pb.WaitExecutionRequest, context: Any
    ) -> pb.WaitExecutionResponse:
        return await self._outcomes.wait(request, forwarded=was_forwarded(context))

    async def CancelExecution(
        self, request: pb.CancelExecutionRequest, context: Any
    ) -> pb.CancelExecutionResponse:
        await self._changes.cancel(request, forwarded=was_forwarded(context))
        return pb.CancelExecutionResponse()

    async def PauseExecution(
        self, request: pb.PauseExecutionRequest, context: Any
    ) -> pb.PauseExecutionResponse:
        await self._changes.pause(request, forwarded=was_forwarded(context))
        return pb.PauseExecutionResponse()

    async def ResumeExecution(
        self, request: pb.ResumeExecutionRequest, context: Any
    ) -> pb.ResumeExecutionResponse:
        await self._changes.resume(request, forwarded=was_forwarded(context))
        return pb.ResumeExecutionResponse()

    async def TerminateExecution(
        self, request: pb.TerminateExecutionRequest, context: Any
    ) -> pb.TerminateExecutionResponse:
        await self._changes.terminate(request, forwarded=was_forwarded(context))
        return pb.TerminateExecutionResponse()

    async def SignalExecution(
        self, request: pb.SignalExecutionRequest, context: Any
    ) -> pb.SignalExecutionResponse:
        return await self._changes.signal(request, forwarded=was_forwarded(context))

    async def SignalByKey(
        self, request: pb.SignalByKeyRequest, context: Any
    ) -> pb.SignalByKeyResponse:
        return await self._keyed_signals.send(request)

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        return await self._stats.get(request, forwarded=was_forwarded(context))

    async def Session(
        self, request_iterator: AsyncIterator[pb.SessionRequest], context: Any
    ) -> AsyncIterator[pb.SessionResponse]:
        session = self._sessions.open(forwarded=was_forwarded(context))
        # An empty response confirms that the stream is open: the first result may be hours away.
        yield pb.SessionResponse()
        async for response in answers(session, request_iterator):
            yield response


class PayloadServer(pb_grpc.PayloadServiceServicer):
    """Stores and reads large payloads."""

    def __init__(self, *, payloads: Payloads) -> None:
        self._payloads = payloads

    async def PutPayload(
        self, request_iterator: AsyncIterator[pb.PutPayloadRequest], context: Any
    ) -> pb.PutPayloadResponse:
        return pb.PutPayloadResponse(payload=await self._payloads.receive(request_iterator))

    async def GetPayload(
        self, request: pb.GetPayloadRequest, context: Any
    ) -> AsyncIterator[pb.GetPayloadResponse]:
        encoding, data = await self._payloads.get(namespace_of(request), request.digest)
        for start in range(0, max(len(data), 1), CHUNK_BYTES):
            yield pb.GetPayloadResponse(encoding=encoding, chunk=data[start : start + CHUNK_BYTES])

    async def RenewPayloads(
        self, request: pb.RenewPayloadsRequest, context: Any
    ) -> pb.RenewPayloadsResponse:
        missing = await self._payloads.renew(namespace_of(request), request.digests)
        return pb.RenewPayloadsResponse(missing=missing)


class PartitionServer(pb_grpc.PartitionServiceServicer):
    """Messages and hand-over of partitions between orchestrators."""

    def __init__(self, *, keeper: LeaseKeeper, deliveries: Deliveries) -> None:
        self._keeper = keeper
        self._deliveries = deliveries

    async def DeliverMessage(
        self, request: pb.DeliverMessageRequest, context: Any
    ) -> pb.DeliverMessageResponse:
        deliveries, message = self._deliveries, request.message
        if message.HasField("join"):
            await deliveries.join(message, forwarded=True)
            return pb.DeliverMessageResponse()
        status = message.outcome.status
        check_enum_values([status], execution_pb2.ExecutionStatus, "message.outcome.status")
        await deliveries.outcome(message, forwarded=True)
        return pb.DeliverMessageResponse()

    async def ReceivePartitions(
        self, request: pb.ReceivePartitionsRequest, context: Any
    ) -> pb.ReceivePartitionsResponse:
        await self._keeper.receive()
        return pb.ReceivePartitionsResponse()


class HistoryServer(history_grpc.HistoryServiceServicer):
    """Histories of executions."""

    def __init__(self, *, histories: Histories, archiving: Archiving) -> None:
        self._histories = histories
        self._archiving = archiving

    async def ListHistoryEvents(
        self, request: history.ListHistoryEventsRequest, context: Any
    ) -> history.ListHistoryEventsResponse:
        try:
            return await self._histories.page(request)
        except NotFound:
            found = await self._archiving.history(request, namespace_of(request))
            if found is None:
                raise
            return found


class OutboxServer(history_grpc.OutboxServiceServicer):
    """The outbox of every incarnation."""

    def __init__(self, *, store: OutboxStore, outbox: Outbox, piggyback: PiggybackWrites) -> None:
        self._store = store
        self._outbox = outbox
        self._piggyback = piggyback

    async def ReadOutbox(
        self, request: history.ReadOutboxRequest, context: Any
    ) -> history.ReadOutboxResponse:
        size = min(request.position_count_max or OUTBOX_POSITIONS_DEFAULT, OUTBOX_POSITIONS_MAX)
        # Read the position first: a later commit is returned by the next call.
        last = await self._store.last_position(request.incarnation)
        batches = await self._outbox.read(request.incarnation, request.after, size)
        return history.ReadOutboxResponse(batches=batches, last_position=last or 0)

    async def ReportPositions(
        self, request: history.ReportPositionsRequest, context: Any
    ) -> history.ReportPositionsResponse:
        for position in request.positions:
            self._piggyback.mark_served(position.incarnation, position.position)
        return history.ReportPositionsResponse()
