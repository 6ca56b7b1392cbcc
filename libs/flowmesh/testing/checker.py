"""Checks of the invariants I1 to I9, which must hold after any fault.

The checks read the rows of the database, the calls of a receiver, the events of a subscriber and
the responses of callers. Each returns a list of problems, which is empty if the invariant holds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import State, has_ended, replay
from flowmesh.plan import Plan, compile_plan

TIMEOUT_S = 30.0
TERMINAL = (
    "workflow_completed",
    "workflow_failed",
    "workflow_canceled",
    "workflow_terminated",
    "workflow_continued",
)
NODE_ENDED = ("task_completed", "task_failed", "task_skipped", "task_canceled")
RESULTS = ("task_completed", "task_failed", "task_retrying")
# Event times are of the database clock as a process estimates it; the sink has the machine clock.
CLOCK_TOLERANCE_US = 20_000

_EXECUTIONS = """
select id, request_id, partition, status, started_at, ended_at, wake_at, ready_since, plan_digest
from orchestrator.executions where workflow_id = any($1) order by id"""
_HISTORY = """
select h.execution_id, h.seq, h.events from orchestrator.history h
join orchestrator.executions e on e.id = h.execution_id and e.workflow_id = any($1)
order by h.execution_id, h.seq"""
_PLANS = """
select digest, body from orchestrator.plans
where digest in (select plan_digest from orchestrator.executions where workflow_id = any($1))"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored execution; `rows` has the first sequence and the events of each commit."""

    id: str
    request_id: str
    partition: int
    status: int
    ended_at_us: int
    wake_at_us: int
    plan: Plan
    rows: tuple[tuple[int, tuple[history.HistoryEvent, ...]], ...]

    @property
    def events(self) -> list[history.HistoryEvent]:
        return [event for _, events in self.rows for event in events]

    @property
    def ended(self) -> bool:
        return has_ended(self.status)

    def replayed(self) -> State:
        """Replay the history and return its state; raises ValueError if it is inconsistent."""
        return replay(self.id, self.plan, self.events)


@dataclass(frozen=True, slots=True)
class SinkCall:
    """A call received by the sink: its step, Idempotency-Key and time."""

    step: str
    key: str
    at_us: int


async def reader(postgres: str) -> asyncpg.Connection:
    """Open a read-only connection."""
    settings = {"default_transaction_read_only": "on"}
    return await asyncpg.connect(postgres, timeout=TIMEOUT_S, server_settings=settings)


async def read_stored(
    connection: asyncpg.Connection, workflow_ids: Sequence[str]
) -> dict[str, Stored]:
    """Read all executions of these workflows with their histories in one snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        executions = await connection.fetch(_EXECUTIONS, workflow_ids)
        histories = await connection.fetch(_HISTORY, workflow_ids)
        bodies = await connection.fetch(_PLANS, workflow_ids)
    plans = {row["digest"]: compile_plan(plan_pb2.Plan.FromString(row["body"])) for row in bodies}
    rows: dict[str, list[tuple[int, tuple[history.HistoryEvent, ...]]]] = defaultdict(list)
    for row in histories:
        events = tuple(history.HistoryEvents.FromString(row["events"]).events)
        rows[row["execution_id"]].append((row["seq"], events))
    return {
        row["id"]: Stored(
            id=row["id"],
            request_id=row["request_id"] or "",
            partition=row["partition"],
            status=row["status"],
            ended_at_us=row["ended_at"] or 0,
            wake_at_us=row["wake_at"] or 0,
            plan=plans[row["plan_digest"]],
            rows=tuple(rows[row["id"]]),
        )
        for row in executions
    }


# --- I1 ---


def check_starts(stored: Mapping[str, Stored], answers: Mapping[str, Iterable[str]]) -> list[str]:
    """Check that each acknowledged start and each request id has exactly one execution.

    `answers` has the execution ids returned for each request id, including retries.
    """
    found = Counter(one.request_id for one in stored.values())
    problems = [f"I1 {key}: {count} executions" for key, count in found.items() if count > 1]
    by_request = {one.request_id: one.id for one in stored.values()}
    for key, ids in answers.items():
        for execution_id in sorted(set(ids)):
            if by_request.get(key) != execution_id:
                problems.append(f"I1 {key}: answered {execution_id}, has {by_request.get(key)}")
    return problems


# --- I2, I3, I4, I6, I9: one history ---


def check_history(one: Stored) -> list[str]:
    """Check that a history is complete, ordered, ended, and consistent with its stored row."""
    problems: list[str] = []
    events = one.events
    sequences = [event.sequence for event in events]
    if sequences != list(range(1, len(events) + 1)):
        problems.append(f"I2 sequences {sequences}")
    if any(not events or events[0].sequence != first for first, events in one.rows):
        problems.append("I2 a row's key is not the sequence of its first event")
    kinds = [kind_of(event) for event in events]
    terminal = [kind for kind in kinds if kind in TERMINAL]
    if len(terminal) > 1 or (terminal and kinds[-1] != terminal[0]):
        problems.append(f"I2 terminal events {terminal}, last {kinds[-1]}")
    if not terminal:
        problems.append(f"I9 stuck after {kinds[-1] if kinds else 'no event'}")
    if not problems:
        problems += _check_replay(one)
    return [f"{one.id}: {problem}" for problem in problems + _check_nodes(one, events)]


def _check_replay(one: Stored) -> list[str]:
    try:
        state = one.replayed()
    except (ValueError, KeyError) as error:
        return [f"I2 does not replay: {error}"]
    replayed = (state.status, state.ended_at_us, 0 if state.ended else state.wake_at_us)
    written = (one.status, one.ended_at_us, one.wake_at_us)
    return [] if replayed == written else [f"I2 replay gives {replayed}, the row has {written}"]


def _check_nodes(one: Stored, events: Sequence[history.HistoryEvent]) -> list[str]:
    problems: list[str] = []
    ended: dict[str, str] = {}
    due: dict[str, int] = {}
    attempts: dict[str, int] = defaultdict(int)
    for event in events:
        kind = kind_of(event)
        body = getattr(event, kind)
        node = getattr(body, "node", "")
        if node in ended:
            problems.append(f"I3 {kind} of {node} after its {ended[node]}")
        if kind in ("task_scheduled", "timer_started", "task_skipped"):
            open_before = [i for i in _dependencies(one.plan, node) if i not in ended]
            if open_before:
                problems.append(f"I4 {kind} of {node} before the end of {open_before}")
        if kind == "task_scheduled":
            if body.attempt != attempts[node] + 1:
                problems.append(f"I3 {node}: attempt {body.attempt} after {attempts[node]}")
            attempts[node] = body.attempt
        elif kind in RESULTS and attempts.get(node, body.attempt) != body.attempt:
            problems.append(f"I3 {node}: {kind} of attempt {body.attempt}")
        early = due.pop(node, 0) - event.at_us if kind in ("timer_fired", "task_scheduled") else 0
        if early > 0:
            problems.append(f"I6 {kind} of {node} {early} us early")
        if kind in ("timer_started", "task_retrying"):
            due[node] = body.fire_at_us if kind == "timer_started" else body.retry_at_us
        if kind in NODE_ENDED:
            ended[node] = kind
    return problems


def _dependencies(plan: Plan, node_id: str) -> list[str]:
    cut = node_id.rfind("/") + 1
    graph = plan.at(node_id[: cut - 1]).body if cut else plan
    assert graph is not None
    return [node_id[:cut] + graph.nodes[index].id for index in plan.at(node_id).dependencies]


# --- I3, I4 at the receiver ---


def check_sink(
    stored: Mapping[str, Stored],
    calls: Sequence[SinkCall],
    steps: Iterable[str],
    *,
    extra_deliveries: int,
) -> list[str]:
    """Check the calls of the receiver against the accepted results.

    Every completed step was called with one key of its own, after the results of its dependencies,
    and at most once per delivery in its history, plus `extra_deliveries` for crashes before a
    commit.
    """
    problems: list[str] = []
    seen: dict[tuple[str, str], list[SinkCall]] = defaultdict(list)
    for call in calls:
        seen[call.step, call.key].append(call)
    for step in steps:
        expected = {key_of(one.id, step): one for one in stored.values() if completed(one, step)}
        keys = {key for name, key in seen if name == step}
        lost, unknown = expected.keys() - keys, keys - expected.keys()
        if lost or unknown:
            problems.append(
                f"I3 {step}: {len(lost)} accepted but never called, unexpected {unknown}"
            )
        for key in expected.keys() & keys:
            of_key = seen[step, key]
            maximum = _deliveries(expected[key], step) + extra_deliveries
            if len(of_key) > maximum:
                problems.append(f"I3 {key}: called {len(of_key)} times, at most {maximum}")
            ready_us = _ready_at_us(expected[key], step)
            if min(call.at_us for call in of_key) < ready_us - CLOCK_TOLERANCE_US:
                problems.append(f"I4 {key}: called before its dependencies had ended")
    return problems


def check_effects(
    stored: Mapping[str, Stored], effects: Iterable[Mapping[str, Any]], steps: Iterable[str]
) -> list[str]:
    """Check that the file of effects has each accepted step exactly once and no other step."""
    keyed = [line for line in effects if line["key"] and line["applied"]]
    applied = Counter((line["route"], line["key"]) for line in keyed)
    problems = [f"I3 {key} of {step}: {n} effects" for (step, key), n in applied.items() if n > 1]
    for step in steps:
        expected = {key_of(one.id, step) for one in stored.values() if completed(one, step)}
        found = {key for route, key in applied if route == step}
        if expected != found:
            lost, unexpected = len(expected - found), sorted(found - expected)[:5]
            problems.append(
                f"I3 {step}: {lost} accepted without an effect, unexpected {unexpected}"
            )
    return problems


def key_of(execution_id: str, step: str) -> str:
    """Return the Idempotency-Key of a step, which all its attempts share."""
    return f"{execution_id}/{step}"


def completed(one: Stored, step: str) -> bool:
    """Return whether the result of a step was accepted."""
    return any(
        event.HasField("task_completed") and event.task_completed.node == step
        for event in one.events
    )


def _deliveries(one: Stored, step: str) -> int:
    """Return the number of deliveries of a step in its history."""
    deliveries: dict[int, int] = {}
    for event in one.events:
        if event.HasField("task_started") and event.task_started.node == step:
            started = event.task_started
            deliveries[started.attempt] = max(started.delivery, deliveries.get(started.attempt, 1))
        elif event.HasField("task_scheduled") and event.task_scheduled.node == step:
            deliveries.setdefault(event.task_scheduled.attempt, 1)
    return sum(deliveries.values())


def _ready_at_us(one: Stored, step: str) -> int:
    before = set(_dependencies(one.plan, step))
    return max(
        (
            event.at_us
            for event in one.events
            if kind_of(event) in NODE_ENDED and getattr(event, kind_of(event)).node in before
        ),
        default=0,
    )


# --- I7 ---


def check_watched(
    stored: Mapping[str, Stored], watched: Mapping[str, Sequence[int]], ids: Iterable[str]
) -> list[str]:
    """Check that a subscriber received every event of these executions once and in order."""
    problems = []
    for execution_id in ids:
        expected = [event.sequence for event in stored[execution_id].events]
        got = list(watched.get(execution_id, ()))
        if got != expected:
            problems.append(f"I7 {execution_id}: got {got}, stored 1..{len(expected)}")
    return problems


# --- responses of reads ---


def check_answer(one: Stored, answer: execution_pb2.Execution) -> list[str]:
    """Check that a response equals the state replayed from the history."""
    state = one.replayed()
    problems = []
    if (answer.status, answer.last_sequence) != (state.status, state.sequence):
        problems.append(f"{one.id}: answered {answer.status} at {answer.last_sequence}")
    for node in answer.nodes:
        known = state.node(node.id)
        expected: tuple[Any, ...] = (execution_pb2.NODE_STATUS_PENDING, 0, b"")
        if known is not None:
            output = known.output.data if known.output is not None else b""
            expected = (known.status, known.attempt, output)
        if (node.status, node.attempts, node.output.data) != expected:
            problems.append(f"{one.id}: answered another state of {node.id}")
    return problems


def kind_of(event: history.HistoryEvent) -> str:
    return event.WhichOneof("event") or ""


def value_of(payload: payload_pb2.Payload | None) -> Any:
    """Decode the JSON of an inline payload; None without one."""
    return orjson.loads(payload.data) if payload is not None and payload.data else None
