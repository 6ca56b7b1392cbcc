"""N14, I10: nothing is broken, more is asked than can be done; owners stay, nothing leaks."""

import asyncio
import os
import time
import uuid
from collections.abc import Iterable

import psutil
import pytest

from flowmesh.errors import FlowmeshError
from flowmesh.sdk import Client
from flowmesh.testing.polling import pause, until
from flowmesh.testing.world import World
from tests.drills.breaking import epochs
from tests.faults.harness.rig import MEMBERS, Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import Tally

# `make faults-steady` runs it for ten minutes.
STEADY_S = float(os.environ.get("FAULTS_STEADY_S", "40"))
WARM_UP_S = 10.0
# Far more than two cores do at once.
IN_FLIGHT = 400
RETRY_S = 0.1
SPREAD = 1.1
ROOM = 10
BACK_WITHIN_S = 60.0
RESIDENT_BYTES_MAX = 400 << 20


def steps() -> list[dict[str, object]]:
    """Three steps in a row that the worker service does itself."""
    names = ("one", "two", "three")
    code = {"code": "return {n: 1};"}
    return [
        {
            "id": name,
            "name": name,
            "action": "transform",
            "params": code,
            "dependencies": list(names[at - 1 : at]) if at else [],
        }
        for at, name in enumerate(names)
    ]


async def loaded(client: Client, workflow_id: str, until_s: float) -> tuple[int, int]:
    """Starts one after the other and waits for each, many at once: how many ended, were refused."""
    ended = refused = 0

    async def one() -> None:
        nonlocal ended, refused
        while time.monotonic() < until_s:
            try:
                handle = await client.start(workflow_id, {}, request_id=uuid.uuid4().hex)
                await handle.result(60.0)
                ended += 1
            except FlowmeshError:
                refused += 1
                await pause(RETRY_S)

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return ended, refused


def resources(rig: Rig, names: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Resident bytes, open files and threads of each member."""
    found = {}
    for name in names:
        process = psutil.Process(rig.member(name).pid)
        found[name] = (process.memory_info().rss, process.num_fds(), process.num_threads())
    return found


@pytest.mark.slow
@pytest.mark.timeout(STEADY_S + 200)
async def test_owners_stay_and_nothing_leaks(plain: Rig, world: World, tally: Tally) -> None:
    """No partition changes its owner under more load than can be done; files and threads return."""
    rig = plain
    await Scenario(plain, world, tally).whole()
    workflow = await rig.define({"id": "steady", "name": "steady", "steps": steps()})
    async with Client(rig.member("gateway").grpc) as client:
        await loaded(client, workflow, time.monotonic() + WARM_UP_S)
        await pause(2.0)
        before, epochs_before = resources(rig, MEMBERS), await epochs(rig)
        ended, refused = await loaded(client, workflow, time.monotonic() + STEADY_S)
        moved = sum(
            epoch != epochs_before[partition] for partition, epoch in (await epochs(rig)).items()
        )

        async def back() -> bool:
            now = resources(rig, MEMBERS)
            return all(
                now[name][1] <= before[name][1] * SPREAD + ROOM
                and now[name][2] <= before[name][2] * SPREAD + ROOM
                for name in MEMBERS
            )

        await until("files and threads as before", back, within_s=BACK_WITHIN_S)
    after = resources(rig, MEMBERS)
    grown = {name: f"{after[name][0] / before[name][0]:.2f}" for name in MEMBERS}
    tally.figure("N14", n=1, seconds=STEADY_S, ended=ended, refused=refused, moved=moved)
    print(f"resident memory, times what it was: {grown}")
    assert moved == 0
    assert max(now[0] for now in after.values()) <= RESIDENT_BYTES_MAX
