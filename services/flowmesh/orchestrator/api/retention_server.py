"""Translates RetentionService messages."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.model.errors import execution_not_found
from flowmesh.orchestrator.ownership.peers import was_forwarded
from flowmesh.orchestrator.retention.deletion import ExecutionDeletion
from flowmesh.orchestrator.retention.erasure import ExecutionErasure
from flowmesh.orchestrator.retention.rebuilding import Rebuilding
from flowmesh.orchestrator.retention.rules import RetentionRules
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.rpc import namespace_of


class RetentionServer(pb_grpc.RetentionServiceServicer):
    """Retention, deletion, erasure and archive of executions."""

    def __init__(
        self,
        *,
        rules: RetentionRules,
        archiving: Archiving,
        deletion: ExecutionDeletion,
        erasure: ExecutionErasure,
        rebuilding: Rebuilding,
    ) -> None:
        self._rules = rules
        self._archiving = archiving
        self._deletion = deletion
        self._erasure = erasure
        self._rebuilding = rebuilding

    async def GetRetention(
        self, request: pb.GetRetentionRequest, context: Any
    ) -> pb.GetRetentionResponse:
        retention_ms, own = await self._rules.get(namespace_of(request))
        return pb.GetRetentionResponse(retention_ms=retention_ms, own=own)

    async def SetRetention(
        self, request: pb.SetRetentionRequest, context: Any
    ) -> pb.SetRetentionResponse:
        await self._rules.set(namespace_of(request), request.retention_ms)
        return pb.SetRetentionResponse()

    async def DeleteExecution(
        self, request: pb.DeleteExecutionRequest, context: Any
    ) -> pb.DeleteExecutionResponse:
        return await self._deletion.delete(request, forwarded=was_forwarded(context))

    async def EraseExecution(
        self, request: pb.EraseExecutionRequest, context: Any
    ) -> pb.EraseExecutionResponse:
        await self._erasure.erase(request, forwarded=was_forwarded(context))
        return pb.EraseExecutionResponse()

    async def RebuildExecutions(
        self, request: pb.RebuildExecutionsRequest, context: Any
    ) -> pb.RebuildExecutionsResponse:
        return await self._rebuilding.page(request)

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
