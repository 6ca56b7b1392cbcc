"""The clock of a process."""

import select
import time

import pytest

from flowmesh.runtime import Clock


def test_a_thread_that_computes_is_busy_and_one_that_sleeps_is_not() -> None:
    """Time on a core counts, and time in wait for one, but not a sleep."""
    clock = Clock()
    began_ms, ran_s = clock.busy_ms(), time.thread_time()
    while time.thread_time() - ran_s < 0.05:
        pass
    assert clock.busy_ms() - began_ms >= 40
    began_ms, began_s = clock.busy_ms(), time.monotonic()
    select.select((), (), (), 0.3)
    slept_ms = (time.monotonic() - began_s) * 1_000
    assert clock.busy_ms() - began_ms <= slept_ms - 250


def test_a_system_without_the_account_of_its_scheduler_has_processor_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on macOS."""
    monkeypatch.setattr("flowmesh.runtime.clock.SCHEDULED", "/nowhere")
    assert Clock().busy_ms() <= time.thread_time() * 1_000
