"""The columns of one commit, collected row by row and handed to the one statement."""

from collections.abc import Mapping, Sequence

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import State, Transition
from flowmesh.orchestrator.ids import is_digest
from flowmesh.orchestrator.queues import ready_queue_of

DAY_US = 86_400_000_000


class StartRow:
    """What only a start writes."""

    __slots__ = ("request_id", "start_digest")

    def __init__(self, request_id: str, start_digest: bytes) -> None:
        self.request_id = request_id
        self.start_digest = start_digest


class Row:
    """The queryable columns of an execution, as last written; compared to know what changed."""

    __slots__ = ("priority", "queue", "ready_since", "status", "wake_at_us")

    def __init__(self, state: State, ready_since: int, previous: "Row | None") -> None:
        self.status = state.status
        self.wake_at_us = 0 if state.ended else state.wake_at_us
        self.queue: str | None = None
        self.priority: int | None = None
        self.ready_since: int | None = None
        ready = None if state.ended else ready_queue_of(state)
        if ready is not None:
            self.queue, self.priority = ready
            known = previous.ready_since if previous is not None else None
            self.ready_since = known if known is not None else ready_since

    def same_as(self, other: "Row | None") -> bool:
        return (
            other is not None
            and self.status == other.status
            and self.wake_at_us == other.wake_at_us
            and self.queue == other.queue
            and self.priority == other.priority
        )


class CommitBatch:
    """Rows of one statement, as columns in the order of `sql/commit.sql`."""

    def __init__(self) -> None:
        self.plans: dict[str, bytes] = {}
        self.starts: list[tuple[str, int, str, str, str, int, str, str, bytes]] = []
        self.states: list[
            tuple[
                str, int, int, int, int | None, int | None, int | None, str | None, int | None, bool
            ]
        ] = []
        self.histories: list[tuple[int, str, int, bytes, int, bool]] = []
        self.references: list[tuple[str, str, str, int]] = []
        self.snapshots: list[tuple[str, int, bytes, int]] = []
        self.served: dict[int, int] = {}
        self.after: bytes | None = None
        self.bytes = 0

    def add_start(self, state: State, partition: int, start: StartRow) -> None:
        plan = state.plan
        self.plans.setdefault(plan.digest, plan.body)
        self.starts.append(
            (
                state.execution_id,
                partition,
                plan.namespace,
                plan.workflow_id,
                plan.name,
                plan.version,
                plan.digest,
                start.request_id,
                start.start_digest,
            )
        )

    def add_state(self, state: State, partition: int, row: Row, *, is_start: bool) -> None:
        self.states.append(
            (
                state.execution_id,
                partition,
                row.status,
                state.started_at_us,
                state.ended_at_us or None,
                row.wake_at_us or None,
                row.ready_since,
                row.queue,
                row.priority,
                is_start,
            )
        )

    def add_history(
        self, state: State, partition: int, transition: Transition, *, is_start: bool
    ) -> bytes:
        """Adds the events of a transition; returns them as stored."""
        events = transition.history.SerializeToString()
        self.bytes += len(events)
        self.histories.append(
            (
                state.started_at_us // DAY_US,
                state.execution_id,
                transition.first_sequence,
                events,
                partition,
                is_start,
            )
        )
        return events

    def add_reference(self, state: State, partition: int, payload: payload_pb2.Payload) -> None:
        # What is no digest names nothing; NUL characters in it would fail the whole commit.
        if payload.HasField("reference") and is_digest(payload.reference.digest):
            self.references.append(
                (state.plan.namespace, payload.reference.digest, state.execution_id, partition)
            )

    def arguments(
        self, incarnation: int, position: int, epochs: Mapping[int, int]
    ) -> tuple[object, ...]:
        """The parameters of the statement, $1 to $42."""
        starts = _columns(self.starts, 9)
        states = _columns(self.states, 10)
        return (
            incarnation,
            position,
            list(epochs.keys()),
            list(epochs.values()),
            list(self.plans.keys()),
            list(self.plans.values()),
            *starts,
            *states[:9],
            *_columns(self.histories, 6),
            self.after,
            list(self.served.keys()),
            list(self.served.values()),
            *_columns(self.references, 4),
            *_columns(self.snapshots, 4),
            states[9],
        )


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]
