"""Recommended slots and sizes of queues, from arrivals and durations."""

from types import SimpleNamespace
from typing import Any

import pytest

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.dispatch.statistics.loads import SAMPLE_MS, SAMPLES, Loads, recommend

KEY = ("default", "q", "t", "")


def loads(ended: list[tuple[int, float]], waiting: list[int]) -> Loads:
    """Samples 10 s apart: how many have ended in how many ms, and how many wait."""
    counts = {KEY: 0}
    limiter = SimpleNamespace(waiting=lambda: (), stopped=lambda: ())
    dispatcher: Any = SimpleNamespace(ready=SimpleNamespace(counts=counts), limiter=limiter)
    said = iter(ended)
    stats: Any = SimpleNamespace(ended=lambda: {KEY: next(said)})
    made = Loads(dispatcher=dispatcher, stats=stats)
    for number, count in enumerate(waiting):
        counts[KEY] = count
        made.sample(number * 10_000.0)
        made.sample(number * 10_000.0 + SAMPLE_MS - 1)
    return made


def test_slots_are_arrivals_times_the_time_they_take() -> None:
    """20 a second of 400 ms keep 8 slots busy, and 10 for four fifths of the time."""
    found = pb.QueueStats()
    loads([(100, 9_000.0), (300, 89_000.0)], [5, 5]).put(KEY, found)
    assert (found.arrivals_per_second, found.service_ms) == (20.0, 400.0)
    recommend(found)
    assert (found.recommended_slots, found.recommended_size) == (10, 600)


def test_what_piles_up_has_come_too() -> None:
    """If workers do not keep up, arrivals exceed ends."""
    found = pb.QueueStats()
    loads([(0, 0.0), (100, 50_000.0)], [0, 900]).put(KEY, found)
    assert found.arrivals_per_second == 100.0


@pytest.mark.parametrize("waiting", [[], [3]])
def test_nothing_is_reported_before_there_are_two_samples(waiting: list[int]) -> None:
    """The same holds for tasks that have not ended."""
    found = pb.QueueStats()
    loads([(0, 0.0)], waiting).put(KEY, found)
    recommend(found)
    assert found == pb.QueueStats()


def test_a_minute_is_remembered() -> None:
    """Earlier samples are dropped."""
    found, count = pb.QueueStats(), SAMPLES + 5
    ended = [(0 if number < count - 1 else 130, 0.0) for number in range(count)]
    loads(ended, [0] * count).put(KEY, found)
    assert found.arrivals_per_second == pytest.approx(130 / ((SAMPLES - 1) * 10))


def test_samples_that_are_taken_late_span_a_minute_nevertheless() -> None:
    """Samples are attempted every 1.11 s; only ends of the last minute count."""
    counts: dict[Any, int] = {}
    limiter = SimpleNamespace(waiting=lambda: (), stopped=lambda: ())
    dispatcher: Any = SimpleNamespace(ready=SimpleNamespace(counts=counts), limiter=limiter)
    at_ms, begun_ms = 0, 235_000
    stats: Any = SimpleNamespace(ended=lambda: {KEY: (max(0, at_ms - begun_ms), 0.0)})
    made, found = Loads(dispatcher=dispatcher, stats=stats), pb.QueueStats()
    for at_ms in range(0, 300_000, 1_110):
        made.sample(at_ms)
    made.put(KEY, found)
    assert found.arrivals_per_second > 990
