"""Replay of a recorded history with the current definition and durable handlers.

External inputs (results, signals, time) are taken from the history. The engine derives all other
events again, which must equal the recorded ones. Then each durable handler replays its journal.
"""

from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent, WorkflowStarted
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract.json_value import Json
from flowmesh.engine import (
    Begin,
    Breakpoints,
    Cancel,
    Collect,
    Command,
    Debounce,
    Decide,
    DeliveryLost,
    Expand,
    Finish,
    Join,
    NodeState,
    Pause,
    Record,
    Resume,
    SetAttributes,
    SetVariable,
    Signal,
    Start,
    State,
    Steer,
    Suspend,
    TaskEnded,
    TaskRuns,
    Terminate,
    TimersDue,
    Transition,
    decide,
    encode_output,
)
from flowmesh.engine.decisions.starting import TURN
from flowmesh.engine.state.journal import CALL, STEP, is_open
from flowmesh.engine.state.state import EXECUTION_CANCELED
from flowmesh.jsontext.integers import is_whole
from flowmesh.plan import (
    PayloadNeeded,
    Plan,
    inline,
    next_page,
    payload_reader,
    render_input,
    render_items,
    values_of,
)
from flowmesh.sdk.durable.context import DurableContext
from flowmesh.sdk.durable.failures import NonDeterministic
from flowmesh.sdk.durable.run import Operation, Run
from flowmesh.sdk.values.histories import History
from flowmesh.sdk.values.payloads import decode_bytes, decode_inline, encode
from flowmesh.sdk.worker.context import TaskContext

DurableHandler = Callable[..., Coroutine[Any, Any, Json]]


class ReplayMismatch(AssertionError):
    """The current code does not reproduce the recorded history.

    `sequence` is the sequence of the recorded event; `node` is the node of the durable handler if
    its journal does not match.
    """

    def __init__(self, message: str, *, sequence: int = 0, node: str = "") -> None:
        super().__init__(message)
        self.sequence = sequence
        self.node = node


class _StoredElsewhere(Exception):
    """A value above 256 KiB is needed, of which the history has only the digest."""


class Replay:
    """The replay of one history."""

    def __init__(
        self, plan: Plan, history: History, handlers: Mapping[str, DurableHandler]
    ) -> None:
        self._plan = plan
        self._history = history
        self._handlers = handlers
        self._state = State(history.execution_id, plan)
        self._decided: deque[HistoryEvent] = deque()
        self._asks: deque[NodeState] = deque()
        self._unfinished = False
        self._journals: dict[str, _Journal] = {}

    async def run(self) -> None:
        """Replay all events; raise ReplayMismatch at the first difference."""
        events = self._history.events
        for place, event in enumerate(events):
            if not self._decided:
                following = events[place + 1] if place + 1 < len(events) else None
                self._follow(event, following)
            if not self._decided:
                raise ReplayMismatch(
                    f"event {event.sequence} is {_named(event)}, which can no longer happen",
                    sequence=event.sequence,
                )
            self._compare(event, self._decided.popleft())
            self._track(event)
        if self._decided:
            extra = _named(self._decided[0])
            raise ReplayMismatch(
                f"the history ends with event {len(events)}; the current code adds {extra}",
                sequence=len(events),
            )
        for node_id, journal in self._journals.items():
            journal.replay(node_id, self._history.execution_id, self._plan)

    def _follow(self, event: HistoryEvent, following: HistoryEvent | None) -> None:
        """Apply the external input that an event records."""
        try:
            command = self._command(event, following)
            if command is not None:
                self._decide(command, event.at_us)
        except PayloadNeeded:
            # The output needs a value that is not in the history: accept the recorded event.
            self._decided.append(event)
        except (KeyError, ValueError) as error:
            raise ReplayMismatch(
                f"event {event.sequence} is {_named(event)}: {error}", sequence=event.sequence
            ) from error

    def _decide(self, command: Command, at_us: int) -> None:
        done = Transition(self._state)
        decide(self._state, command, at_us, done)
        self._decided.extend(done.history.events)
        self._asks.extend(done.asks)
        self._unfinished = bool(done.needs_payload)

    def _command(self, event: HistoryEvent, following: HistoryEvent | None) -> Command | None:
        kind = event.WhichOneof("event") or ""
        body = getattr(event, kind)
        match kind:
            case "workflow_started":
                return _started(body, following)
            case "workflow_begun" if self._state.hold and self._state.hold.reason == TURN:
                return Begin()
            case "start_debounced":
                start = Start(body.input, body.request_id, body.actor, search=tuple(body.search))
                return Debounce(start)
            case "execution_joined":
                return Join(body.by_id, body.by_node, body.by_attempt)
            case "task_started" if body.delivery > 1:
                return DeliveryLost(body.node, body.attempt)
            case "task_started":
                return TaskRuns(body.node, body.attempt, body.worker_id, body.started_at_us)
            case "task_completed":
                if self._asks:
                    return self._served(body.output)
                return TaskEnded(body.node, body.attempt, body.output, metadata=body.metadata)
            case "task_failed" | "task_retrying" | "task_held":
                begun = self._state.reach(body.node).delivery > 0
                return TaskEnded(body.node, body.attempt, failure=body.failure, begun=begun)
            case "signal_received":
                return Signal(body.name, body.payload, body.request_id, body.actor)
            case "workflow_canceled":
                return Cancel(body.reason, body.request_id, body.actor)
            case "workflow_terminated":
                return Terminate(body.reason, body.request_id, body.actor)
            case "workflow_paused":
                return Pause(body.reason, body.request_id, body.actor)
            case "workflow_resumed":
                return Resume(body.reason, body.request_id, body.actor)
            case "journal_appended" | "task_suspended":
                return self._asked(event, following)
            case "node_steered" | "breakpoints_set" | "approval_decided" | "compensation_started":
                return _manual_command(event, following)
            case "variable_set":
                return SetVariable(body.name, body.value, body.reason, body.request_id, body.actor)
            case "search_attributes_set":
                values, removed = tuple(body.values), tuple(body.removed)
                return SetAttributes(values, removed, body.request_id, body.actor)
            case _ if self._asks:
                return self._served(None)
            case "workflow_completed" | "workflow_failed" if self._unfinished:
                return self._finished()
            case _:
                return TimersDue()

    def _asked(self, event: HistoryEvent, following: HistoryEvent | None) -> Command:
        if event.HasField("task_suspended"):
            body = event.task_suspended
            node = self._state.reach(body.node)
            known = len(node.journal.records) if node.journal is not None else 0
            again = following is not None and following.HasField("task_scheduled")
            if again and following is not None and following.task_scheduled.node == body.node:
                known = 0
            return Suspend(body.node, body.attempt, known=known)
        appended = event.journal_appended
        over = (each for each in appended.records if each.kind != STEP and not is_open(each))
        if any(not each.canceled for each in over):
            return TimersDue()
        return Record(
            appended.node, appended.attempt, appended.records, began_at_us=appended.began_at_us
        )

    def _served(self, output: payload_pb2.Payload | None) -> Command:
        node = self._asks.popleft()
        of = node.map
        if of is not None and of.begun == of.total:
            return Collect(node.id, output)
        if node.machine is not None or node.is_group or node.planned.pages_max:
            return Expand(node.id)
        if node.planned.kind == plan_pb2.NODE_KIND_STATES:
            return Expand(node.id, value=render_input(self._state, node))
        items = render_items(self._state, node, inline)
        return Expand(node.id, items, next_page(node, inline))

    def _finished(self) -> Finish:
        assert self._plan.output is not None
        value = self._plan.output.render(values_of(self._state, payload_reader({})))
        return Finish(stored=payload_pb2.Payload(data=encode_output(value)))

    def _compare(self, recorded: HistoryEvent, decided: HistoryEvent) -> None:
        if _facts(recorded) == _facts(decided):
            return
        raise ReplayMismatch(
            f"event {recorded.sequence} is {_named(recorded)}; the current code produces"
            f" {_named(decided)}",
            sequence=recorded.sequence,
        )

    def _track(self, event: HistoryEvent) -> None:
        """Collect the journals and outputs of durable handlers."""
        kind = event.WhichOneof("event")
        if kind == "task_scheduled":
            node = self._state.node(event.task_scheduled.node)
            spec = node.planned.spec if node is not None else None
            handler = self._handlers.get(spec.task_type) if spec is not None else None
            if node is None or spec is None or handler is None or node.id in self._journals:
                return
            given = self._given(node)
            if given is not None:
                self._journals[node.id] = _Journal(handler, given, spec.config)
        elif kind == "journal_appended":
            journal = self._journals.get(event.journal_appended.node)
            if journal is not None:
                journal.add(event)
        elif kind in ("task_completed", "task_failed"):
            body = getattr(event, kind)
            ended = self._journals.get(body.node)
            if ended is not None and kind == "task_completed":
                ended.output = body.output
            self._track_call(body, event.at_us)

    def _given(self, node: NodeState) -> payload_pb2.Payload | None:
        """Return the input of a handler; None if the history does not contain its values."""
        try:
            given = render_input(self._state, node)
        except PayloadNeeded:
            return None
        return None if given.HasField("reference") else given

    def _track_call(self, body: Any, at_us: int) -> None:
        """Add the end of a task called by a handler to the journal of the handler."""
        owner, _, rest = body.node.rpartition("[")
        index, _, name = rest.partition("]/")
        journal = self._journals.get(owner)
        if journal is None or not is_whole(index):
            return
        record = JournalRecord(index=int(index), kind=CALL, name=name, at_us=at_us)
        if isinstance(getattr(body, "failure", None), failure_pb2.Failure):
            record.failure.CopyFrom(body.failure)
        else:
            record.output.CopyFrom(body.output)
        journal.records.append(record)


def _started(body: WorkflowStarted, following: HistoryEvent | None) -> Start:
    """Return the start command, with the state of its concurrency key."""
    start = Start(body.input, body.request_id, body.actor, body.traceparent)
    if following is not None and following.HasField("workflow_held"):
        hold = following.workflow_held.hold
        start.key, start.waits = hold.key, hold.reason == TURN
    if body.HasField("link"):
        start.link = body.link
    return start


def _manual_command(event: HistoryEvent, following: HistoryEvent | None) -> Command:
    """Return the command of a manual change."""
    if event.HasField("breakpoints_set"):
        stops = event.breakpoints_set
        return Breakpoints(stops.all, frozenset(stops.nodes), stops.request_id, stops.actor)
    if event.HasField("approval_decided"):
        decision = event.approval_decided
        form = decision.form if decision.HasField("form") else None
        return Decide(
            decision.node,
            decision.by,
            decision.approved,
            decision.comment,
            form,
            decision.request_id,
        )
    if event.HasField("compensation_started"):
        closing = event.compensation_started
        command = Cancel if closing.outcome == EXECUTION_CANCELED else Terminate
        return command(closing.reason, closing.request_id, closing.actor, compensate=True)
    steered = event.node_steered
    output = steered.output if steered.HasField("output") else None
    if steered.action == execution_pb2.NODE_ACTION_COMPLETE and following is not None:
        output = following.task_completed.output
    return Steer(
        steered.node,
        steered.action,
        steered.input if steered.HasField("input") else None,
        output,
        steered.reason,
        steered.request_id,
        steered.actor,
    )


class _Journal:
    """A durable handler with its recorded journal; a host that runs no steps."""

    def __init__(self, handler: DurableHandler, given: payload_pb2.Payload, config: bytes) -> None:
        self._handler = handler
        self._given = given
        self._config = config
        self.records: list[JournalRecord] = []
        self.began_at_us = 0
        self.output: payload_pb2.Payload | None = None
        self._value: Json = None
        self._error: BaseException | None = None
        self._over = False

    def add(self, event: HistoryEvent) -> None:
        appended = event.journal_appended
        self.began_at_us = appended.began_at_us or self.began_at_us
        for given in appended.records:
            record = JournalRecord()
            record.CopyFrom(given)
            record.at_us = event.at_us
            self.records.append(record)

    def replay(self, node_id: str, execution_id: str, plan: Plan) -> None:
        """Replay the journal; raise ReplayMismatch if the handler does not reproduce it."""
        task = task_pb2.Task(
            namespace=plan.namespace,
            execution_id=execution_id,
            workflow_id=plan.workflow_id,
            node=node_id,
            attempt=1,
            input=self._given,
            idempotency_key=f"{execution_id}/{node_id}",
        )
        context = TaskContext(
            task, config=self._config, deadline=None, monotonic=lambda: 0.0, report=lambda *_: None
        )
        run = Run(
            handler=lambda one: self._handler(
                DurableContext(one, context), decode_inline(self._given)
            ),
            host=self,
            began_at_us=self.began_at_us,
            read=_read,
        )
        run.committed(self.records)
        try:
            run.turn()
        except _StoredElsewhere:
            return  # the history does not contain the value that the handler needs
        finally:
            run.leave()
        if isinstance(self._error, NonDeterministic):
            raise ReplayMismatch(f"{node_id}: {self._error}", node=node_id) from self._error
        if self.output is None or self.output.HasField("reference"):
            return
        if not self._over:
            message = (
                f"{node_id}: it completed, and now it requests more operations than its journal has"
            )
            raise ReplayMismatch(message, node=node_id)
        if self._error is not None:
            message = f"{node_id}: it completed, and now it fails: {self._error}"
            raise ReplayMismatch(message, node=node_id) from self._error
        recorded = decode_inline(self.output)
        current = decode_bytes(encode(self._value))
        if current != recorded:
            message = f"{node_id}: its output was {recorded!r}, and now it is {current!r}"
            raise ReplayMismatch(message, node=node_id)

    def commit(self, records: Sequence[JournalRecord]) -> None:
        """Ignore records; a replay commits none."""

    def commit_ahead(self, records: Sequence[JournalRecord]) -> None:
        """Ignore records; a replay commits none."""

    def begin(self, operation: Operation) -> None:
        """Ignore steps; a replay runs none."""

    def stop(self, index: int) -> None:
        """Ignore steps; a replay runs none."""

    def waits(self) -> None:
        """Ignore the end of the journal."""

    def ended(self, value: Json, error: BaseException | None) -> None:
        self._over, self._value, self._error = True, value, error


def _read(payload: payload_pb2.Payload) -> Json:
    """Decode a value of the history."""
    if payload.HasField("reference"):
        raise _StoredElsewhere
    return decode_inline(payload)


def _named(event: HistoryEvent) -> str:
    """Describe an event for messages, such as `TaskScheduled charge`."""
    kind = event.WhichOneof("event") or ""
    body = getattr(event, kind)
    name = "".join(part.capitalize() for part in kind.split("_"))
    of = getattr(body, "node", "") or getattr(body, "name", "")
    failure = getattr(body, "failure", None) if kind == "workflow_failed" else None
    cause = f": {failure.message}" if failure is not None else ""
    return f"{name} {of}".strip() + cause


def _facts(event: HistoryEvent) -> tuple[Any, ...]:
    """Return the parts of an event that must be equal; times and random values may differ."""
    kind = event.WhichOneof("event") or ""
    body = getattr(event, kind)
    facts: list[Any] = [kind, getattr(body, "node", ""), getattr(body, "attempt", 0)]
    match kind:
        case "task_skipped":
            facts.append(body.reason)
        case "workflow_completed":
            facts.append(body.output.data)
        case "workflow_failed":
            facts += [getattr(body.failure, "class"), body.failure.node]
        case "map_started":
            facts.append(body.count)
        case "journal_appended":
            facts += [(each.index, each.kind, each.WhichOneof("outcome")) for each in body.records]
    return tuple(facts)
