"""The checker finds each kind of damage, and none in what is whole."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import TaskEnded, TimersDue
from flowmesh.testing import checker
from flowmesh.testing.checker import SinkCall, Stored
from tests.unit.engine.factories import Run, failed, node, plan

Events = list[history.HistoryEvent]
Damage = Callable[[Events], None]
RETRY = failure_pb2.RetryPolicy(max_attempts=2, initial_delay_ms=10)
FLOW = plan(
    node("a", retry=RETRY),
    node("rest", "a", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=5),
    node("b", "rest"),
)
LATE_US = 20_000


def finished() -> Stored:
    """One execution that ran to its end, with a retry and a timer."""
    run = Run(FLOW)
    run.do(TaskEnded("a", 1, failure=failed()))
    run.do(TimersDue(), after_us=LATE_US)
    run.do(TaskEnded("a", 2, output=payload_pb2.Payload(data=b"1")))
    run.do(TimersDue(), after_us=LATE_US)
    run.do(TaskEnded("b", 1, output=payload_pb2.Payload(data=b"2")))
    return Stored(
        id="exec-1",
        request_id="r1",
        partition=1,
        status=run.state.status,
        ended_at_us=run.state.ended_at_us,
        wake_at_us=0,
        plan=FLOW,
        rows=tuple((event.sequence, (event,)) for event in run.events),
    )


def damaged(damage: Damage) -> Stored:
    events = finished().events
    damage(events)
    rows = tuple((event.sequence, (event,)) for event in events)
    return replace(finished(), rows=rows)


def found(one: Stored) -> set[str]:
    """Return the reported invariants."""
    return {problem.split(": ", 1)[1][:2] for problem in checker.check_history(one)}


def at(events: Events, kind: str, number: int = 0) -> int:
    return [i for i, event in enumerate(events) if checker.kind_of(event) == kind][number]


def renumber(events: Events) -> None:
    for sequence, event in enumerate(events, start=1):
        event.sequence = sequence


def lose_one(events: Events) -> None:
    del events[3]


def repeat_one(events: Events) -> None:
    events.insert(3, events[3])


def end_twice(events: Events) -> None:
    again = history.HistoryEvent()
    again.CopyFrom(events[-1])
    events.append(again)
    renumber(events)


def never_end(events: Events) -> None:
    del events[-1]


def complete_twice(events: Events) -> None:
    again = history.HistoryEvent()
    again.CopyFrom(events[at(events, "task_completed")])
    events.insert(len(events) - 1, again)
    renumber(events)


def other_attempt(events: Events) -> None:
    events[at(events, "task_completed")].task_completed.attempt = 1


def begin_early(events: Events) -> None:
    events.insert(2, events.pop(at(events, "timer_started")))
    renumber(events)


def fire_early(events: Events) -> None:
    events[at(events, "timer_fired")].at_us -= LATE_US


def retry_early(events: Events) -> None:
    events[at(events, "task_scheduled", 1)].at_us -= LATE_US


def test_a_whole_history_passes() -> None:
    """With a retry, a timer, a start and an end."""
    assert checker.check_history(finished()) == []


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        (lose_one, "I2"),
        (repeat_one, "I2"),
        (end_twice, "I2"),
        (never_end, "I9"),
        (complete_twice, "I3"),
        (other_attempt, "I3"),
        (begin_early, "I4"),
        (fire_early, "I6"),
        (retry_early, "I6"),
    ],
)
def test_damage_to_a_history_is_found(damage: Damage, invariant: str) -> None:
    """Each names the invariant it breaks."""
    assert invariant in found(damaged(damage))


def test_a_row_that_differs_from_its_history_is_found() -> None:
    """The stored status is that of the replay."""
    wrong = replace(finished(), status=execution_pb2.EXECUTION_STATUS_FAILED)
    assert found(wrong) == {"I2"}


def test_starts_have_one_execution_each() -> None:
    """A lost one, one under another id and a doubled one are found."""
    one = finished()
    assert checker.check_starts({one.id: one}, {"r1": [one.id, one.id]}) == []
    assert checker.check_starts({}, {"r1": [one.id]})
    assert checker.check_starts({one.id: one}, {"r1": [one.id, "exec-2"]})
    twice = {one.id: one, "exec-2": replace(one, id="exec-2")}
    assert checker.check_starts(twice, {})


def sink(*calls: SinkCall, extra_deliveries: int = 0) -> list[str]:
    one = finished()
    return checker.check_sink({one.id: one}, calls, ("a", "b"), extra_deliveries=extra_deliveries)


def call(step: str, key: str = "", at_us: int = 2**62) -> SinkCall:
    return SinkCall(step, key or checker.key_of("exec-1", step), at_us)


def test_the_receiver_saw_every_step_under_its_key() -> None:
    """Two attempts are two calls; a third is one too many unless a fault explains it."""
    assert sink(call("a"), call("a"), call("b")) == []
    assert sink(call("a"))
    assert sink(call("a"), call("b"), call("b", key="exec-1/other"))
    assert sink(call("a"), call("a"), call("a"), call("b"))
    assert sink(call("a"), call("a"), call("a"), call("b"), extra_deliveries=1) == []


def test_a_call_before_its_dependencies_ended_is_found() -> None:
    """The receiver's clock may differ by a little only."""
    ready_us = next(e.at_us for e in finished().events if checker.kind_of(e) == "timer_fired")
    assert sink(call("a"), call("b", at_us=ready_us)) == []
    assert sink(call("a"), call("b", at_us=ready_us - 10 * checker.CLOCK_TOLERANCE_US))


def test_a_subscriber_has_every_event_once_in_order() -> None:
    """A gap, a repeat and another order are found."""
    one = finished()
    all_of_them = [event.sequence for event in one.events]
    assert checker.check_watched({one.id: one}, {one.id: all_of_them}, [one.id]) == []
    for wrong in (all_of_them[:-1], [1, *all_of_them], all_of_them[::-1], []):
        assert checker.check_watched({one.id: one}, {one.id: wrong}, [one.id])


def test_an_answer_that_lags_behind_is_found() -> None:
    """A response equals the state replayed from the history."""
    one = finished()
    replayed = one.replayed()
    told = execution_pb2.Execution(status=replayed.status, last_sequence=len(one.events))
    for name in ("a", "rest", "b"):
        known = replayed.node(name)
        assert known is not None
        told.nodes.add(id=name, status=known.status, attempts=known.attempt, output=known.output)
    assert checker.check_answer(one, told) == []
    told.last_sequence -= 1
    assert checker.check_answer(one, told)
    told.last_sequence += 1
    told.nodes[2].status = execution_pb2.NODE_STATUS_RUNNING
    assert checker.check_answer(one, told)
