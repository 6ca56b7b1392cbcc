"""The columns of one commit, collected row by row for its statement."""

from collections.abc import Mapping, Sequence
from itertools import islice

from flowmesh.access.encryption import (
    NO_KEYS,
    DataKeys,
    history_place,
    message_place,
    snapshot_place,
)
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import State, Transition
from flowmesh.engine.search_attributes import NO_SEARCH_VALUES
from flowmesh.orchestrator.model.commands import PendingStart
from flowmesh.orchestrator.model.concurrency_groups import GroupEntry
from flowmesh.orchestrator.model.ids import is_digest
from flowmesh.orchestrator.model.search_values import (
    Stored,
    need_of,
    sealed_value,
    search_rows,
)
from flowmesh.orchestrator.storage.model_usage import UsageRow, usage_rows
from flowmesh.orchestrator.storage.statements import PARTS

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
_NO_LANES: Mapping[int, int] = {}
_NO_WAITS: frozenset[str] = frozenset()
_Found = tuple[int | None, int | None, int | None, str | None, int | None]
_DIGEST_BEGINS = payload_pb2.PayloadReference(digest="0" * 64).SerializeToString()[:2]
"""Tag and length of a digest: encoded events without these bytes refer to no stored payload."""


def approval_name(assignee: str) -> str:
    """Return the name of the wait for an approval; no signal begins with a blank."""
    return f" approval {assignee}"


def approvals_of(state: State) -> frozenset[str]:
    """Return the waits for all approvals of an execution; without assignees, one for any person."""
    asked = (node.approval for node in state.asking.values())
    names = (name for one in asked if one is not None for name in one.assignees or ("",))
    return frozenset(map(approval_name, names))


OUTWARD = ":outward"
"""Suffix of the ids of messages to other projects, which wait apart from the others."""


class StartRow:
    """The columns that only a start writes."""

    __slots__ = ("request_id", "start_digest")

    def __init__(self, request_id: str, start_digest: bytes) -> None:
        self.request_id = request_id
        self.start_digest = start_digest


class Message:
    """A message from one execution to another.

    `target` is the execution or, before it has started, its start request; messages to one target
    are delivered in order.
    """

    __slots__ = ("command", "id", "partition", "target")

    def __init__(self, partition: int, message_id: str, target: str, command: bytes) -> None:
        self.partition = partition
        self.id = message_id
        self.target = target
        self.command = command

    @property
    def is_outward(self) -> bool:
        """True for a message to another project."""
        return self.id.endswith(OUTWARD)


class Row:
    """The queryable columns of an execution as last written, compared to find changes.

    `lanes` are the lanes of its plan with open tasks, each with the time since which it has some:
    the first is in the row of the execution, each further one in a row of `ready`. `waits` are the
    signals with key and the approvals that it waits for, each in a row of `waits`.
    """

    __slots__ = ("failure", "lanes", "need", "search", "status", "waits", "wake_at_us")

    def __init__(self, state: State, ready_since: int, previous: "Row | None") -> None:
        self.status = state.status
        self.search = state.search
        self.failure = state.failure
        self.need = ""
        self.wake_at_us = 0
        self.lanes: Mapping[int, int] = _NO_LANES
        self.waits = _NO_WAITS
        if state.ended:
            return
        self.need = need_of(state)
        self.wake_at_us = state.wake_at_us
        if state.awaiting:
            self.waits = frozenset(name for name in state.awaiting if " " in name)
        if state.asking:
            self.waits |= approvals_of(state)
        if state.open_lanes:
            known = previous.lanes if previous is not None else _NO_LANES
            # In the order of the plan, independent of how the state was built.
            lanes = sorted(state.open_lanes)
            self.lanes = {lane: known.get(lane, ready_since) for lane in lanes}

    @property
    def first_lane(self) -> int | None:
        return next(iter(self.lanes), None)

    def same_as(self, other: "Row | None") -> bool:
        """Return whether the row of the execution is unchanged; its further lanes may differ."""
        return (
            other is not None
            and self.status == other.status
            and self.wake_at_us == other.wake_at_us
            and self.first_lane == other.first_lane
        )

    def found_as(self, other: "Row | None") -> bool:
        """Return whether labels, search attributes, failure and need are unchanged."""
        if other is None:
            return self.search is NO_SEARCH_VALUES and self.failure is None and not self.need
        same = self.search is other.search and self.failure is other.failure
        return same and self.need == other.need

    def values(self) -> dict[str, Stored]:
        return search_rows(self.search, self.failure, self.need)

    def further_lanes(self) -> dict[int, int]:
        return dict(islice(self.lanes.items(), 1, None))


class CommitBatch:
    """The rows of one statement, as columns in the order of `sql/commit.sql` and its parts."""

    def __init__(self, keys: DataKeys = NO_KEYS) -> None:
        self._keys = keys
        self.plans: dict[str, bytes] = {}
        # Both end with the columns of `_found`.
        self.starts: list[
            tuple[
                str, int, str, str, str, int, str, str, bytes, int, int,
                int | None, int | None, int | None, str | None, int | None,
            ]
        ] = []  # fmt: skip
        self.changes: list[
            tuple[str, int, int, int | None, int | None, int | None, str | None, int | None]
        ] = []
        # Tasks, tokens and bytes by hour, namespace, partition, and the id of an execution that
        # starts; "" for all others.
        self.metered: dict[tuple[int, str, int, str], list[int]] = {}
        self.lanes: list[tuple[str, int, str, str, int, int | None, bool]] = []
        self.histories: list[tuple[int, str, int, bytes, int, bool]] = []
        self.references: list[tuple[str, str, str, int]] = []
        self.values: list[tuple[str, int, str, str, str | None, float | None, bool]] = []
        self.snapshots: list[tuple[str, int, bytes, int]] = []
        self.messages: list[tuple[int, str, str, bytes, str, bool]] = []
        self.answered: list[tuple[int, str]] = []
        self.waits: list[tuple[str, str, str, int, bool, bool]] = []
        self.places: list[
            tuple[str, int, str, str, str, int, str, int, bool, bool, int, int, bool]
        ] = []
        self.joins: list[tuple[str, str, str, bytes, int, bool]] = []
        self.usages: list[UsageRow] = []
        self.served: dict[int, int] = {}
        self.after: bytes | None = None
        self.bytes = 0

    def add_start(self, state: State, partition: int, row: Row, start: StartRow) -> None:
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
                row.status,
                state.started_at_us,
                *_found(state, row),
            )
        )

    def add_change(self, state: State, partition: int, row: Row) -> None:
        self.changes.append((state.execution_id, partition, row.status, *_found(state, row)))

    def add_lanes(self, state: State, partition: int, row: Row, previous: Row | None) -> None:
        """Add the changes of the further lanes; a closed lane has no time."""
        before = previous.further_lanes() if previous is not None else {}
        after = row.further_lanes()
        changed: dict[int, int | None] = {lane: None for lane in before if lane not in after}
        changed.update((lane, since) for lane, since in after.items() if lane not in before)
        for lane, since in changed.items():
            queue, priority = state.plan.lanes[lane]
            self.lanes.append(
                (
                    state.execution_id,
                    partition,
                    state.plan.namespace,
                    queue,
                    priority,
                    since,
                    previous is None,
                )
            )

    def add_history(
        self, state: State, partition: int, transition: Transition, *, is_start: bool
    ) -> bytes:
        """Add the events of a transition; return them encoded."""
        events = transition.history.SerializeToString()
        self.bytes += len(events)
        place = history_place(state.execution_id)
        stored = self._keys.seal(state.plan.namespace, events, place)
        self.histories.append(
            (
                state.started_at_us // DAY_US,
                state.execution_id,
                transition.first_sequence,
                stored,
                partition,
                is_start,
            )
        )
        return events

    def meter(
        self, state: State, partition: int, transition: Transition, now_us: int, *, is_start: bool
    ) -> None:
        """Add the metered use of a transition, after its events and the usage of models in them."""
        started = state.execution_id if is_start else ""
        who = (now_us // HOUR_US, state.plan.namespace, partition, started)
        use = self.metered.get(who)
        if use is None:
            use = self.metered[who] = [0, 0, 0]
        use[0] += len(transition.retried)
        for node in transition.closed:
            use[0] += node.planned.is_task
        if self.usages:
            of_this = (row for row in self.usages if row[2] == state.execution_id)
            use[1] += sum(row[8] + row[9] for row in of_this)
        use[2] += len(self.histories[-1][3])

    def add_reference(self, state: State, partition: int, payload: payload_pb2.Payload) -> None:
        # Skip a text that is no digest; a NUL character in it would fail the whole commit.
        if payload.HasField("reference") and is_digest(payload.reference.digest):
            self.references.append(
                (state.plan.namespace, payload.reference.digest, state.execution_id, partition)
            )

    def add_references(
        self, state: State, partition: int, transition: Transition, stored: bytes
    ) -> None:
        """Add the stored payloads that events refer to, and the usage of models that they report;
        `stored` are the encoded events.
        """
        self.usages += usage_rows(state, partition, transition.history, stored)
        if _DIGEST_BEGINS not in stored:
            return
        for event in transition.history.events:
            match event.WhichOneof("event"):
                case "task_completed":
                    self.add_reference(state, partition, event.task_completed.output)
                case "workflow_completed":
                    self.add_reference(state, partition, event.workflow_completed.output)
                case "signal_received":
                    self.add_reference(state, partition, event.signal_received.payload)
                case "result_reused":
                    self.add_reference(state, partition, event.result_reused.output)
                case "node_steered":
                    self.add_reference(state, partition, event.node_steered.input)
                    self.add_reference(state, partition, event.node_steered.output)
                case "start_debounced":
                    self.add_reference(state, partition, event.start_debounced.input)
                case "journal_appended":
                    for record in event.journal_appended.records:
                        self.add_reference(state, partition, record.output)
                        self.add_reference(state, partition, record.call.input)

    def add_values(self, state: State, partition: int, row: Row, previous: Row | None) -> None:
        """Add the changes of labels, search attributes, failure and need."""
        before = previous.values() if previous is not None else {}
        after = row.values()
        changed: dict[str, Stored] = {n: (None, None) for n in before if n not in after}
        changed.update((n, value) for n, value in after.items() if before.get(n) != value)
        execution_id, namespace, is_start = (
            state.execution_id,
            state.plan.namespace,
            previous is None,
        )
        for name, value in changed.items():
            text, number = sealed_value(self._keys, namespace, execution_id, name, value)
            self.values.append((execution_id, partition, namespace, name, text, number, is_start))

    def add_messages(
        self, state: State, partition: int, transition: Transition, *, is_start: bool
    ) -> list[Message]:
        """Add the messages of a transition; return them as stored."""
        told = []
        namespace, keys = state.plan.namespace, self._keys
        for number, message in enumerate(transition.messages):
            # Text order of the ids is the order of the events that cause them.
            message_id = f"{state.execution_id}:{state.sequence:010d}:{number:05d}"
            if message.HasField("project"):
                message_id += OUTWARD
            kind = message.WhichOneof("command")
            if kind == "start":
                target = message.start.request.request_id
            elif kind == "stop":
                target = message.stop.request_id
            elif kind == "join":
                # A queue of their own: a join is repeated while its target refuses further waiters.
                target = f"{message.join.execution_id}/join"
            else:
                target = message.outcome.parent_id
            told.append(Message(partition, message_id, target, message.SerializeToString()))
            self.bytes += len(told[-1].command)
        self.messages.extend(
            (
                one.partition,
                one.id,
                one.target,
                keys.seal(namespace, one.command, message_place(one.id)),
                state.execution_id,
                is_start,
            )
            for one in told
        )
        return told

    def add_waits(self, state: State, partition: int, row: Row, previous: Row | None) -> None:
        """Add the changes of the signals with key that an execution waits for."""
        before = previous.waits if previous is not None else _NO_WAITS
        for name in sorted(row.waits ^ before):
            one = (state.plan.namespace, name, state.execution_id, partition)
            self.waits.append((*one, previous is None, name in row.waits))

    def add_snapshot(self, state: State, partition: int, body: bytes) -> None:
        stored = self._keys.seal(state.plan.namespace, body, snapshot_place(state.execution_id))
        self.snapshots.append((state.execution_id, state.sequence, stored, partition))

    def add_place(
        self, partition: int, entry: GroupEntry, phase: int, now_us: int, *, is_new: bool = False
    ) -> None:
        """Add the phase of an execution in its concurrency group."""
        self.places.append(
            (
                entry.execution_id,
                partition,
                *entry.name,
                phase,
                entry.place,
                entry.concurrency,
                entry.replaces,
                entry.debounces,
                entry.answers_until,
                now_us,
                is_new,
            )
        )

    def add_join(self, start: PendingStart, execution_id: str, *, is_new: bool) -> None:
        """Add a start that is answered with an existing execution."""
        if start.request_id:
            who = (start.namespace, start.request_id, execution_id, start.start_digest)
            self.joins.append((*who, start.partition, is_new))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that have rows, in the order of `statements.PARTS`."""
        needed = (
            self.starts,
            self.metered,
            self.changes,
            self.served,
            self.lanes or self.values,
            self.references or self.snapshots,
            self.messages or self.answered or self.waits,
            self.places or self.joins,
            self.usages,
        )
        return tuple(name for name, of in zip(PARTS, needed, strict=True) if of)

    def arguments(self, incarnation: int, position: int, epochs: Mapping[int, int]) -> list[object]:
        """Return the parameters of the statement with these parts."""
        arguments: list[object] = [
            incarnation,
            position,
            list(epochs.keys()),
            list(epochs.values()),
            *_columns(self.histories, 6),
            self.after,
        ]
        for part in self.parts:
            arguments += self._of_part(part)
        return arguments

    def _of_part(self, part: str) -> list[list[object]]:
        if part == "starts":
            plans: list[list[object]] = [list(self.plans.keys()), list(self.plans.values())]
            return plans + _columns(self.starts, 16)
        if part == "metered":
            return _columns([(*who, *use) for who, use in self.metered.items()], 7)
        if part == "changes":
            return _columns(self.changes, 8)
        if part == "served":
            return [list(self.served.keys()), list(self.served.values())]
        if part == "lanes_and_values":
            return _columns(self.lanes, 7) + _columns(self.values, 7)
        if part == "payloads":
            born = {start[0] for start in self.starts}
            referred: list[list[object]] = _columns(self.references, 4)
            referred.append([reference[2] in born for reference in self.references])
            kept: list[list[object]] = _columns(self.snapshots, 4)
            return [*referred, *kept, [each[0] in born for each in self.snapshots]]
        if part == "messages":
            return _columns(self.messages, 6) + _columns(self.answered, 2) + _columns(self.waits, 6)
        if part == "model_usage":
            return _columns(self.usages, 11)
        return _columns(self.places, 13) + _columns(self.joins, 6)


def _found(state: State, row: Row) -> _Found:
    """Return the columns by which queries find an execution."""
    queue = priority = ready_since = None
    if row.lanes:
        lane, ready_since = next(iter(row.lanes.items()))
        queue, priority = state.plan.lanes[lane]
    return state.ended_at_us or None, row.wake_at_us or None, ready_since, queue, priority


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]
