"""Nothing about an execution grows without bound, however long it lives."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import (
    HISTORY_EVENTS_MAX,
    SIGNALS_BYTES_MAX,
    SIGNALS_MAX,
    Cancel,
    Collect,
    Ended,
    Expand,
    Full,
    Signal,
    TaskEnded,
    TimersDue,
    apply,
)
from flowmesh.engine.decisions.progress import BEGUN_PER_STEP_MAX
from flowmesh.engine.state import state as s
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from tests.unit.engine.factories import Run, each, json, node, plan
from tests.unit.engine.test_replay import facts

SIGNAL = Signal("s", json(b"1"))
NOOP = {"kind": plan_pb2.NODE_KIND_NOOP}
TIMER = {"kind": plan_pb2.NODE_KIND_TIMER, "delay_ms": 10**6}
INLINE_BYTES = 256 << 10


def aged(run: Run, events: int) -> Run:
    """The same execution as if its history were so long."""
    run.state.sequence = events
    return run


def signaled(run: Run, count: int, payload: payload_pb2.Payload | None = None) -> None:
    for _ in range(count):
        run.do(Signal("s", payload or json(b"1")))


def refused(run: Run, payload: payload_pb2.Payload) -> bool:
    """Return whether one more is accepted, and check that nothing changes after it."""
    before, events = snapshot(run.state), len(run.events)
    try:
        run.do(Signal("s", payload))
    except Full:
        assert snapshot(run.state) == before
        assert len(run.events) == events
        return True
    return False


# --- the history ---


def test_a_history_below_its_limit_continues() -> None:
    """One event below it nothing ends."""
    run = aged(Run(plan(node("a"))), HISTORY_EVENTS_MAX - 2)
    run.do(SIGNAL)
    assert (run.state.sequence, run.state.ended) == (HISTORY_EVENTS_MAX - 1, False)


@pytest.mark.parametrize(
    "before", [HISTORY_EVENTS_MAX - 1, HISTORY_EVENTS_MAX, HISTORY_EVENTS_MAX * 100]
)
def test_a_history_at_its_limit_ends_its_execution(before: int) -> None:
    """At the limit, one above it and a hundred times above, with the command that is next."""
    run = aged(Run(plan(node("a"), node("t", **TIMER), node("z", "a", "t"))), before)
    run.do(SIGNAL)
    assert run.state.status == s.EXECUTION_FAILED
    assert run.kinds[-3:] == ["task_canceled a", "task_canceled t", "workflow_failed"]
    assert run.last.cancel == [("a", 1)]
    assert run.last.ended
    failure = run.state.failure
    assert failure is not None
    assert getattr(failure, "class") == "ResourceLimit"
    assert failure.message == "the history has 2,000,000 events, the limit"
    assert (run.state.at_workers, run.state.wake_at_us) == ({}, 0)
    with pytest.raises(Ended):
        run.do(SIGNAL)


def test_what_a_command_scheduled_past_the_limit_is_canceled_with_the_rest() -> None:
    """Its events are in the history, before those of the end."""
    run = aged(Run(plan(node("a"), node("b", "a"), node("c", "a"))), HISTORY_EVENTS_MAX - 1)
    run.complete("a")
    assert run.kinds[-7:] == [
        "task_started a", "task_completed a", "task_scheduled b", "task_scheduled c",
        "task_canceled b", "task_canceled c", "workflow_failed",
    ]  # fmt: skip
    assert [one.status for one in run.last.dispatch] == [s.CANCELED, s.CANCELED]


def test_a_result_that_ends_the_execution_is_its_end() -> None:
    """Past the limit or not: nothing is left that could be too much."""
    run = aged(Run(plan(node("a"))), HISTORY_EVENTS_MAX - 1)
    run.complete("a")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_an_execution_that_waits_for_its_output_alone_gets_it() -> None:
    """As its time may not run out then either."""
    stored = payload_pb2.Payload(reference=payload_pb2.PayloadReference(digest="d" * 64))
    template = b'"{{tasks.a.output.x}}"'
    run = aged(Run(plan(node("a"), output_template=template)), HISTORY_EVENTS_MAX - 1)
    run.do(TaskEnded("a", 1, output=stored))
    assert (run.last.needs_payload, run.state.ended) == ("d" * 64, False)


def test_a_stale_command_ends_what_is_too_long_already() -> None:
    """An old history may be longer than the limit; its sender learns that the result is stale."""
    run = aged(Run(plan(node("a"))), HISTORY_EVENTS_MAX + 1)
    assert not run.complete("a", attempt=2)
    assert run.state.status == s.EXECUTION_FAILED


def test_a_caller_may_end_it_first() -> None:
    """A cancel past the limit is a cancel."""
    run = aged(Run(plan(node("a"))), HISTORY_EVENTS_MAX - 1)
    run.do(Cancel())
    assert run.state.status == s.EXECUTION_CANCELED


@pytest.mark.parametrize("before", [HISTORY_EVENTS_MAX - 40, HISTORY_EVENTS_MAX - 7])
def test_the_end_of_a_long_history_replays(before: int) -> None:
    """In the middle of a map, of retries and of timers: a snapshot and the events after it."""
    retry = {"max_attempts": 3, "initial_delay_ms": 10}
    nodes = (node("t", **TIMER), each("m", list(range(30)), node("a", retry=retry)))
    run = aged(Run(plan(*nodes, parallelism=1)), before)
    start, known = snapshot(run.state), len(run.events)
    run.serve()
    while not run.state.ended:
        first = next(iter(run.state.at_workers.values()), None)
        if first is None:
            run.do(TimersDue(), after_us=10_000)
        elif first.attempt == 1:
            run.fail(first.id)
        else:
            run.complete(first.id, attempt=first.attempt)
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.sequence < HISTORY_EVENTS_MAX + 10
    again = restore("exec-1", run.state.plan, start)
    for event in run.events[known:]:
        apply(again, event)
    assert facts(again) == facts(run.state)


def most_events_of_a_command(run: Run, length: int) -> int:
    """While the one map of an execution is served until that has completed."""
    most = 0
    while not run.state.ended:
        before, found = run.state.sequence, run.state.node("m")
        of = found.map if found is not None else None
        begins = of is None or of.begun < of.total
        run.do(Expand("m", [1] * length) if begins else Collect("m", json(b"[]")))
        assert len(run.last.asks) <= 1
        most = max(most, run.state.sequence - before)
    assert run.state.status == s.EXECUTION_COMPLETED
    return most


def test_a_map_of_100_000_items_stays_far_below_the_limit() -> None:
    """And it continues in steps."""
    run = Run(plan(each("m", "{{input}}", node("a", **NOOP), concurrency=10)))
    assert most_events_of_a_command(run, 100_000) <= 3 * BEGUN_PER_STEP_MAX + 10
    assert run.state.sequence < HISTORY_EVENTS_MAX / 6


def test_one_command_begins_so_many_nodes_however_many_an_item_has() -> None:
    """Items whose tasks need no worker would otherwise all run within one command."""
    body = [node(f"n{i}", *([f"n{i - 1}"] if i else []), **NOOP) for i in range(100)]
    run = Run(plan(each("m", "{{input}}", *body, concurrency=10_000)))
    assert most_events_of_a_command(run, 500) <= 3 * (BEGUN_PER_STEP_MAX + len(body)) + 10


# --- signals ---


def test_an_execution_takes_so_many_signals() -> None:
    """The last allowed one is kept, one more is rejected, and the execution continues."""
    run = Run(plan(node("a")))
    signaled(run, SIGNALS_MAX)
    assert all(refused(run, json(b"")) for _ in range(3))
    assert len(run.state.signals) == SIGNALS_MAX
    run.complete("a")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_an_execution_takes_so_many_bytes_of_signals() -> None:
    """To the byte; what is referred to counts nothing."""
    run = Run(plan(node("a")))
    signaled(run, SIGNALS_BYTES_MAX // INLINE_BYTES - 1, json(b"x" * INLINE_BYTES))
    assert refused(run, json(b"x" * (INLINE_BYTES + 1)))
    assert not refused(run, json(b"x" * INLINE_BYTES))
    assert run.state.signals_bytes == SIGNALS_BYTES_MAX
    assert refused(run, json(b"x"))
    reference = payload_pb2.PayloadReference(digest="d" * 64, size_bytes=1 << 26)
    assert not refused(run, payload_pb2.Payload(reference=reference))


def test_a_signal_that_was_taken_is_taken_again() -> None:
    """Its sender did not hear the answer: the repeat is answered as the first was."""
    run = Run(plan(node("a")))
    signaled(run, SIGNALS_MAX - 1)
    last = Signal("s", json(b"1"), request_id="r")
    assert run.do(last)
    assert run.do(last)
    assert refused(run, json(b"1"))


def test_an_ended_execution_says_that_it_has_ended() -> None:
    """Also where it has as many signals as it may."""
    run = Run(plan(node("a")))
    signaled(run, SIGNALS_MAX)
    run.do(Cancel())
    with pytest.raises(Ended):
        run.do(SIGNAL)


@pytest.mark.parametrize("count", [SIGNALS_MAX, SIGNALS_MAX * 3])
def test_a_history_with_more_signals_is_read_as_ever(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its events and from a snapshot; it takes no further ones."""
    run = Run(plan(node("a")))
    with monkeypatch.context() as before_there_was_one:
        before_there_was_one.setattr(s, "SIGNALS_MAX", count)
        signaled(run, count)
    restored: Any = restore("exec-1", run.state.plan, snapshot(run.state))
    assert facts(run.replayed()) == facts(run.state) == facts(restored)
    run.state = restored
    assert refused(run, json(b"1"))
