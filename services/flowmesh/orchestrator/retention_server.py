"""Turns messages of RetentionService into calls and back; decides little."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.errors import Invalid, NotFound
from flowmesh.orchestrator.archiving import Archiving
from flowmesh.orchestrator.batch import DAY_US
from flowmesh.orchestrator.erasing import Erasing
from flowmesh.orchestrator.errors import execution_not_found, execution_open
from flowmesh.orchestrator.executions import Executions
from flowmesh.orchestrator.finished import FinishedStates
from flowmesh.orchestrator.payloads import CHUNK_BYTES
from flowmesh.orchestrator.peers import was_forwarded
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.orchestrator.views import status_name
from flowmesh.rpc import namespace_of
from flowmesh.runtime import Clock

RETENTION_MS_MIN = 60_000
RETENTION_MS_MAX = 3_650 * DAY_US // 1_000


class RetentionServer(pb_grpc.RetentionServiceServicer):
    """How long executions are kept, and what is done with them then or before."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        executions: Executions,
        archiving: Archiving,
        erasing: Erasing,
        finished: FinishedStates,
        clock: Clock,
        retention_days: float,
    ) -> None:
        self._store = store
        self._executions = executions
        self._archiving = archiving
        self._erasing = erasing
        self._finished = finished
        self._clock = clock
        self._retention_ms = int(retention_days * DAY_US // 1_000)

    async def GetRetention(
        self, request: pb.GetRetentionRequest, context: Any
    ) -> pb.GetRetentionResponse:
        own = await self._store.one("retention_of", namespace=namespace_of(request))
        return pb.GetRetentionResponse(retention_ms=own or self._retention_ms, own=own is not None)

    async def SetRetention(
        self, request: pb.SetRetentionRequest, context: Any
    ) -> pb.SetRetentionResponse:
        namespace, kept_ms = namespace_of(request), request.retention_ms
        if kept_ms == 0:
            await self._store.one("unset_retention", namespace=namespace)
        elif not RETENTION_MS_MIN <= kept_ms <= RETENTION_MS_MAX:
            text = f"a retention of {kept_ms} ms; it is from a minute to 3,650 days"
            raise Invalid("RETENTION_INVALID", text)
        else:
            await self._store.one("set_retention", namespace=namespace, retention_ms=kept_ms)
        return pb.SetRetentionResponse()

    async def DeleteExecution(
        self, request: pb.DeleteExecutionRequest, context: Any
    ) -> pb.DeleteExecutionResponse:
        namespace, execution_id = namespace_of(request), request.execution_id
        archived = await self._archiving.delete(namespace, execution_id)
        try:
            state = await self._executions.state(namespace, execution_id)
        except NotFound:
            if archived:
                return pb.DeleteExecutionResponse()
            raise
        if not state.ended:
            raise execution_open(execution_id, status_name(state.status))
        await self._store.one("delete_executions", ids=[execution_id])
        self._executions.evict(execution_id)
        await self._finished.forget(execution_id)
        return pb.DeleteExecutionResponse()

    async def EraseExecution(
        self, request: pb.EraseExecutionRequest, context: Any
    ) -> pb.EraseExecutionResponse:
        tombstone = history_event_pb2.HistoryEvent(
            at_us=self._clock.now_us(),
            payloads_erased=history_event_pb2.PayloadsErased(
                reason=request.reason, actor=request.actor, request_id=request.request_id
            ),
        )
        archived = await self._archiving.erase(
            namespace_of(request), request.execution_id, tombstone
        )
        try:
            await self._erasing.erase(request, forwarded=was_forwarded(context))
        except NotFound:
            if not archived:
                raise
        return pb.EraseExecutionResponse()

    async def ListArchived(
        self, request: pb.ListArchivedRequest, context: Any
    ) -> pb.ListArchivedResponse:
        return await self._archiving.list(request, namespace_of(request))

    async def GetArchived(
        self, request: pb.GetArchivedRequest, context: Any
    ) -> AsyncIterator[pb.GetArchivedResponse]:
        self._archiving.required()
        document = await self._archiving.document(namespace_of(request), request.execution_id)
        if document is None:
            raise execution_not_found(request.execution_id)
        for start in range(0, len(document), CHUNK_BYTES):
            yield pb.GetArchivedResponse(chunk=document[start : start + CHUNK_BYTES])
