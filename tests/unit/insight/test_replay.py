"""An execution as it was after any of its events."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowmesh.engine import Pause, Recorded, TaskEnded, replay
from flowmesh.insight.parts import encode
from flowmesh.insight.replay import HistoryReplayer, report_of
from tests.unit.engine.factories import Run, json, node, plan, signal
from tests.unit.engine.test_replay import facts, history_of


@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_a_moment_is_the_replay_of_the_events_before_it(seed: int) -> None:
    """After any jumps, forward and backward."""
    run = history_of(seed)
    replayer = HistoryReplayer("exec-1", run.state.plan, Recorded.of(run.events), apart=7)
    rng = random.Random(seed)
    for _ in range(12):
        sequence = rng.randint(1, len(run.events))
        with replayer.state(sequence) as state:
            expected = replay("exec-1", run.state.plan, run.events[:sequence])
            assert facts(state) == facts(expected)
        report = replayer.at(sequence)
        assert sum(report.counts.values()) >= len(report.nodes)
        anew = HistoryReplayer("exec-1", run.state.plan, Recorded.of(run.events))
        assert encode(report) == encode(anew.at(sequence))


@settings(deadline=None)
@example(seed=86, apart=1, jumps=[1.0, 0.0, 1.0, 0.5])
@given(
    seed=st.integers(0, 500),
    apart=st.integers(1, 40),
    jumps=st.lists(st.floats(0, 1), min_size=1, max_size=12),
)
def test_every_order_of_jumps_shows_what_a_replay_does(
    seed: int, apart: int, jumps: list[float]
) -> None:
    """With any distance of the copies; surplus copies are removed."""
    run = history_of(seed)
    made = run.state.plan
    replayer = HistoryReplayer("exec-1", made, Recorded.of(run.events), apart)
    for jump in jumps:
        sequence = max(1, round(jump * len(run.events)))
        with replayer.state(sequence) as state:
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
    replayer = HistoryReplayer("exec-1", made, Recorded.of(run.events))
    begun = replayer.at(3)
    assert (begun.queued, begun.held, begun.awaiting) == (["a"], ["b"], {"go": ["c"]})
    assert (begun.counts, begun.status) == ({"running": 2, "pending": 2}, "running")
    assert begun.variables.tasks == {}
    now = replayer.at(len(run.events))
    assert (now.status, now.queued, now.event) == ("paused", ["b"], "WorkflowPaused")
    assert encode(now.variables).startswith(b'{"input":{"n":7},"tasks":{"a":{"x":1}}')


def test_a_time_is_the_last_event_before_it() -> None:
    """Before the first there is none; between two it is the earlier one."""
    run = Run(plan(node("a"), node("b", "a")))
    run.do(TaskEnded("a", 1, output=json(b"1")), after_us=1_000)
    replayer = HistoryReplayer("exec-1", run.state.plan, Recorded.of(run.events))
    first, last = run.events[0].at_us, run.events[-1].at_us
    assert replayer.sequence_at(first - 1) == 0
    assert replayer.sequence_at(first) == replayer.sequence_at(last - 1) == 2
    assert replayer.sequence_at(last + 1) == len(run.events)


def test_what_no_history_is_leaves_nothing_behind() -> None:
    """A broken event is reported, and the next request starts from scratch."""
    run = Run(plan(node("a")))
    replayer = HistoryReplayer(
        "exec-1", run.state.plan, Recorded.of([run.events[0], run.events[0]])
    )
    with pytest.raises(ValueError, match="event 1 after 1"):
        replayer.at(2)
    assert replayer.at(1).event == "WorkflowStarted"
