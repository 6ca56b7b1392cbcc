"""The time to show an execution after any of its events."""

import gc
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise

import pytest

from flowmesh import core
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import Recorded, TaskEnded
from flowmesh.insight.parts import encode
from flowmesh.insight.replay import HistoryReplayer
from flowmesh.testing.polling import target_s
from tests.unit.engine.factories import Run, json, node, plan

EVENTS = 10_000
# Seconds of a core of the machine that targets are meant for; the sources take twice as long.
MOMENT_S_MAX = 0.020 * (1 if core.kind() == "compiled" else 2)
TRIES = 9
# Of the time that it takes.
STANDSTILL_MAX = 0.4


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


def replayer_of(run: Run, rows: list[bytes]) -> HistoryReplayer:
    return HistoryReplayer("exec-1", run.state.plan, Recorded(b"".join(rows)))


def shown(replayer: HistoryReplayer, sequence: int) -> bytes:
    return encode(replayer.at(sequence))


def test_any_state_of_ten_thousand_events_is_there_soon() -> None:
    """The whole report, the first time and at the last event, 20 ms after its rows are there."""
    run = long_history()
    assert len(run.events) >= EVENTS
    rows = rows_of(run)
    assert target_s(lambda: shown(replayer_of(run, rows), EVENTS), TRIES) <= MOMENT_S_MAX


@pytest.mark.parametrize(
    "jumps",
    [
        [EVENTS - 100 + step for step in range(TRIES)],
        [EVENTS - 100 - step for step in range(TRIES)],
        [EVENTS, EVENTS // 2, EVENTS - 1, 1, EVENTS - 2, EVENTS // 4, EVENTS, 2, EVENTS - 3],
    ],
    ids=["forward", "backward", "to and fro"],
)
def test_stepping_through_ten_thousand_events_is_quick(jumps: list[int]) -> None:
    """Any jump in a loaded history, forward or backward, takes no longer."""
    run = long_history()
    replayer = replayer_of(run, rows_of(run))
    replayer.at(EVENTS)
    taken = [target_s(partial(shown, replayer, jump), 1) for jump in jumps]
    assert statistics.median(taken) <= MOMENT_S_MAX, taken


@pytest.fixture
def _quick_turns() -> Iterator[None]:
    """Switch threads every millisecond, a fraction of the measured times, and collect garbage
    before, because a collection blocks all threads.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_quick_turns")
def test_other_work_continues_while_a_state_is_built() -> None:
    """The thread of the loop that commits waits for a part of it only, compiled code or not."""
    run = long_history()
    rows = rows_of(run)
    shares = []
    with ThreadPoolExecutor(1) as threads:
        for _ in range(TRIES):
            replayer = replayer_of(run, rows)
            ticks = [time.perf_counter()]
            job = threads.submit(shown, replayer, EVENTS)
            while not job.done():
                wait([job], timeout=0.001)
                ticks.append(time.perf_counter())
            longest = max(after - before for before, after in pairwise(ticks))
            shares.append(longest / (ticks[-1] - ticks[0]))
    assert min(shares) <= STANDSTILL_MAX, shares
