"""Between two commits a process waits for more where that pays, and only there."""

import asyncio

import pytest

from flowmesh.engine import TaskEnded
from flowmesh.orchestrator.commit.group_delay import STEPS_MAX, WINDOW_MS, GroupDelay
from flowmesh.orchestrator.commit.inbox import BATCH_COMMANDS_MAX, Inbox
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.runtime import Clock


class Process(Clock):
    """Takes batches and commits them, works part of its time, and is sent `per_ms` commands."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up_ms = self.at_work_ms = 1_000.0
        self.busy = 0.9
        self.per_ms = 3
        self.steps = 0
        self.inbox = Inbox(self.now_us)
        self._group_delay = GroupDelay(self.inbox, self)
        self._task: object = None
        self._others_sleep = asyncio.sleep
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    def monotonic_ms(self) -> float:
        return self.up_ms

    def busy_ms(self) -> float:
        return self.at_work_ms

    async def commits(self, taking_ms: int, batches: int = 2 * int(WINDOW_MS)) -> int:
        """Some batches, each of what came meanwhile; the steps it waits after the last one."""
        self._task = asyncio.current_task()
        for _ in range(batches):
            works = self.inbox.take()
            self._pass(taking_ms)
            self.steps = 0
            await self._group_delay.after(len(works), taking_ms)
        return self.steps

    def _pass(self, milliseconds: int) -> None:
        self.up_ms += milliseconds
        self.at_work_ms += milliseconds * self.busy
        for _ in range(self.per_ms * milliseconds):
            self.inbox.submit(PendingCommand("01J", 1, TaskEnded("a", 1)))

    async def _sleep(self, seconds: float) -> None:
        if asyncio.current_task() is not self._task:
            # Other tests run on the same event loop.
            await self._others_sleep(seconds)
            return
        self.steps += 1
        self._pass(round(seconds * 1_000))


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(monkeypatch)


async def test_small_batches_grow_under_load(process: Process) -> None:
    """However small they have become: it is how much the process works that counts."""
    assert await process.commits(taking_ms=1) == STEPS_MAX
    assert len(process.inbox) == process.per_ms * (1 + STEPS_MAX)


async def test_a_slow_machine_waits_for_more_as_well(process: Process) -> None:
    """Its commits take longer and its commands are fewer: it waits in proportion, within bounds."""
    process.per_ms = 1
    assert await process.commits(taking_ms=8) == STEPS_MAX
    assert len(process.inbox) == 8 + 2 * STEPS_MAX
    assert await process.commits(taking_ms=100) == STEPS_MAX
    assert len(process.inbox) == 100 + 3 * STEPS_MAX


async def test_two_commands_a_commit_are_enough(process: Process) -> None:
    """In every window anew."""
    process.per_ms = 2
    assert await process.commits(taking_ms=1) == STEPS_MAX


async def test_nothing_is_waited_for_when_nothing_comes(process: Process) -> None:
    """One step shows it."""
    await process.commits(taking_ms=1)
    process.per_ms = 0
    assert await process.commits(taking_ms=1, batches=1) == 1


@pytest.mark.parametrize(("per_ms", "busy"), [(3, 0.3), (1, 0.9)])
async def test_time_to_spare_and_few_commands_are_committed_at_once(
    process: Process, per_ms: int, busy: float
) -> None:
    """Waiting would only make them late."""
    process.per_ms, process.busy = per_ms, busy
    assert await process.commits(taking_ms=1) == 0


async def test_a_full_batch_waits_no_longer(process: Process) -> None:
    """More would not go with it."""
    process.per_ms = BATCH_COMMANDS_MAX
    assert await process.commits(taking_ms=1) == 1


async def test_what_comes_after_a_pause_is_committed_at_once(process: Process) -> None:
    """The load before it does not count."""
    assert await process.commits(taking_ms=1) == STEPS_MAX
    process.up_ms += 1_000
    assert await process.commits(taking_ms=1, batches=1) == 0
