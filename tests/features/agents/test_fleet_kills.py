"""The fleet, its supervisor and its agents are killed; the count and the tasks survive."""

import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import psutil
import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew, alive, kill, processes_of, tasks

# `FLOWMESH_FLEET_KILLS=200` is the drill at its full length; each tenth kill is of the fleet.
KILLS = int(os.environ.get("FLOWMESH_FLEET_KILLS", "4"))
# A spec whose agents end more often within ten minutes is a crash loop.
KILLS_OF_A_SPEC = 4
WANTED = 3


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Suite]:
    """A suite that restarts at the same addresses, with a file for its fail points."""
    environment = {"FLOWMESH_FAILPOINTS": f"@{tmp_path / 'points'}"}
    ports = (free_port(), free_port())
    async with Suite(tmp_path / "data", ports=ports, environment=environment) as running:
        yield running


async def settled(crew: Crew, count: int) -> None:
    """Wait until so many agents are ready and no other process is one."""

    async def alone() -> bool:
        found = await crew.ready(count, within_s=90.0)
        return processes_of(crew.suite) == {each["pid"] for each in found}

    await until("no orphan is left", alone, within_s=90.0)


async def test_a_fleet_that_is_killed_loses_no_agent(own: Suite) -> None:
    """The agents run on, and the next fleet takes them over with their processes."""
    crew = Crew(own, "default")
    await crew.apply("packers", replicas=WANTED)
    before = {each["pid"] for each in await crew.ready(WANTED)}
    await own.kill()
    assert processes_of(own) == before
    await own.start()
    await settled(crew, WANTED)
    assert {each["pid"] for each in await crew.agents("ready")} == before
    # The lease of the killed fleet has not ended yet.
    await own.stop()
    assert not processes_of(own)


@pytest.mark.parametrize("point", ["fleet.committed", "fleet.spawned"])
async def test_a_fleet_killed_between_its_steps_settles(
    own: Suite, tmp_path: Path, point: str
) -> None:
    """An agent that is recorded and not started, or started and not recorded, is one in the end."""
    crew = Crew(own, "default")
    await crew.apply("packers", replicas=WANTED - 1)
    await settled(crew, WANTED - 1)
    (tmp_path / "points").write_text(f"{point}=kill9")
    os.kill(own.pid, signal.SIGUSR2)
    with suppress(aiohttp.ClientError):
        await crew.call("POST", "agent-specs/packers:scale", {"replicas": WANTED})
    await until("the fleet is killed", lambda: _ended(own), within_s=PATIENCE_S)
    await own.kill()
    await own.start()
    await crew.call("POST", "agent-specs/packers:scale", {"replicas": WANTED})
    await settled(crew, WANTED)


async def test_kills_of_agents_supervisor_and_fleet_lose_no_task(own: Suite) -> None:
    """In the end as many agents run as are wanted, none besides, and each task has ended.

    A kill hits an agent as soon as it is ready, and so the task that the last kill has freed: over
    many kills a task loses five workers, and fails as the rule for these says.
    """
    crew, rng, name = Crew(own, "default"), random.Random(11), "packers"
    await crew.apply(name, replicas=WANTED)
    await settled(crew, WANTED)
    async with Client(own.grpc_address) as client:
        handles = await tasks(client, 5 * KILLS, 0.5)
        for number in range(KILLS):
            if number % KILLS_OF_A_SPEC == KILLS_OF_A_SPEC - 1:
                await crew.call("DELETE", f"agent-specs/{name}?stopAgents=true")
                await crew.ready(0, within_s=90.0)
                name = f"packers-{number}"
                await crew.apply(name, replicas=WANTED)
            found = await crew.ready(WANTED, within_s=90.0)
            if number % 10 == 9:
                await own.kill()
                await own.start()
                continue
            if number % 4 == 3:
                supervisors = {psutil.Process(each["pid"]).ppid() for each in found}
                for pid in supervisors:
                    kill(pid)
            else:
                kill(rng.choice(found)["pid"], rng.choice((signal.SIGKILL, signal.SIGSTOP)))
            noticed = partial(_changed, crew, found)
            await until("it is noticed", noticed, within_s=PATIENCE_S)
        await settled(crew, WANTED)
        for each in handles:
            assert await each.result()


async def _ended(suite: Suite) -> bool:
    return not alive(suite.pid)


async def _changed(crew: Crew, before: list[dict[str, object]]) -> bool:
    ids = {each["agentId"] for each in await crew.agents("ready")}
    return ids != {each["agentId"] for each in before}
