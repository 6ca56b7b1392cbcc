"""F10: the primary of PostgreSQL is lost for good, and its standby is promoted."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowmesh.testing import audit, checker
from flowmesh.testing.polling import pause
from flowmesh.testing.world import World
from tests.drills.breaking import epochs
from tests.drills.drill import Drill
from tests.faults.harness.rig import Rig
from tests.faults.harness.scenario import ORDERS, Scenario
from tests.faults.harness.standby import PostgresPair, postgres_pair
from tests.faults.harness.tally import Tally

LATE_ORDERS = 240
# Under load, so that commits are on their way when the primary dies.
LOADED_S = 0.5
# Of what is committed for so long the asynchronous standby hears nothing.
BEHIND_S = 2.0


@asynccontextmanager
async def on_a_pair(folder: Path, *, synchronous: bool) -> AsyncIterator[tuple[Rig, PostgresPair]]:
    """A rig on two servers of PostgreSQL."""
    async with (
        postgres_pair(synchronous=synchronous) as database,
        Rig(folder, proxied=False, postgres=database.address) as rig,
    ):
        await audit.install(rig.postgres)
        yield rig, database


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F10")
async def test_a_synchronous_standby_has_everything(
    tmp_path: Path, world: World, tally: Tally
) -> None:
    """Whatever was answered is there after the failover, and everything goes on from it."""
    async with on_a_pair(tmp_path, synchronous=True) as (rig, database):
        scenario = Scenario(rig, world, tally)
        async with scenario.drill(
            "failover to a synchronous standby", late_orders=LATE_ORDERS
        ) as running:
            await scenario.whole()
            await running.in_flight()
            running.breaks()
            await pause(LOADED_S)
            running.broke_at(time.time())
            await database.fail_over()
            await scenario.finish(running, "F10", extra_deliveries=2)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F10")
async def test_what_an_asynchronous_standby_has_not_is_counted_and_no_more(
    tmp_path: Path, world: World, tally: Tally
) -> None:
    """The owners notice that the database went back and load what it has: that ends, rightly."""
    async with on_a_pair(tmp_path, synchronous=False) as (rig, database):
        scenario = Scenario(rig, world, tally)
        async with scenario.drill(
            "failover to an asynchronous standby", late_orders=LATE_ORDERS
        ) as running:
            await scenario.whole()
            await running.in_flight()
            before = await epochs(rig)
            await database.cut_off()
            running.breaks()
            await pause(BEHIND_S)
            acknowledged = set(running.orders.ids)
            await database.fail_over()
            await running.all_ended()
            lost = acknowledged - (await read(rig, running))[0].keys()
            # Who asks again with the request id of one that is lost has it started.
            await running.orders.start(0, ORDERS + LATE_ORDERS)
            await running.all_ended()
            stored, problems = await read(rig, running)
            after = await epochs(rig)
    print(f"{len(lost)} of {len(acknowledged)} acknowledged starts lost")
    tally.figure("F10", acknowledged=len(acknowledged), n=1, lost=len(lost))
    assert lost
    assert len(stored) == ORDERS + LATE_ORDERS
    assert not problems, "\n".join(problems[:20])
    assert all(after[partition] > epoch for partition, epoch in before.items())


async def read(rig: Rig, running: Drill) -> tuple[dict[str, checker.Stored], list[str]]:
    """The executions of the drill that the database has, and what is wrong with them."""
    connection = await checker.reader(rig.postgres)
    try:
        stored = await checker.read_stored(connection, running.orders.workflow_ids)
        problems = audit.check_epochs(*await audit.read(connection))
    finally:
        await connection.close()
    problems += [problem for one in stored.values() for problem in checker.check_history(one)]
    problems += [wrong for one in stored.values() if (wrong := running.orders.wrong(one))]
    return stored, problems
