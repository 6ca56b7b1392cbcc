"""The final proof, checked from outside: histories against the file of effects."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from examples.demo.cluster import Kill
from examples.demo.effects import APPLIED, REFUSED, REPEATED, Effect
from examples.demo.progress import Run
from examples.demo.workflows import wrong_result
from flowmesh.sdk import Client, Event, Execution, NodeStatus

READERS_MAX: Final = 16
EXAMPLES_MAX: Final = 3
CALLED_TYPES: Final = ("http.request", "webhook")
# The last events of nodes; every attempt lies between its schedule and one of these.
NODE_ENDS: Final = ("TaskCompleted", "TaskFailed", "TaskSkipped", "TaskCanceled")


@dataclass(frozen=True, slots=True)
class Record:
    """An execution with its complete history, read at the end."""

    run: Run
    execution: Execution
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """An attempt, from its readiness to the acceptance of its end."""

    ready: datetime
    ended: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the proof; `problems` are examples of violations."""

    what: str
    found: str
    ok: bool
    problems: tuple[str, ...] = ()


async def read_back(client: Client, runs: Iterable[Run]) -> list[Record]:
    """Read every acknowledged execution from the database of the suite."""
    gate = asyncio.Semaphore(READERS_MAX)

    async def read(run: Run) -> Record:
        async with gate:
            events = [event async for event in client.history(run.execution_id)]
            return Record(run, await client.get_execution(run.execution_id), tuple(events))

    return await asyncio.gather(*(read(run) for run in runs if run.execution_id))


async def started_ids(client: Client) -> Counter[str]:
    """Return the number of executions of each request id."""
    return Counter([execution.request_id async for execution in client.list_executions()])


class Proof:
    """Compares histories with the responses of callers and the file of effects."""

    def __init__(
        self,
        *,
        runs: Sequence[Run],
        records: Sequence[Record],
        started: Counter[str],
        effects: Sequence[Effect],
        kills: Sequence[Kill],
    ) -> None:
        self._runs = runs
        self._records = records
        self._started = started
        self._kills = kills
        self._calls = [effect for effect in effects if effect.answered and not effect.callback]
        self._callbacks = [effect for effect in effects if effect.callback]
        self._faults = len(effects) - len(self._calls) - len(self._callbacks)
        self._by_key: dict[str, list[Effect]] = defaultdict(list)
        for call in self._calls:
            self._by_key[call.key].append(call)

    def checks(self) -> list[Check]:
        """Return all lines of the proof in order."""
        return [
            *self._ends(),
            self._started_once(),
            self._gapless(),
            self._accepted_once(),
            self._applied_once(),
            self._repeats(),
            self._results(),
            self._computed(),
            self._callbacks_delivered(),
        ]

    def _ends(self) -> list[Check]:
        """Check that every order ended as expected, for its caller and in the suite."""
        executions = {record.run.order.request_id: record.execution for record in self._records}
        lost, wrong, completed, refused = [], [], 0, 0
        for run in self._runs:
            execution = executions.get(run.order.request_id)
            if execution is None or not execution.status.ended or run.status == "lost":
                lost.append(f"{run.order.request_id}: {run.failure or 'no end'}")
            elif problem := _wrong_end(run, execution):
                wrong.append(problem)
            elif run.order.fails_at:
                refused += 1
            else:
                completed += 1
        planned = sum(1 for run in self._runs if run.order.fails_at)
        total = len(self._runs)
        return [
            _check("executions started", str(len(executions)), _missing(total, len(executions))),
            _check("completed", f"{completed} of {total - planned}", wrong),
            _check("failed as expected", f"{refused} of {planned}", _missing(planned, refused)),
            _check("lost", str(len(lost)), lost),
        ]

    def _started_once(self) -> Check:
        twice = [f"{name}: {count}" for name, count in self._started.items() if count > 1]
        strange = self._started.keys() - {run.order.request_id for run in self._runs}
        extra = twice + sorted(strange)
        return _check("started twice", str(len(extra)), extra)

    def _gapless(self) -> Check:
        broken = [
            record.execution.id
            for record in self._records
            if [event.sequence for event in record.events]
            != list(range(1, record.execution.last_sequence + 1))
            or record.events[0].type != "WorkflowStarted"
            or [event.last for event in record.events].index(True) != len(record.events) - 1
        ]
        events = sum(len(record.events) for record in self._records)
        whole = len(self._records) - len(broken)
        found = f"{whole} of {len(self._records)}, {events} events"
        return _check("histories without a gap", found, broken)

    def _accepted_once(self) -> Check:
        """Check that each ended node has exactly one last event."""
        problems, steps = [], 0
        for record in self._records:
            ends = Counter(event.node for event in record.events if event.type in NODE_ENDS)
            steps += len(ends)
            for node in record.execution.nodes:
                if ends[node.id] != 1:
                    problems.append(f"{record.execution.id}/{node.id}: {ends[node.id]}")
        return _check("steps with exactly one result", f"{steps - len(problems)}", problems)

    def _applied_once(self) -> Check:
        """Check by the file of effects that each order reached each service once."""
        applied = [call for call in self._calls if call.outcome == APPLIED]
        by_key = Counter((call.route, call.key) for call in applied)
        by_subject = Counter((call.route, call.subject) for call in applied if call.subject)
        twice = [f"{what}: {n}" for what, n in (by_key + by_subject).items() if n > 1]
        return _check("steps applied twice", f"{len(twice)} of {len(applied)}", twice)

    def _repeats(self) -> Check:
        """Check that a key repeats only if its attempt was open at a kill, and after that kill.

        A repeat is also valid if the previous attempt is recorded as failed: on an overloaded
        machine a served call can time out.
        """
        spans: dict[str, list[Span]] = {}
        for record in self._records:
            for node, found in _attempts(record.events).items():
                spans[f"{record.execution.id}/{node}"] = found
        repeats = [call for call in self._calls if call.outcome == REPEATED]
        wrong = [
            f"{call.key}:"
            f" calls {[_clock(_moment(one.begun_us)) for one in self._by_key[call.key]]},"
            f" attempts {[_interval(span) for span in spans.get(call.key, [])]},"
            f" kills {[_interval(kill) for kill in self._kills]}"
            for call in repeats
            if not self._excused(call, spans.get(call.key, []))
        ]
        summary = f"{len(repeats) - len(wrong)} of {len(repeats)} repeated calls"
        return _check("repeats only of attempts cut by a kill", summary, wrong)

    def _excused(self, call: Effect, attempts: list[Span]) -> bool:
        begun = _moment(call.begun_us)
        before = [_moment(one.begun_us) for one in self._by_key[call.key] if one is not call]
        timed_out = any(
            span.failed and any(span.ready <= at <= span.ended <= begun for at in before)
            for span in attempts
        )
        return timed_out or any(
            span.ready <= kill.ended and kill.begun <= min(span.ended, begun)
            for span in attempts
            for kill in self._kills
        )

    def _results(self) -> Check:
        """Check that histories and responses of the services are equal, without other effects."""
        problems, right, known = [], 0, set()
        for record in self._records:
            for node in record.execution.nodes:
                if node.task_type not in CALLED_TYPES or node.status is NodeStatus.SKIPPED:
                    continue
                key = f"{record.execution.id}/{node.id}"
                known.add(key)
                first = self._by_key[key][0] if self._by_key[key] else None
                done = node.status is NodeStatus.COMPLETED
                if first is None or first.outcome != (APPLIED if done else REFUSED):
                    problems.append(f"{key}: {first}")
                elif done and node.output != first.result:
                    problems.append(f"{key}: {node.output}, the world has {first.result}")
                else:
                    right += 1
        problems += sorted(self._by_key.keys() - known)
        return _check("results as the world noted them", f"{right} of {len(known)}", problems)

    def _computed(self) -> Check:
        problems, right = [], 0
        for record in self._records:
            if record.run.order.fails_at:
                continue
            outputs = {node.id: node.output for node in record.execution.nodes}
            if problem := wrong_result(record.execution.workflow_id, outputs):
                problems.append(f"{record.execution.id}: {problem}")
            else:
                right += 1
        return _check("transforms recomputed here", f"{right} of {right + len(problems)}", problems)

    def _callbacks_delivered(self) -> Check:
        expected = {record.execution.id for record in self._records if calls_back(record.run)}
        ids: Mapping[str, set[str]] = defaultdict(set)
        for callback in self._callbacks:
            ids[callback.subject].add(callback.key)
        wrong = [execution for execution in expected if len(ids[execution]) != 1]
        found = f"{len(expected) - len(wrong)} of {len(expected)}"
        return _check("callbacks delivered under one id", found, wrong)


def calls_back(run: Run) -> bool:
    """Return whether the workflow has onComplete and onFailure."""
    return run.order.workflow_id in ("order-processing", "order-flow")


def _wrong_end(run: Run, execution: Execution) -> str:
    expected = "failed" if run.order.fails_at else "completed"
    if execution.status != expected or run.status != expected:
        mismatch = f"caller received {run.status}, it is {execution.status}"
        return f"{execution.id}: {mismatch}, expected {expected} ({run.failure})"
    failed = execution.failure.node if execution.failure else ""
    if failed != run.order.fails_at:
        return f"{execution.id}: failed at {failed}, expected at {run.order.fails_at}"
    return ""


def _attempts(events: Iterable[Event]) -> dict[str, list[Span]]:
    """Return the attempts of each node, in order."""
    ready: dict[str, datetime] = {}
    spans: dict[str, list[Span]] = defaultdict(list)
    for event in events:
        if event.at is None:
            continue
        if event.type == "TaskScheduled":
            ready[event.node] = event.at
        elif event.type in (*NODE_ENDS, "TaskRetrying") and event.node in ready:
            failed = event.type == "TaskRetrying"
            spans[event.node].append(Span(ready[event.node], event.at, failed))
    return spans


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S.%f}"


def _interval(of: Span | Kill) -> str:
    begun = of.ready if isinstance(of, Span) else of.begun
    return f"{_clock(begun)} to {_clock(of.ended)}"


def _missing(expected: int, found: int) -> list[str]:
    return [] if expected == found else [f"{found} instead of {expected}"]


def _check(what: str, found: str, problems: Sequence[str]) -> Check:
    return Check(what, found, not problems, tuple(problems[:EXAMPLES_MAX]))
