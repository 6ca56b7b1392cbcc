"""No wake is lost, whichever changes happen while wakes are read from the rows."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.orchestrator.commit.timers import SCAN_ROWS_MAX, Timers
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import ExecutionIds, partition_of
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.stores.schedule_store import ScheduleStore
from flowmesh.telemetry import Metrics

SECOND = 1_000_000
IDS = ExecutionIds(3)
LAST = "~"
"""Behind every id."""


class Rows(Queries):
    """The wakes of all executions as a database has them; it can be away, or answer late."""

    def __init__(self) -> None:
        self.wakes: dict[str, int] = {}
        self.away = self.asked = 0
        self.meanwhile: dict[str, Callable[[], None]] = {}

    def add(self, partition: int, wake_at_us: int) -> str:
        execution_id = IDS.make(SECOND, partition)
        self.wakes[execution_id] = wake_at_us
        return execution_id

    async def rows(self, name: str, connection: Any = None, **values: Any) -> list[dict[str, Any]]:
        assert name == "due_executions"
        self.asked += 1
        found = self._found(values, (values["after"], values["after_id"]), values["until"])
        self._answer(name)
        return [{"id": i, "wake_at": at} for at, i in found[: values["rows_max"]]]

    async def one(self, name: str, **values: Any) -> int | None:
        assert name == "next_wake"
        found = self._found(values, (values["after"], LAST), 1 << 62)
        self._answer(name)
        return found[0][0] if found else None

    def _found(
        self, values: dict[str, Any], after: tuple[int, str], until: int
    ) -> list[tuple[int, str]]:
        return sorted(
            (at, i)
            for i, at in self.wakes.items()
            if partition_of(i) in values["partitions"] and at <= until and (at, i) > after
        )

    def _answer(self, name: str) -> None:
        """Apply the change that happens between the query and its answer."""
        if self.away:
            self.away -= 1
            raise ConnectionRefusedError
        self.meanwhile.pop(name, lambda: None)()


class World:
    """Timers with a clock of our own; `fired` is what they woke, and when."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.now_us = SECOND
        self.epochs = {0: 1}
        self.fired: list[tuple[int, str]] = []
        self.any_fired = asyncio.Event()
        self.timers = Timers(
            store=ScheduleStore(self.rows),
            now_us=lambda: self.now_us,
            epochs=self.epochs,
            submit=self._submit,
        )

    def _submit(self, work: PendingCommand) -> None:
        self.fired.append((self.now_us // SECOND, work.execution_id))
        self.any_fired.set()

    async def until(self, second: int) -> None:
        """Lets the time pass, second by second."""
        while self.now_us <= second * SECOND:
            try:
                await self.timers.step()
            except ConnectionRefusedError:
                continue
            self.now_us += SECOND


async def test_wakes_are_fired_once_at_their_time_near_and_far() -> None:
    """Also those that lie far beyond what is kept in memory."""
    world = World()
    wakes = {world.rows.add(0, at * SECOND): at for at in (5, 59, 61, 130, 1_000)}
    await world.timers.load([0])
    await world.until(1_100)
    assert sorted(world.fired) == sorted((at, i) for i, at in wakes.items())


async def test_a_partition_that_is_gained_takes_nothing_from_the_others() -> None:
    """The horizon of other partitions is nearer than the wakes read for the new one."""
    world = World()
    near, far = world.rows.add(0, 30 * SECOND), world.rows.add(0, 70 * SECOND)
    await world.timers.load([0])
    await world.until(40)
    other = world.rows.add(1, 72 * SECOND)
    world.epochs[1] = 1
    await world.timers.load([1])
    await world.until(200)
    assert world.fired == [(30, near), (70, far), (72, other)]


@pytest.mark.parametrize("away", [1, 2, 3])
async def test_wakes_survive_a_database_that_is_away_when_they_come_up(away: int) -> None:
    """A failed read is repeated."""
    world = World()
    await world.timers.load([0])
    wakes = [world.rows.add(0, at * SECOND) for at in (100, 140)]
    world.timers.set(wakes[0], 100 * SECOND)
    world.timers.set(wakes[1], 140 * SECOND)
    await world.until(90)
    world.rows.away = away
    await world.until(200)
    assert world.fired == [(100, wakes[0]), (140, wakes[1])]


async def test_a_wake_that_is_committed_while_the_next_one_is_looked_up_counts() -> None:
    """The answer is from before that commit."""
    world = World()
    late: list[str] = []

    def commit() -> None:
        late.append(world.rows.add(0, 300 * SECOND))
        world.timers.set(late[0], 300 * SECOND)

    world.rows.meanwhile["next_wake"] = commit
    await world.timers.load([0])
    await world.until(400)
    assert world.fired == [(300, late[0])]


@pytest.mark.parametrize("moved_to", [50, 200])
async def test_a_wake_that_moved_while_it_was_read_is_fired_at_its_new_time(moved_to: int) -> None:
    """A row that was read before the commit does not bring the old time back for good."""
    world = World()
    moving = world.rows.add(0, 20 * SECOND)

    def commit() -> None:
        world.rows.wakes[moving] = moved_to * SECOND
        world.timers.set(moving, moved_to * SECOND)

    world.rows.meanwhile["due_executions"] = commit
    await world.timers.load([0])
    await world.until(300)
    assert world.fired[-1] == (moved_to, moving)


@pytest.mark.parametrize("apart_us", [0, 1])
@pytest.mark.parametrize("more", [-1, 0, 2])
async def test_any_number_may_sleep_until_one_moment(more: int, apart_us: int) -> None:
    """Each page is read once, also of rows that all wake in the same microsecond."""
    world = World()
    count = SCAN_ROWS_MAX + more
    for number in range(count):
        world.rows.add(0, 20 * SECOND + number * apart_us)
    async with asyncio.timeout(10):
        await world.timers.load([0])
        await world.until(30)
    assert len(world.fired) == count
    assert world.rows.asked == count // SCAN_ROWS_MAX + 1


async def test_wakes_of_a_partition_lost_meanwhile_are_not_kept() -> None:
    """They would hide what its next owner made of them when it comes back."""
    world = World()
    moved = world.rows.add(0, 20 * SECOND)

    def lose() -> None:
        del world.epochs[0]
        world.timers.drop_partitions([0])

    world.rows.meanwhile["due_executions"] = lose
    world.timers.set(moved, 20 * SECOND)
    await world.until(16)
    world.rows.wakes[moved] = 40 * SECOND
    world.epochs[0] = 3
    await world.timers.load([0])
    await world.until(60)
    assert world.fired == [(40, moved)]


async def test_the_loop_fires_by_itself() -> None:
    """A new wake ends the pause between two rounds."""
    world = World()
    loop = asyncio.create_task(world.timers.run(Metrics()))
    soon = world.rows.add(0, world.now_us)
    world.timers.set(soon, world.now_us)
    await asyncio.wait_for(world.any_fired.wait(), 5)
    loop.cancel()
    assert world.fired == [(1, soon)]
