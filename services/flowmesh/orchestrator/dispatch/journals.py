"""Journals of durable handlers: records that workers submit, and committed records for workers."""

from collections.abc import Callable, Iterable
from functools import partial

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.engine import Journal, NodeState, Record, State, Suspend
from flowmesh.engine.state.journal import size_of
from flowmesh.errors import NotFound
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.leases import Lease, Leases
from flowmesh.orchestrator.model.commands import VOID, Answer, PendingCommand, Stale
from flowmesh.orchestrator.model.errors import Moved
from flowmesh.orchestrator.model.ids import parse_token, partition_of, token_of, unmarked
from flowmesh.orchestrator.storage.states import States

FRAME_BYTES = 300
"""Estimated bytes of records in a frame without their values."""


class Journals:
    """Submits records of handlers, and sends committed ones to the workers that hold the leases."""

    def __init__(
        self,
        states: States,
        leases: Leases,
        submit: Callable[[PendingCommand], None],
        adopt: Callable[[WorkerStream, Iterable[pb.HeldTask]], None],
    ) -> None:
        self._states = states
        self._leases = leases
        self._submit = submit
        self._adopt = adopt

    def record(self, stream: WorkerStream, asked: Iterable[task_pb2.TaskRecords]) -> None:
        """Submit records of durable handlers; `send_added` answers after the commit."""
        for each in asked:
            token, valid = self._leases.resolve(each.token)
            parsed = parse_token(token)
            partition = partition_of(parsed[0]) if parsed is not None else None
            if parsed is None or partition is None:
                continue
            lease = self._leases.get(token) if valid else None
            if lease is None and valid:
                # Its lease was lost although it runs: adopt it instead of sending it again.
                self._adopt(stream, [pb.HeldTask(token=token)])
                lease = self._leases.get(token)
            pending = PendingCommand(
                parsed[0],
                partition,
                _command(Record, each, parsed, lease),
                partial(self._answer, stream, each.token, each.known),
            )
            if lease is not None:
                # Its result must not be decided before these records.
                lease.repeatable, pending.cause = False, lease.cause
            elif not valid:
                pending.cause = VOID
            self._submit(pending)

    def send_added(self, state: State, node: NodeState, known: int) -> None:
        """Send the records of a journal that the handler's worker lacks."""
        lease = self._leases.get(token_of(state.execution_id, node.id, node.attempt))
        if lease is not None and lease.stream is not None and node.journal is not None:
            _send_records(lease.stream, lease.wire_token, node.journal, known)

    def _answer(
        self, stream: WorkerStream, token: str, known: int, answer: Answer | Exception
    ) -> None:
        """Answer the sender of records if it does not hold the lease."""
        if isinstance(answer, Stale | Exception):
            moved = isinstance(answer, Moved)
            if moved or isinstance(answer, Stale | NotFound):
                stream.out.recorded.add(token=token, stale=not moved, moved=moved)
                stream.flush_soon()
            return
        plain, _ = unmarked(token)
        parsed, lease = parse_token(plain), self._leases.get(plain)
        if parsed is None or (lease is not None and lease.stream is stream):
            return
        entry = self._states.get(parsed[0])
        node = entry.state.at_workers.get(parsed[1]) if entry is not None else None
        if node is not None and node.journal is not None and node.attempt == parsed[2]:
            _send_records(stream, token, node.journal, known)


def suspend_of(
    asked: task_pb2.TaskRecords, parsed: tuple[str, str, int], of: Lease | None
) -> Record:
    """Return the command of a handler that suspends."""
    return _command(Suspend, asked, parsed, of)


def journal_of(node: NodeState) -> task_pb2.TaskJournal | None:
    """Return a node's journal as a message for a worker; None if it has none."""
    journal = node.journal
    if journal is None:
        return None
    return task_pb2.TaskJournal(records=journal.records, began_at_us=journal.began_at_us)


def _command(
    kind: type[Record],
    asked: task_pb2.TaskRecords,
    parsed: tuple[str, str, int],
    lease: Lease | None,
) -> Record:
    _, node_id, attempt = parsed
    return kind(
        node_id,
        attempt,
        records=asked.records,
        known=asked.known,
        began_at_us=asked.began_at_us,
        worker_id=lease.worker_id if lease is not None else "",
        started_at_us=lease.sent_at_us if lease is not None else 0,
    )


def _send_records(stream: WorkerStream, token: str, journal: Journal, known: int) -> None:
    records = journal.records[known:]
    stream.out.recorded.add(token=token, start=known, records=records, ahead=True)
    stream.task_added(sum(map(size_of, records)) + FRAME_BYTES)
    stream.flush_soon()
