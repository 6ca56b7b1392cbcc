"""Turns messages into calls on the orchestrator and back; decides nothing."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_service_pb2 as history
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_grpc
from flowmesh.errors import NotFound
from flowmesh.orchestrator.api.session import Session
from flowmesh.orchestrator.api.session_stream import answers
from flowmesh.orchestrator.insight.ended_items import EndedItems
from flowmesh.orchestrator.insight.subjects import Subjects
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.operations.cluster_stats import stats_of_all
from flowmesh.orchestrator.operations.executions import Executions
from flowmesh.orchestrator.operations.keyed_signals import KeyedSignals
from flowmesh.orchestrator.owner import Orchestrator
from flowmesh.orchestrator.ownership.peers import was_forwarded
from flowmesh.orchestrator.search.listing import Listing
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.histories import Histories
from flowmesh.orchestrator.storage.payloads import CHUNK_BYTES
from flowmesh.rpc import known_choices, namespace_of

OUTBOX_POSITIONS_DEFAULT = 100
OUTBOX_POSITIONS_MAX = 1_000


class ExecutionServer(pb_grpc.ExecutionServiceServicer):
    """Starts, shows and changes executions."""

    def __init__(
        self,
        *,
        executions: Executions,
        listing: Listing,
        archiving: Archiving,
        core: Orchestrator,
    ) -> None:
        self._executions = executions
        self._archiving = archiving
        self._listing = listing
        self._core = core
        self._ended_items = EndedItems(Subjects(core, archiving))
        self._keyed_signals = KeyedSignals(
            executions=executions, payloads=core.payloads, store=core.store
        )

    async def StartExecution(
        self, request: pb.StartExecutionRequest, context: Any
    ) -> pb.StartExecutionResponse:
        return await self._executions.start(request, forwarded=was_forwarded(context))

    async def GetExecution(
        self, request: pb.GetExecutionRequest, context: Any
    ) -> pb.GetExecutionResponse:
        execution, truncated = await self._execution(request), False
        if request.node:
            await self._ended_items.keep_one(execution, request.node)
        elif request.ended_items:
            truncated = await self._ended_items.add(execution)
        return pb.GetExecutionResponse(execution=execution, truncated=truncated)

    async def _execution(self, request: pb.GetExecutionRequest) -> execution_pb2.Execution:
        namespace, execution_id = namespace_of(request), request.execution_id
        try:
            state = await self._executions.state(namespace, execution_id)
        except NotFound:
            found = await self._archiving.execution(namespace, execution_id)
            if found is None:
                raise
            return found
        execution = execution_message(state)
        execution.continued_as = await self._executions.deliveries.continued_as(state)
        return execution

    async def ListExecutions(
        self, request: pb.ListExecutionsRequest, context: Any
    ) -> pb.ListExecutionsResponse:
        return await self._listing.list(request)

    async def WaitExecution(
        self, request: pb.WaitExecutionRequest, context: Any
    ) -> pb.WaitExecutionResponse:
        return await self._executions.wait(request, forwarded=was_forwarded(context))

    async def CancelExecution(
        self, request: pb.CancelExecutionRequest, context: Any
    ) -> pb.CancelExecutionResponse:
        await self._executions.cancel(request, forwarded=was_forwarded(context))
        return pb.CancelExecutionResponse()

    async def PauseExecution(
        self, request: pb.PauseExecutionRequest, context: Any
    ) -> pb.PauseExecutionResponse:
        await self._executions.pause(request, forwarded=was_forwarded(context))
        return pb.PauseExecutionResponse()

    async def ResumeExecution(
        self, request: pb.ResumeExecutionRequest, context: Any
    ) -> pb.ResumeExecutionResponse:
        await self._executions.resume(request, forwarded=was_forwarded(context))
        return pb.ResumeExecutionResponse()

    async def TerminateExecution(
        self, request: pb.TerminateExecutionRequest, context: Any
    ) -> pb.TerminateExecutionResponse:
        await self._executions.terminate(request, forwarded=was_forwarded(context))
        return pb.TerminateExecutionResponse()

    async def SignalExecution(
        self, request: pb.SignalExecutionRequest, context: Any
    ) -> pb.SignalExecutionResponse:
        return await self._executions.signal(request, forwarded=was_forwarded(context))

    async def SignalByKey(
        self, request: pb.SignalByKeyRequest, context: Any
    ) -> pb.SignalByKeyResponse:
        return await self._keyed_signals.send(request)

    async def GetStats(self, request: pb.GetStatsRequest, context: Any) -> pb.GetStatsResponse:
        forwarded = was_forwarded(context)
        return await stats_of_all(request, self._core, self._executions, forwarded=forwarded)

    async def Session(
        self, request_iterator: AsyncIterator[pb.SessionRequest], context: Any
    ) -> AsyncIterator[pb.SessionResponse]:
        session = Session(
            executions=self._executions, core=self._core, forwarded=was_forwarded(context)
        )
        # The caller knows by it that the stream is open: the first result may be hours away.
        yield pb.SessionResponse()
        async for response in answers(session, request_iterator):
            yield response


class PayloadServer(pb_grpc.PayloadServiceServicer):
    """Stores and reads large payloads."""

    def __init__(self, *, core: Orchestrator) -> None:
        self._payloads = core.payloads

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


class PartitionServer(pb_grpc.PartitionServiceServicer):
    """Hand-over between orchestrators."""

    def __init__(self, *, core: Orchestrator, executions: Executions) -> None:
        self._ownership = core.ownership
        self._executions = executions

    async def DeliverMessage(
        self, request: pb.DeliverMessageRequest, context: Any
    ) -> pb.DeliverMessageResponse:
        deliveries, message = self._executions.deliveries, request.message
        if message.HasField("join"):
            await deliveries.join(message, forwarded=True)
            return pb.DeliverMessageResponse()
        status = message.outcome.status
        known_choices([status], execution_pb2.ExecutionStatus, "message.outcome.status")
        await deliveries.outcome(message, forwarded=True)
        return pb.DeliverMessageResponse()

    async def ReceivePartitions(
        self, request: pb.ReceivePartitionsRequest, context: Any
    ) -> pb.ReceivePartitionsResponse:
        await self._ownership.receive()
        return pb.ReceivePartitionsResponse()


class HistoryServer(history_grpc.HistoryServiceServicer):
    """Histories, of any execution."""

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

    def __init__(self, *, core: Orchestrator) -> None:
        self._core = core

    async def ReadOutbox(
        self, request: history.ReadOutboxRequest, context: Any
    ) -> history.ReadOutboxResponse:
        size = min(request.position_count_max or OUTBOX_POSITIONS_DEFAULT, OUTBOX_POSITIONS_MAX)
        store = self._core.store
        # The position first: what is committed meanwhile is found by the next call.
        last = await store.one("position_of", incarnation=request.incarnation)
        batches = await self._core.outbox.read(request.incarnation, request.after, size)
        return history.ReadOutboxResponse(batches=batches, last_position=last or 0)

    async def ReportPositions(
        self, request: history.ReportPositionsRequest, context: Any
    ) -> history.ReportPositionsResponse:
        for position in request.positions:
            self._core.committer.alongside.serve(position.incarnation, position.position)
        return history.ReportPositionsResponse()
