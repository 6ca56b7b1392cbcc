"""F22: the disks of PostgreSQL and of NATS are full; writes are refused until there is room."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from flowmesh.testing import audit, checker
from flowmesh.testing.disks import full, small_disk
from flowmesh.testing.polling import pause, until
from flowmesh.testing.world import World
from tests.faults.harness.rig import Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import Tally

DISKS = {"postgres": "192m", "nats": "24m"}
REFUSED_WITHIN_S = 30.0
FULL_S = 3.0
SPARE_LOGS = 3
REST = {"id": "rest", "name": "rest", "action": "delay", "params": {"duration": 1}}
# What a start brings along, so that the room left in pages is soon used up.
TEXT = "x" * 6_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def disks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A rig whose PostgreSQL and NATS have small file systems of their own."""
    folder = tmp_path_factory.mktemp("disks")
    async with AsyncExitStack() as stack:
        for name, size in DISKS.items():
            await stack.enter_async_context(small_disk(folder / "servers" / name, size))
        rig = await stack.enter_async_context(Rig(folder))
        await audit.install(rig.postgres)
        yield rig


async def spare_logs(disks: Rig) -> None:
    """Room for the database's log, without which it stops: it is the data that is to be full."""
    connection = await checker.reader(disks.postgres)
    try:
        for _ in range(SPARE_LOGS):
            await connection.execute("select pg_switch_wal()")
            await connection.execute("select txid_current()")
        # Keeps those that are behind it for later.
        await connection.execute("checkpoint")
        assert await connection.fetchval("select count(*) from pg_ls_waldir()") > SPARE_LOGS
    finally:
        await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F22")
async def test_the_disk_of_the_database_is_full(disks: Rig, world: World, tally: Tally) -> None:
    """Starts are refused with STORAGE_FULL, reads go on; with room again all goes on by itself."""
    scenario = Scenario(disks, world, tally)
    async with scenario.drill("full disk of PostgreSQL", late_orders=0) as running:
        await scenario.whole()
        other = await disks.define({"id": "other", "name": "other", "steps": [REST]})
        await running.in_flight()
        await spare_logs(disks)
        with full(disks.servers.data_dir.path / "postgres"):
            running.breaks()

            async def refused() -> bool:
                body = {"workflowId": other, "context": {"text": TEXT}}
                answer = await disks.post("/executions/start", body)
                return answer.status == 429 and "STORAGE_FULL" in answer.text

            await until("a refusal for full storage", refused, within_s=REFUSED_WITHIN_S)
            known = await disks.get(f"/executions/{running.orders.ids[0]}")
            assert known.status == 200
            await pause(FULL_S)
        await scenario.finish(running, "F22")


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F22")
async def test_the_disk_of_nats_is_full(disks: Rig, world: World, tally: Tally) -> None:
    """Work goes on, events wait in the outbox; they follow when there is room.

    NATS 2.15 fails every write after the first for want of room until it is started again.
    """
    scenario = Scenario(disks, world, tally)
    async with scenario.drill("full disk of NATS", orders=60, late_orders=60) as running:
        await scenario.whole()
        await running.in_flight()
        with full(disks.servers.data_dir.path / "nats"):
            running.breaks()
            await running.all_ended()
        disks.servers.kill("nats")
        await disks.servers.until_ready("nats")
        await scenario.finish(running, "F22")
