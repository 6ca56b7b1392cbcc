"""An execution as it was after any of its events."""

import random
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh import core
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import Pause, TaskEnded, replay
from flowmesh.insight.moments import Scrubber, report_of
from flowmesh.insight.parts import encode
from flowmesh.testing.polling import slowness
from tests.unit.engine.factories import Run, json, node, plan, signal
from tests.unit.engine.test_replay import STEPS_MAX, facts, random_plan, step

EVENTS = 10_000
SCRUB_MS_MAX = 20.0
PURE_FACTOR = 2.0
"""What the sources take longer than the compiled core, which the target is meant for."""
# The machine may do other things too: the time of this thread, and the best of some tries.
TRIES = 9


def history_of(seed: int) -> Run:
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    run.serve()
    for _ in range(STEPS_MAX):
        step(run, rng)
        run.serve()
    return run


@pytest.mark.parametrize("seed", range(60))
def test_a_moment_is_the_replay_of_the_events_before_it(seed: int) -> None:
    """Whatever was looked at before, forwards and backwards, in any order."""
    run = history_of(seed)
    scrubber = Scrubber("exec-1", run.state.plan, run.events, apart=7)
    rng = random.Random(seed)
    for _ in range(12):
        sequence = rng.randint(1, len(run.events))
        with scrubber.state(sequence) as state:
            expected = replay("exec-1", run.state.plan, run.events[:sequence])
            assert facts(state) == facts(expected)
        report = scrubber.at(sequence)
        assert sum(report.counts.values()) >= len(report.nodes)
        assert encode(report) == encode(Scrubber("exec-1", run.state.plan, run.events).at(sequence))


@given(
    seed=st.integers(0, 500),
    apart=st.integers(1, 40),
    jumps=st.lists(st.floats(0, 1), min_size=1, max_size=12),
)
def test_every_order_of_jumps_shows_what_a_replay_does(
    seed: int, apart: int, jumps: list[float]
) -> None:
    """However far apart the copies were that are kept; too many of them are thinned out."""
    run = history_of(seed)
    made = run.state.plan
    scrubber = Scrubber("exec-1", made, run.events, apart)
    for jump in jumps:
        sequence = max(1, round(jump * len(run.events)))
        with scrubber.state(sequence) as state:
            expected = replay("exec-1", made, run.events[:sequence])
            assert facts(state) == facts(expected)
            event, last = run.events[sequence - 1], len(run.events)
            report, plain = (report_of(each, event, last) for each in (state, expected))
            assert encode(report) == encode(plain)


def test_a_moment_shows_what_waited_for_what() -> None:
    """Variables, nodes, what was held, queued and awaited, as of then and not of now."""
    made = plan(
        node("a"),
        node("b"),
        signal("c", name="go"),
        node("d", "a", "b", "c"),
        parallelism=1,
    )
    run = Run(made, b'{"n":7}')
    run.complete("a", b'{"x":1}')
    run.do(Pause("a look", "", "ada"))
    scrubber = Scrubber("exec-1", made, run.events)
    begun = scrubber.at(3)
    assert (begun.queued, begun.held, begun.awaiting) == (["a"], ["b"], {"go": ["c"]})
    assert (begun.counts, begun.status) == ({"running": 2, "pending": 2}, "running")
    assert begun.variables.tasks == {}
    now = scrubber.at(len(run.events))
    assert (now.status, now.queued, now.event) == ("paused", ["b"], "WorkflowPaused")
    assert encode(now.variables).startswith(b'{"input":{"n":7},"tasks":{"a":{"x":1}}')


def test_a_time_is_the_last_event_before_it() -> None:
    """Before the first there is none; between two it is the earlier one."""
    run = Run(plan(node("a"), node("b", "a")))
    run.do(TaskEnded("a", 1, output=json(b"1")), after_us=1_000)
    scrubber = Scrubber("exec-1", run.state.plan, run.events)
    first, last = run.events[0].at_us, run.events[-1].at_us
    assert scrubber.sequence_at(first - 1) == 0
    assert scrubber.sequence_at(first) == scrubber.sequence_at(last - 1) == 2
    assert scrubber.sequence_at(last + 1) == len(run.events)


def long_history() -> Run:
    """Chains of ten tasks, one after the other, until there are 10,000 events."""
    names = [f"n{number}" for number in range(EVENTS // 3)]
    nodes = [
        node(name, *(names[place - 1 : place] if place % 10 else ()))
        for place, name in enumerate(names)
    ]
    run = Run(plan(*nodes))
    for name in names:
        run.do(TaskEnded(name, 1, output=json(b'{"a":[1,2,3]}'), worker_id="w"), after_us=10)
    return run


def rows_of(run: Run) -> list[bytes]:
    """A history as it is stored."""
    parts = [run.events[start : start + 100] for start in range(0, len(run.events), 100)]
    return [history_event_pb2.HistoryEvents(events=part).SerializeToString() for part in parts]


def scrubber_of(run: Run, rows: list[bytes]) -> Scrubber:
    events: list[history_event_pb2.HistoryEvent] = []
    for row in rows:
        events += history_event_pb2.HistoryEvents.FromString(row).events
    return Scrubber("exec-1", run.state.plan, events)


def shown(scrubber: Scrubber, sequence: int) -> bytes:
    return encode(scrubber.at(sequence))


def spent_ms(job: Callable[[], object]) -> float:
    """Of this thread."""
    began = time.thread_time()
    job()
    return (time.thread_time() - began) * 1_000


def most_ms() -> float:
    """The target on this machine, as it is now, with the core that runs."""
    return SCRUB_MS_MAX * slowness() * (1.0 if core.kind() == "compiled" else PURE_FACTOR)


def test_any_state_of_ten_thousand_events_is_there_soon() -> None:
    """The whole report, the first time and at the last event, 20 ms after its rows are there."""
    run = long_history()
    assert len(run.events) >= EVENTS
    rows = rows_of(run)
    taken = [spent_ms(lambda: encode(scrubber_of(run, rows).at(EVENTS))) for _ in range(TRIES)]
    assert min(taken) <= most_ms(), taken


@pytest.mark.parametrize(
    "jumps",
    [
        [EVENTS - 100 + step for step in range(TRIES)],
        [EVENTS - 100 - step for step in range(TRIES)],
        [EVENTS, EVENTS // 2, EVENTS - 1, 1, EVENTS - 2, EVENTS // 4, EVENTS, 2, EVENTS - 3],
    ],
    ids=["forward", "backward", "to and fro"],
)
def test_scrubbing_through_ten_thousand_events_is_quick(jumps: list[int]) -> None:
    """Any jump in a history at hand, back or forth, takes no longer."""
    run = long_history()
    scrubber = scrubber_of(run, rows_of(run))
    scrubber.at(EVENTS)
    taken = sorted(spent_ms(partial(shown, scrubber, jump)) for jump in jumps)
    assert taken[len(taken) // 2] <= most_ms(), taken


def test_what_no_history_is_leaves_nothing_behind() -> None:
    """A broken event is told, and the next question begins anew."""
    run = Run(plan(node("a")))
    scrubber = Scrubber("exec-1", run.state.plan, [run.events[0], run.events[0]])
    with pytest.raises(ValueError, match="event 1 after 1"):
        scrubber.at(2)
    assert scrubber.at(1).event == "WorkflowStarted"
