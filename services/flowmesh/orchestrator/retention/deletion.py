"""Deletion of ended executions, at their owner: it may have them in memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as pb_grpc
from flowmesh.errors import NotFound
from flowmesh.orchestrator.model.errors import execution_not_found, execution_open
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.messages import status_name
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.owner_router import OwnerRouter
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.states import States
from flowmesh.orchestrator.storage.stores.retention_store import RetentionStore
from flowmesh.rpc import namespace_of

if TYPE_CHECKING:
    Stub = pb_grpc.RetentionServiceAsyncStub


class ExecutionDeletion:
    """Deletes executions with all their rows, and from the archive."""

    def __init__(
        self,
        *,
        store: RetentionStore,
        states: States,
        reader: ExecutionReader,
        router: OwnerRouter,
        archiving: Archiving,
        finished: FinishedStates,
        stub_at: "Callable[[str], Stub]",
    ) -> None:
        self._store = store
        self._states = states
        self._reader = reader
        self._router = router
        self._archiving = archiving
        self._finished = finished
        self._stub_at = stub_at

    async def delete(
        self, request: pb.DeleteExecutionRequest, *, forwarded: bool
    ) -> pb.DeleteExecutionResponse:
        """Delete an execution. Raises EXECUTION_RUNNING if it has not ended."""
        execution_id = request.execution_id
        partition = partition_of(execution_id)
        if partition is None:
            raise execution_not_found(execution_id)

        async def local() -> pb.DeleteExecutionResponse:
            await self._delete(namespace_of(request), execution_id)
            return pb.DeleteExecutionResponse()

        async def remote(address: str) -> pb.DeleteExecutionResponse:
            stub = self._stub_at(address)
            asked = stub.DeleteExecution(request, metadata=FORWARDED)
            return await self._router.peers.call(address, asked)

        return await self._router.at_owner(partition, local, remote, forwarded=forwarded)

    async def _delete(self, namespace: str, execution_id: str) -> None:
        try:
            state = await self._reader.state(namespace, execution_id)
        except NotFound:
            if not await self._archiving.delete(namespace, execution_id):
                raise
            return
        if not state.ended:
            raise execution_open(execution_id, status_name(state.status))
        await self._store.delete_executions([execution_id])
        self._states.deleted(execution_id)
        await self._finished.forget(execution_id)
        await self._archiving.delete(namespace, execution_id)
