"""Erasure of the values of ended executions on request: from rows, payloads and search values.

The tombstone is committed first, as an event like any other; from then on no reader gets a value.
What is to be removed is noted before, so that whoever does the housekeeping next finishes what a
crash left.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from flowmesh.api.common.v1 import failure_pb2, payload_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as pb_grpc
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import Erase
from flowmesh.engine.searching import ERASED
from flowmesh.errors import NotFound
from flowmesh.orchestrator.batch import DAY_US
from flowmesh.orchestrator.errors import execution_open
from flowmesh.orchestrator.executions import Executions
from flowmesh.orchestrator.finished import FinishedStates
from flowmesh.orchestrator.payloads import Payloads
from flowmesh.orchestrator.peers import FORWARDED
from flowmesh.orchestrator.requests import TEXT_MAX, check_text
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.orchestrator.views import status_name
from flowmesh.rpc import namespace_of

if TYPE_CHECKING:
    Stub = pb_grpc.RetentionServiceAsyncStub

ROUND_MAX = 100
_NULL = payload_pb2.Payload(data=b"null")


class Erasing:
    """Erases executions; `finish` completes what was begun."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        executions: Executions,
        payloads: Payloads,
        finished: FinishedStates,
        stub_at: "Callable[[str], Stub]",
    ) -> None:
        self._store = store
        self._executions = executions
        self._payloads = payloads
        self._finished = finished
        self._stub_at = stub_at

    async def erase(self, request: pb.EraseExecutionRequest, *, forwarded: bool) -> None:
        """Raises EXECUTION_RUNNING of one that has not ended."""
        check_text(request.reason, "reason", TEXT_MAX)
        namespace = namespace_of(request)
        state = await self._executions.state(namespace, request.execution_id)
        if not state.ended:
            raise execution_open(request.execution_id, status_name(state.status))
        await self._store.one(
            "note_erasure",
            execution_id=request.execution_id,
            namespace=namespace,
            request=request.SerializeToString(),
        )
        await self._erase(request, forwarded=forwarded)

    async def _erase(self, request: pb.EraseExecutionRequest, *, forwarded: bool) -> None:
        namespace, execution_id = namespace_of(request), request.execution_id
        await self._executions.change(
            request,
            Erase(request.reason, request.request_id, request.actor),
            lambda stub: stub.EraseExecution(request, metadata=FORWARDED),
            forwarded,
            self._stub_at,
        )
        row = await self._store.one("execution_row", namespace=namespace, execution_id=execution_id)
        if row is not None:
            await self._remove(namespace, execution_id, row["started_at"] // DAY_US)

    async def _remove(self, namespace: str, execution_id: str, day: int) -> None:
        rows = await self._store.rows("history_rows", days=[day], ids=[execution_id], afters=[0])
        seqs, rewritten = [], []
        for row in rows:
            events = history_event_pb2.HistoryEvents.FromString(row["events"])
            bare = history_event_pb2.HistoryEvents(events=map(without_values, events.events))
            seqs.append(row["seq"])
            rewritten.append(bare.SerializeToString())
        await self._store.one(
            "rewrite_history",
            start_day=day,
            execution_id=execution_id,
            seqs=seqs,
            events=rewritten,
        )
        digests = await self._store.one("forget_values", execution_id=execution_id)
        self._payloads.forget(namespace, digests)
        await self._finished.forget(execution_id)

    async def finish(self) -> int:
        """Completes erasures that a crash interrupted; how many there were."""
        rows = await self._store.rows("open_erasures", rows_max=ROUND_MAX)
        for row in rows:
            request = pb.EraseExecutionRequest.FromString(row["request"])
            try:
                await self._erase(request, forwarded=False)
            except NotFound:
                await self._store.one("forget_values", execution_id=row["execution_id"])
        return len(rows)


def without_values(event: history_event_pb2.HistoryEvent) -> history_event_pb2.HistoryEvent:
    """The event with nothing of what its execution was about: it can still be replayed."""
    bare = history_event_pb2.HistoryEvent()
    bare.CopyFrom(event)
    _strip(bare)
    return bare


def _strip(message: Any) -> None:
    if isinstance(message, execution_pb2.Hold):
        message.key = ""
    for field, value in message.ListFields():
        if field.type == field.TYPE_BYTES:
            message.ClearField(field.name)
        elif isinstance(value, Message):
            _strip_one(value)
        elif field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            if field.message_type is search_pb2.SearchValue.DESCRIPTOR:
                kept = [each.SerializeToString() for each in value if _is_label(each)]
                message.ClearField(field.name)
                getattr(message, field.name).extend(map(search_pb2.SearchValue.FromString, kept))
            else:
                for each in value:
                    _strip_one(each)


def _is_label(value: search_pb2.SearchValue) -> bool:
    return value.name.startswith("label.")


def _strip_one(value: Any) -> None:
    if isinstance(value, payload_pb2.Payload):
        value.CopyFrom(_NULL)
    elif isinstance(value, failure_pb2.Failure):
        value.message = ERASED
        value.ClearField("details")
    else:
        _strip(value)
