"""The fleet, its supervisor and its agents are killed; the count and the tasks survive."""

import os
import random
import signal
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client, ExecutionFailed, Handle
from flowmesh.testing.polling import pause, until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew, alive, kill, processes_of, tasks

# `FLOWMESH_FLEET_KILLS=200` is the drill at its full length; each tenth kill is of the fleet.
KILLS = int(os.environ.get("FLOWMESH_FLEET_KILLS", "4"))
# A spec whose agents end more often within ten minutes is a crash loop.
KILLS_OF_A_SPEC = 4
WANTED = 3
# Tasks that begin before each kill, and the kills that may find them at work.
TASKS_OF_A_KILL, TASK_S, KILLS_OF_A_TASK = 5, 2.0, 3


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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
async def test_the_bound_of_lost_workers_is_a_setting(tmp_path: Path) -> None:
    """A task whose agents are killed twice fails, where two losses are the bound."""
    environment = {"FLOWMESH_DELIVERIES_MAX": "2"}
    async with Suite(tmp_path / "data", environment=environment) as suite:
        crew = Crew(suite, "default")
        await crew.apply("packers", replicas=1)
        async with Client(suite.grpc_address) as client:
            (task,) = await tasks(client, 1, 60.0)
            killed: set[int] = set()
            for _ in range(2):
                at_work = partial(_at_work, crew, killed)
                await until("an agent has the task", at_work, within_s=PATIENCE_S)
                killed |= processes_of(suite)
                for pid in processes_of(suite):
                    kill(pid)
            with pytest.raises(ExecutionFailed, match="the worker was lost 2 times"):
                await task.result(PATIENCE_S)


@pytest.mark.long
@pytest.mark.timeout(120 + 45 * KILLS)
async def test_kills_of_agents_supervisor_and_fleet_lose_no_task(
    own: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the end as many agents run as are wanted, none besides, and each task has ended.

    Agents are at work in each kill. Who has killed a worker is not known to the suite, which gives
    a task up after five lost workers: a task is in the way of at most three kills here.
    """
    crew, rng, name = Crew(own, "default"), random.Random(KILLS), "packers"
    await crew.apply(name, replicas=WANTED)
    await settled(crew, WANTED)
    async with Client(own.grpc_address) as client:
        open_tasks: deque[list[Handle]] = deque()
        ended: list[Handle] = []
        for number in range(KILLS):
            if number % KILLS_OF_A_SPEC == KILLS_OF_A_SPEC - 1:
                await crew.call("DELETE", f"agent-specs/{name}?stopAgents=true")
                await crew.ready(0, within_s=90.0)
                name = f"packers-{number}"
                await crew.apply(name, replicas=WANTED)
            found = await crew.ready(WANTED, within_s=90.0)
            open_tasks.append(await tasks(client, TASKS_OF_A_KILL, TASK_S))
            await pause(TASK_S / 4)
            await _kill(own, found, number, rng)
            if number % 10 != 9:
                noticed = partial(_changed, crew, found)
                await until("it is noticed", noticed, within_s=PATIENCE_S)
            if len(open_tasks) == KILLS_OF_A_TASK:
                ended += await _results(open_tasks.popleft())
        await settled(crew, WANTED)
        for each in open_tasks:
            ended += await _results(each)
        deliveries = Counter([await _deliveries(each) for each in ended])
    assert len(ended) == TASKS_OF_A_KILL * KILLS
    assert max(deliveries) > 1
    with capsys.disabled():
        print(f"\n{KILLS} kills, tasks by their deliveries: {dict(sorted(deliveries.items()))}")


async def _kill(suite: Suite, found: list[Any], number: int, rng: random.Random) -> None:
    """Kill the suite each tenth time, the supervisor each fourth, else one of the agents."""
    if number % 10 == 9:
        await suite.kill()
        await suite.start()
    elif number % 4 == 3:
        for pid in {psutil.Process(each["pid"]).ppid() for each in found}:
            kill(pid)
    else:
        kill(rng.choice(found)["pid"], rng.choice((signal.SIGKILL, signal.SIGSTOP)))


async def _results(handles: list[Handle]) -> list[Handle]:
    """Return the tasks once all have ended well."""
    for each in handles:
        assert await each.result()
    return handles


async def _deliveries(task: Handle) -> int:
    """Return how often a task was sent to a worker."""
    found = [each.data async for each in task.events(types=["TaskStarted"])]
    return max(int(str(each.get("delivery", 1))) for each in found)


async def _at_work(crew: Crew, killed: set[int]) -> bool:
    """Return whether an agent that nobody has killed has a task."""
    return any(each["busy"] for each in await crew.agents() if each["pid"] not in killed)


async def _ended(suite: Suite) -> bool:
    return not alive(suite.pid)


async def _changed(crew: Crew, before: list[dict[str, object]]) -> bool:
    ids = {each["agentId"] for each in await crew.agents("ready")}
    return ids != {each["agentId"] for each in before}
