"""The invariants I1 to I9, evaluated on the record of a run. No I/O; says what is wrong.

`violations(record)` answers a line for everything that must not be, beginning with the number of
its invariant. What a record does not hold (commits of a real database, say) is not looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1.execution_pb2 import NODE_ACTION_COMPLETE, NODE_ACTION_RETRY
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import State, replay
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.model.search_values import search_rows
from flowmesh.orchestrator.storage.snapshots import snapshot
from flowmesh.plan import Plan, compile_plan
from tests.simulation.actors.families import links
from tests.simulation.checks.chains import chains
from tests.simulation.checks.history import Call, Commit, Outcome, Record, Stored
from tests.simulation.checks.journals import journals
from tests.simulation.servers.lines import joined, lines

TERMINAL = frozenset(
    {
        "workflow_completed",
        "workflow_failed",
        "workflow_canceled",
        "workflow_terminated",
        "workflow_continued",
    }
)
NODE_ENDS = frozenset({"task_completed", "task_failed", "task_skipped", "task_canceled"})
ATTEMPT_EVENTS = frozenset({"task_started", "task_completed", "task_failed", "task_retrying"})
STARTS = frozenset({"start", "rerun"})
COMMANDS = {
    "signal": ("signal_received",),
    "pause": ("workflow_paused",),
    "resume": ("workflow_resumed",),
    "cancel": ("workflow_canceled", "compensation_started"),
    "terminate": ("workflow_terminated", "compensation_started"),
    "steer": ("node_steered",),
    "stops": ("breakpoints_set",),
    "variable": ("variable_set",),
    "decide": ("approval_decided",),
}
PLANS_KEPT = 1_000
_CLOSING = "compensation_started"


@lru_cache(maxsize=PLANS_KEPT)
def _plan(body: bytes) -> Plan:
    return compile_plan(plan_pb2.Plan.FromString(body))


class Told:
    """One execution's events, each with its kind and the commit that inserted it."""

    def __init__(self, stored: Stored, commits: dict[tuple[str, int], Commit]) -> None:
        self.stored = stored
        self.plan = _plan(stored.plan)
        self.events: list[tuple[str, Any, Any]] = []
        self.commits: list[Commit | None] = []
        self.unreadable = ""
        for first, encoded in stored.rows.items():
            commit = commits.get((stored.execution_id, first))
            for event in history_event_pb2.HistoryEvents.FromString(encoded).events:
                kind = event.WhichOneof("event") or ""
                self.events.append((kind, event, getattr(event, kind)))
                self.commits.append(commit)

    @property
    def id(self) -> str:
        return self.stored.execution_id

    def of(self, *kinds: str) -> Iterator[tuple[Any, Any, Commit | None]]:
        """Events of some kinds: the event, what is in it, its commit."""
        for (kind, event, body), commit in zip(self.events, self.commits, strict=True):
            if kind in kinds:
                yield event, body, commit


def events_of(stored: Stored) -> int:
    """Return the number of events of an execution."""
    rows = stored.rows.values()
    return sum(len(history_event_pb2.HistoryEvents.FromString(row).events) for row in rows)


def violations(record: Record) -> list[str]:
    """Everything that must not be, in words."""
    commits = {key: commit for commit in record.commits for key in commit.rows}
    told = {i: Told(stored, commits) for i, stored in record.executions.items()}
    found: list[str] = []
    found += _starts(record, told)
    found += _commands(record, told)
    for one in told.values():
        found += _history(one)
        found += _nodes(one)
        found += _timers(one)
        found += _undone(one)
        found += journals(one)
        found += chains(one)
    found += lines(told)
    found += _effects(record, told)
    found += _epochs(record)
    for name, deliveries in record.deliveries.items():
        found += _delivered(name, deliveries, told, complete=record.settled)
    found += links(told, settled=record.settled)
    found += _stuck(record, told)
    return found


# --- I1: starts and commands ---


def _starts(record: Record, told: dict[str, Told]) -> Iterator[str]:
    calls: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in record.calls:
        if call.kind in STARTS:
            # Without a request id the content tells one start from the others.
            calls[call.request_id, "" if call.request_id else call.content].append(call)
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    shared = {one.id for one in told.values() if one.plan.start_shared}
    for one in told.values():
        named = _given(one.stored.request_id)
        made[named, "" if named else _content(one)].append(one.id)
    for key, some in calls.items():
        answers = {call.execution_id for call in some if call.outcome is Outcome.OK}
        if answers and answers <= shared:
            yield from joined(key[0], answers, made.get(key, []))
        else:
            yield from _start(key, some, made.get(key, []))
    born = {i: commit for commit in record.commits for i in commit.started}
    for call in record.calls:
        commit = born.get(call.execution_id)
        if call.kind not in STARTS or call.outcome is not Outcome.OK or not record.commits:
            continue
        if commit is None or commit.tick > call.tick:
            yield f"I1 start {call.request_id!r} was answered before its commit"


def _given(request_id: str) -> str:
    """The request id as its caller gave it: one in the form of an execution's id is not theirs."""
    return "" if partition_of(request_id) is not None else request_id


def _content(one: Told) -> str:
    for _, body, _ in one.of("workflow_started"):
        return f"{body.workflow_id} {body.input.data.decode()}"
    return ""


def _start(key: tuple[str, str], calls: list[Call], made: list[str]) -> Iterator[str]:
    name = key[0] or key[1]
    ok = [call for call in calls if call.outcome is Outcome.OK]
    unsure = [call for call in calls if call.outcome is Outcome.UNKNOWN]
    most = 1 if key[0] else len(ok) + len(unsure)
    if len(made) > most or (len(made) > 0 and not ok and not unsure):
        yield f"I1 start {name!r} made {len(made)} executions: {made}"
    for call in ok:
        if call.execution_id not in made:
            yield f"I1 start {name!r} was answered {call.execution_id}, there is {made}"
    if key[0] and len({call.content for call in ok}) > 1:
        yield f"I1 starts with other content share the request id {name!r}"


def _runs_from(one: Told, told: dict[str, Told]) -> list[Told]:
    """The execution and the runs that continue it."""
    runs = [one]
    following = {
        started.link.continued_from: each
        for each in told.values()
        for _, _, started in each.events[:1]
    }
    while (later := following.get(runs[-1].id)) is not None:
        runs.append(later)
    return runs


def _commands(record: Record, told: dict[str, Told]) -> Iterator[str]:
    outcomes: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for call in record.calls:
        if call.kind in COMMANDS:
            outcomes[call.kind, call.execution_id, call.request_id].append(call.outcome)
    for (kind, execution_id, request_id), seen in outcomes.items():
        one = told.get(execution_id)
        if one is None:
            continue
        # A signal goes on to the last run of an execution that continues.
        runs = _runs_from(one, told) if kind == "signal" else [one]
        applied = [
            body.request_id
            for each in runs
            for _, body, _ in each.of(*COMMANDS[kind])
            if body.request_id
        ]
        times = sum(_given(each) == request_id for each in applied)
        accepted = seen.count(Outcome.OK)
        least, most = accepted, len(seen) - seen.count(Outcome.FAIL)
        if request_id:
            least, most = min(least, 1), 1
        if times > most:
            yield f"I1 {kind} {request_id!r} was applied {times} times to {execution_id}"
        elif times < least:
            yield f"I1 {kind} {request_id!r} was accepted and is not in {execution_id}"
        elif request_id and times and set(seen) == {Outcome.FAIL}:
            yield f"I1 {kind} {request_id!r} was refused and is in {execution_id}"


# --- I2: histories and states ---


def _history(one: Told) -> Iterator[str]:
    sequences = [event.sequence for _, event, _ in one.events]
    if sequences != list(range(1, len(sequences) + 1)):
        yield f"I2 {one.id} has the sequences {sequences}"
        return
    ends = [number for number, (kind, _, _) in enumerate(one.events) if kind in TERMINAL]
    if len(ends) > 1 or (ends and ends[0] != len(one.events) - 1):
        yield f"I2 {one.id} ends {len(ends)} times, or continues after its end"
        return
    try:
        state = replay(one.id, one.plan, (event for _, event, _ in one.events))
    except Exception as error:  # noqa: BLE001 (any error: the history cannot be replayed)
        yield f"I2 {one.id} cannot be replayed: {error!r}"
        return
    yield from _rows(one, state)
    body = snapshot(state)
    for held in one.stored.states:
        if held != body:
            yield f"I2 {one.id} is not in memory what its history adds up to"


def _rows(one: Told, state: State) -> Iterator[str]:
    wake_at_us = 0 if state.ended else state.wake_at_us
    if (one.stored.status, one.stored.wake_at_us) != (state.status, wake_at_us):
        yield (
            f"I2 the row of {one.id} says status {one.stored.status}, wake at"
            f" {one.stored.wake_at_us}; its history {state.status}, {wake_at_us}"
        )
    values = one.stored.values
    if values is not None and values != search_rows(state.search, state.failure):
        yield f"I2 {one.id} is found by {values}, and not by what its history says"


# --- I3: one result per node, of its current attempt ---


def _completed_by_hand(one: Told) -> set[str]:
    return {
        body.node for _, body, _ in one.of("node_steered") if body.action == NODE_ACTION_COMPLETE
    }


def _below(owner: str, nodes: Iterable[str]) -> list[str]:
    """Those in the body of a node, with those in theirs."""
    return [node for node in nodes if node.startswith(f"{owner}[")]


def _nodes(one: Told) -> Iterator[str]:
    scheduled: dict[str, int] = {}
    started: set[tuple[str, int]] = set()
    ended: Counter[str] = Counter()
    failed: set[str] = set()
    anew: set[str] = set()
    by_hand = _completed_by_hand(one)
    for kind, _, body in one.events:
        node = getattr(body, "node", "")
        if not node:
            continue
        if kind == "node_steered":
            # Opened again, with those that were skipped because of it.
            for opened in (node, *body.reopened):
                ended[opened] = 0
            if body.action == NODE_ACTION_RETRY:
                for begun_before in _below(node, ended):
                    ended[begun_before] = 0
                anew.add(f"{node}[")
            continue
        if ended[node]:
            yield f"I3 {one.id} {node}: {kind} after its end"
        attempt = getattr(body, "attempt", 0)
        if kind == "task_scheduled":
            before = scheduled.get(node, 0)
            # Numbers in a body that began anew come after all of before.
            follows = attempt > before if node.startswith(tuple(anew)) else attempt == before + 1
            if not follows:
                yield f"I3 {one.id} {node}: attempt {attempt} follows {before}"
            scheduled[node] = attempt
        elif kind == "task_started":
            started.add((node, attempt))
        current = scheduled.get(node, attempt)
        begun = attempt or node not in by_hand
        if kind in ATTEMPT_EVENTS and begun and attempt != current:
            yield f"I3 {one.id} {node}: {kind} of attempt {attempt}, not {current}"
        if kind in NODE_ENDS:
            ended[node] += 1
            (failed.add if kind == "task_failed" else failed.discard)(node)
        sent = kind == "task_completed" and one.plan.at(node).is_task
        if sent and node not in by_hand and (node, attempt) not in started:
            yield f"I3 {one.id} {node}: attempt {attempt} completed and never started"


# --- I3, I4: what the world saw ---


def _effects(record: Record, told: dict[str, Told]) -> Iterator[str]:
    if not record.effects:
        return
    seen: Counter[tuple[str, str, int]] = Counter()
    scheduled = {
        (one.id, body.node, body.attempt): commit
        for one in told.values()
        for _, body, commit in one.of("task_scheduled")
    }
    for effect in record.effects:
        attempt = (effect.execution_id, effect.node, effect.attempt)
        seen[attempt] += 1
        if effect.key != f"{effect.execution_id}/{effect.node}":
            yield f"I3 {attempt} reached a worker with the key {effect.key!r}"
        if told[effect.execution_id].plan.at(effect.node).repeatable:
            # Sent ahead of its commit, perhaps because of a decision that was discarded.
            continue
        if attempt not in scheduled:
            yield f"I4 {attempt} reached a worker and was never scheduled"
            continue
        commit = scheduled[attempt]
        if commit is not None and commit.tick > effect.tick:
            yield f"I4 {attempt} reached a worker before its commit"
        one = told[effect.execution_id]
        if not set(one.plan.at(effect.node).permissions) <= set(one.events[0][2].permissions):
            yield f"I4 {attempt} reached a worker and is not permitted"
    if record.calm:
        yield from (f"I3 {attempt} was sent {n} times" for attempt, n in seen.items() if n > 1)
    for one in told.values():
        by_hand = _completed_by_hand(one)
        for _, body, _ in one.of("task_completed"):
            sent = one.plan.at(body.node).is_task and body.node not in by_hand
            if sent and not seen[one.id, body.node, body.attempt]:
                yield f"I3 {one.id} {body.node} completed and no worker had it"


# --- I5: ownership ---


def _epochs(record: Record) -> Iterator[str]:
    epochs: dict[int, tuple[int, int]] = {}
    positions: dict[int, int] = {}
    for commit in record.commits:
        for partition, epoch in commit.epochs.items():
            highest, owner = epochs.get(partition, (0, commit.incarnation))
            if epoch < highest:
                yield f"I5 partition {partition}: epoch {epoch} committed after {highest}"
            elif epoch == highest and owner != commit.incarnation:
                yield f"I5 partition {partition}: two owners committed in epoch {epoch}"
            epochs[partition] = (max(epoch, highest), commit.incarnation)
        if commit.position != positions.get(commit.incarnation, 0) + 1:
            yield f"I5 incarnation {commit.incarnation} has no position before {commit.position}"
        positions[commit.incarnation] = commit.position


# --- I6: timers ---


def _timers(one: Told) -> Iterator[str]:
    due: dict[str, int] = {}
    untimed: set[str] = set()
    begun: set[str] = set()
    for (kind, event, body), commit in zip(one.events, one.commits, strict=True):
        if kind == "timer_started":
            due[body.node] = body.fire_at_us
        elif kind == "task_retrying":
            due[body.node] = body.retry_at_us
        elif kind == "timer_fired" and one.plan.at(body.node).signal:
            continue  # a wait over its limit
        elif kind == "task_suspended":
            untimed.add(body.node)
        elif kind == "node_steered" and body.action == NODE_ACTION_RETRY:
            for node in (body.node, *_below(body.node, begun | due.keys())):
                due.pop(node, None)
                begun.discard(node)
        elif kind == "task_scheduled" and body.node in untimed:
            untimed.discard(body.node)
        elif kind == "task_scheduled" and body.node not in begun:
            begun.add(body.node)
        elif kind in ("timer_fired", "task_scheduled"):
            at_us = due.pop(body.node, None)
            if at_us is None:
                yield f"I6 {one.id} {body.node}: fired twice, or never begun"
            elif event.at_us < at_us or (commit is not None and commit.at_us < at_us):
                early_us = at_us - min(event.at_us, commit.at_us if commit else event.at_us)
                yield f"I6 {one.id} {body.node}: {early_us} us too early"


# --- I7: subscribers ---


def _delivered(
    name: str, deliveries: Iterable[Any], told: dict[str, Told], *, complete: bool
) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for delivery in deliveries:
        one = told.get(delivery.execution_id)
        events = history_event_pb2.HistoryEvents.FromString(delivery.events).events
        for event in events:
            last = seen[delivery.execution_id]
            if event.sequence <= last:
                continue
            if event.sequence != last + 1:
                yield f"I7 {name}: {delivery.execution_id} {event.sequence} after {last}"
            seen[delivery.execution_id] = event.sequence
            known = one is not None and event.sequence <= len(one.events)
            if not known or one is None or one.events[event.sequence - 1][1] != event:
                yield f"I7 {name}: {delivery.execution_id} {event.sequence} is not in its history"
    if complete:
        for one in told.values():
            if seen[one.id] < len(one.events):
                yield f"I7 {name}: {one.id} was sent {seen[one.id]} of {len(one.events)} events"


# --- I8: what was done is undone once, what completed last first ---


def _has_undone(kind: str, body: Any) -> bool:
    """Return whether an undo node is done: completed, or skipped by a caller."""
    by_hand = kind == "task_skipped" and body.reason == history_event_pb2.SKIP_REASON_BY_HAND
    return kind == "task_completed" or by_hand


def _has_done(kind: str, body: Any) -> bool:
    return kind == "task_completed" or (kind == "result_reused" and not body.HasField("failure"))


def _undone(one: Told) -> Iterator[str]:
    closing = [number for number, (kind, *_) in enumerate(one.events) if kind == _CLOSING]
    undone = [
        body.node.removesuffix(":undo")
        for kind, _, body in one.events
        if _has_undone(kind, body) and body.node.endswith(":undo")
    ]
    if len(closing) > 1 or (undone and not closing):
        yield f"I8 {one.id} began to undo {len(closing)} times and undid {undone}"
        return
    if not closing:
        return
    for kind, _, body in one.events[closing[0] + 1 :]:
        if kind == "task_scheduled" and not body.node.endswith(":undo"):
            yield f"I8 {one.id} {body.node} began while what was done was being undone"
    done = [
        body.node
        for kind, _, body in one.events[: closing[0]]
        if _has_done(kind, body) and one.plan.at(body.node).undo is not None
    ]
    last, _, body = one.events[-1]
    cut_short = last == "workflow_terminated" and body.request_id
    whole = last in TERMINAL and not cut_short
    if whole and sorted(undone) != sorted(done):
        yield f"I8 {one.id} did {done} and undid {undone}"
    if not one.plan.compensation.parallel and undone != done[::-1][: len(undone)]:
        yield f"I8 {one.id} did {done} and undid {undone} in that order"


# --- I9: nothing is stuck ---


def _stuck(record: Record, told: dict[str, Told]) -> Iterator[str]:
    if record.settled:
        return
    yield "I9 not everything came to its end"
    for one in told.values():
        if one.events and one.events[-1][0] not in TERMINAL:
            kind, _, body = one.events[-1]
            yield f"I9 {one.id} is stuck after {kind} {getattr(body, 'node', '')}"
