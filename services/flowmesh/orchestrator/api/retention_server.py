"""Turns messages of RetentionService into calls and back; decides little."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as pb_grpc
from flowmesh.errors import Invalid
from flowmesh.orchestrator.model.errors import execution_not_found
from flowmesh.orchestrator.ownership.peers import was_forwarded
from flowmesh.orchestrator.retention.deletion import Deleting
from flowmesh.orchestrator.retention.erasure import Erasing
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.rpc import namespace_of

RETENTION_MS_MIN = 60_000
RETENTION_MS_MAX = 3_650 * DAY_US // 1_000


class RetentionServer(pb_grpc.RetentionServiceServicer):
    """How long executions are kept, and what is done with them then or before."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        archiving: Archiving,
        deleting: Deleting,
        erasing: Erasing,
        retention_days: float,
    ) -> None:
        self._store = store
        self._archiving = archiving
        self._deleting = deleting
        self._erasing = erasing
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
        return await self._deleting.delete(request, forwarded=was_forwarded(context))

    async def EraseExecution(
        self, request: pb.EraseExecutionRequest, context: Any
    ) -> pb.EraseExecutionResponse:
        await self._erasing.erase(request, forwarded=was_forwarded(context))
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
        async for piece in document:
            yield pb.GetArchivedResponse(chunk=piece)
