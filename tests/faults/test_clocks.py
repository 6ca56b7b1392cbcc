"""F23: wall clocks that jump by an hour and by a day, forward and back, while orders run."""

import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import libfaketime
import pytest
import pytest_asyncio

from flowmesh.testing import audit
from flowmesh.testing.metrics import total
from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.drills.breaking import epochs, rows_of, there
from tests.faults.harness.rig import Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import Tally

CLOCK_FILE = "clock"
LIBRARY = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"
# The library looks at the file so often.
READ_S = 1
TOLERANCE_S = 5.0
JUMPED_WITHIN_S = 20.0
MONTHS_S = 60 * 86_400
ROUNDS = "flowmesh_loop_rounds_total"
ENDED = "select count(*) as n from orchestrator.executions where ended_at is not null"
JUMPS = {
    "one owner an hour ahead": {"orchestrator-1": "+3600"},
    "one owner a day back": {"orchestrator-2": "-86400"},
    "all five minutes apart": {
        "orchestrator-1": "+300",
        "orchestrator-2": "-300",
        "worker-1": "+600",
        "worker-2": "-600",
        "event": "+900",
        "gateway": "-900",
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clocks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A rig whose processes each read the time from a file of their own; monotonic clocks stay."""
    assert LIBRARY.exists(), "the package libfaketime has no library; run make setup"
    rig = Rig(
        tmp_path_factory.mktemp("clocks"),
        environment={
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": CLOCK_FILE,
            "FAKETIME_CACHE_DURATION": str(READ_S),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "0",
        },
    )
    async with rig:
        await audit.install(rig.postgres)
        yield rig


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F23")
@pytest.mark.parametrize("jump", JUMPS)
async def test_wall_clocks_jump(clocks: Rig, world: World, tally: Tally, jump: str) -> None:
    """No timer fires early, no lease is lost, and every event has its place."""
    scenario = Scenario(clocks, world, tally)
    async with scenario.drill(f"clock: {jump}", orders=40, late_orders=20) as running:
        await scenario.whole()
        await running.in_flight(rest_ms=500)
        before = await epochs(clocks)
        for name, offset in JUMPS[jump].items():
            (clocks.folder_of(name) / CLOCK_FILE).write_text(f"{offset}\n")
        try:
            for name, offset in JUMPS[jump].items():
                await jumped(clocks, name, int(offset))
            running.breaks()
            await running.all_ended()
        finally:
            for name in JUMPS[jump]:
                (clocks.folder_of(name) / CLOCK_FILE).write_text("+0\n")
        # Back again: the second jump.
        for name in JUMPS[jump]:
            await jumped(clocks, name, 0)
        await scenario.finish(running, "F23", n=2 * len(JUMPS[jump]))
        after = await epochs(clocks)
    assert after == before, "no partition has changed its owner"


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F23")
async def test_a_process_with_a_clock_months_ahead_deletes_nothing(
    clocks: Rig, world: World, tally: Tally
) -> None:
    """How long something is kept goes by the clock of the database, as its times do."""
    scenario, name = Scenario(clocks, world, tally), "orchestrator-1"
    file = clocks.folder_of(name) / CLOCK_FILE
    async with scenario.drill("clock: one owner begins months ahead") as running:
        await scenario.whole()
        await running.in_flight()
        kept = (await rows_of(clocks, ENDED))[0]["n"]
        file.write_text(f"+{MONTHS_S}\n")
        try:
            pid = clocks.send(name)
            running.breaks()
            await clocks.replaced(name, pid)
            await there(clocks, name)
            await jumped(clocks, name, MONTHS_S)

            async def kept_house() -> bool:
                async with (
                    aiohttp.ClientSession() as http,
                    http.get(f"{clocks.member(name).http}/metrics") as answer,
                ):
                    text = await answer.text()
                return total(text, ROUNDS, loop="HousekeepingLoop", outcome="ok") > 0

            await until("a round of housekeeping", kept_house, within_s=JUMPED_WITHIN_S)
            await running.all_ended()
        finally:
            file.write_text("+0\n")
        await jumped(clocks, name, 0)
        await scenario.finish(running, "F23")
    assert (await rows_of(clocks, ENDED))[0]["n"] > kept > 0


async def jumped(rig: Rig, name: str, offset_s: int) -> None:
    """Returns when a member dates its answers by the clock that it was given."""

    async def is_ahead() -> bool:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{rig.member(name).http}/ready") as answer,
        ):
            dated = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        return abs(dated - time.time() - offset_s) < TOLERANCE_S

    await until(f"{name} at another time", is_ahead, within_s=JUMPED_WITHIN_S)
