"""Erasure of the values of ended executions: from rows, payloads and search values.

The tombstone is committed first, as an event; from then on no reader gets a value. The request is
stored before, so that housekeeping of any process finishes an interrupted erasure.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowmesh.access.encryption import DataKeys, history_place
from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import Erase
from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.orchestrator.model.errors import execution_open
from flowmesh.orchestrator.model.messages import status_name
from flowmesh.orchestrator.model.request_checks import REQUEST_ID_MAX, TEXT_MAX, check_text
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.redacted_events import without_values
from flowmesh.orchestrator.storage.stores.erasure_store import ErasureStore
from flowmesh.orchestrator.storage.stores.execution_store import ExecutionStore
from flowmesh.rpc import namespace_of

if TYPE_CHECKING:
    Stub = pb_grpc.RetentionServiceAsyncStub

ROUND_MAX = 100


class ExecutionErasure:
    """Erases executions; `finish` completes interrupted erasures."""

    def __init__(
        self,
        *,
        store: ErasureStore,
        keys: DataKeys,
        executions: ExecutionStore,
        reader: ExecutionReader,
        changes: ExecutionChanges,
        archiving: Archiving,
        payloads: Payloads,
        finished: FinishedStates,
        now_us: Callable[[], int],
        log: Any,
        stub_at: "Callable[[str], Stub]",
    ) -> None:
        self._store = store
        self._keys = keys
        self._executions = executions
        self._reader = reader
        self._changes = changes
        self._archiving = archiving
        self._payloads = payloads
        self._finished = finished
        self._now_us = now_us
        self._log = log
        self._stub_at = stub_at

    async def erase(self, request: pb.EraseExecutionRequest, *, forwarded: bool) -> None:
        """Erase an execution. Raises EXECUTION_RUNNING if it has not ended; an error erases
        nothing.
        """
        # All checks of `change`: a stored request is executed even if its caller got an error.
        check_text(request.reason, "reason", TEXT_MAX)
        check_text(request.request_id, "request_id", REQUEST_ID_MAX)
        check_text(request.actor, "actor", TEXT_MAX)
        namespace, execution_id = namespace_of(request), request.execution_id
        try:
            state = await self._reader.state(namespace, execution_id)
        except NotFound:
            if not await self._archiving.erase(namespace, execution_id, self._tombstone(request)):
                raise
            return
        if not state.ended:
            raise execution_open(execution_id, status_name(state.status))
        await self._archiving.erase(namespace, execution_id, self._tombstone(request))
        await self._store.begin(execution_id, namespace, request.SerializeToString())
        await self._erase(request, forwarded=forwarded)

    def _tombstone(self, request: pb.EraseExecutionRequest) -> history_event_pb2.HistoryEvent:
        return history_event_pb2.HistoryEvent(
            at_us=self._now_us(),
            payloads_erased=history_event_pb2.PayloadsErased(
                reason=request.reason, actor=request.actor, request_id=request.request_id
            ),
        )

    async def _erase(self, request: pb.EraseExecutionRequest, *, forwarded: bool) -> None:
        namespace, execution_id = namespace_of(request), request.execution_id
        await self._changes.change(
            request,
            Erase(request.reason, request.request_id, request.actor),
            lambda stub: stub.EraseExecution(request, metadata=FORWARDED),
            forwarded,
            self._stub_at,
        )
        row = await self._executions.find(namespace, execution_id)
        if row is not None:
            await self._remove(namespace, execution_id, row.start_day)

    async def _remove(self, namespace: str, execution_id: str, day: int) -> None:
        seqs, rewritten = [], []
        for row in await self._executions.history(execution_id, day):
            events = history_event_pb2.HistoryEvents.FromString(row.events)
            bare = history_event_pb2.HistoryEvents(events=map(without_values, events.events))
            seqs.append(row.seq)
            place = history_place(execution_id)
            rewritten.append(self._keys.seal(namespace, bare.SerializeToString(), place))
        await self._store.rewrite_history(execution_id, day, seqs=seqs, events=rewritten)
        digests = await self._store.finish(execution_id)
        self._payloads.forget(namespace, digests)
        await self._finished.forget(execution_id)

    async def finish(self) -> int:
        """Complete interrupted erasures; return their number.

        One that fails now does not delay the others.
        """
        rows = await self._store.unfinished(ROUND_MAX)
        for row in rows:
            request = pb.EraseExecutionRequest.FromString(row.request)
            try:
                await self._erase(request, forwarded=False)
            except NotFound:
                await self._store.finish(row.execution_id)
            except FlowmeshError as error:
                self._log.warning(
                    "erasure_failed", execution_id=row.execution_id, reason=error.reason
                )
        return len(rows)
