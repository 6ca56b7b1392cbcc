"""Alerts for tasks that have become slower."""

import pytest

from flowmesh.api.event.v1 import alert_service_pb2 as pb
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Latency
from flowmesh.orchestrator.operations import slowdowns
from flowmesh.orchestrator.operations.slowdowns import Slowdowns

NAME = ("default", "checkout", "charge")
SLOW, FAST = pb.ALERT_KIND_SLOWDOWN, pb.ALERT_KIND_RECOVERED


class Watched:
    """One task of which durations come in batches."""

    def __init__(self, factor: float = 3) -> None:
        self.latency = Latency()
        self._slowdowns = Slowdowns(factor)

    def after(self, milliseconds: float, times: int = slowdowns.RECENT_MIN) -> int:
        for _ in range(times):
            self.latency.add(milliseconds)
        alert = self._slowdowns.alert(NAME, self.latency)
        return alert.kind if alert is not None else 0


def test_one_alert_when_it_gets_slow_and_one_when_it_is_over() -> None:
    """While it stays slow there is no further alert, and slow runs do not raise the baseline."""
    task = Watched()
    assert [task.after(20, 20), task.after(21)] == [0, 0]
    assert [task.after(200) for _ in range(5)] == [SLOW, 0, 0, 0, 0]
    assert [task.after(22), task.after(22)] == [FAST, 0]


def test_few_slow_runs_are_no_slowdown() -> None:
    """The median decides: four of ten may take long."""
    task = Watched()
    task.after(20, 50)
    task.after(900, 4)
    assert task.after(20, 6) == 0


def test_what_is_fast_may_get_slower_by_some_milliseconds() -> None:
    """By any factor: from 2 to 40 ms is no alert."""
    task = Watched()
    task.after(2, 50)
    assert task.after(40) == 0


def test_without_enough_to_compare_with_there_is_no_alert() -> None:
    """Twenty durations say what is usual, ten what is recent."""
    task = Watched()
    assert [task.after(20, 9), task.after(20, 1), task.after(500), task.after(500)] == [0] * 4


def test_a_task_that_stays_slow_is_as_it_is() -> None:
    """After thirty rounds the slow durations are the usual ones, and it can get slower again."""
    task = Watched()
    task.after(20, 50)
    assert [task.after(200) for _ in range(40)].count(SLOW) == 1
    assert task.after(200) == 0
    assert task.after(2_000) == SLOW


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound tasks are not watched; those that are stay so."""
    monkeypatch.setattr(slowdowns, "SERIES_MAX", 1)
    watch, first, second = Slowdowns(3), Latency(), Latency()
    first.add(1)
    second.add(1)
    watch.alert(NAME, first)
    watch.alert((*NAME[:2], "pack"), second)
    assert list(watch._series) == [NAME]
