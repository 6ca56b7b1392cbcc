"""The service alone in its process, with five hundred agents that are processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.metrics import total
from flowmesh.testing.polling import allowed_s, pause, until
from tests.features.agents.crew import Crew

MOST, MIB = 500, 1 << 20
MEMORY_MIB_MAX, ROUND_S_MAX, WATCHED_S, START_S = 80, 0.1, 20.0, 300.0

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Each service is a process of its own."""
    async with Cluster(tmp_path / "data") as running:
        yield running


async def test_five_hundred_agents_fit_into_memory(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most 80 MiB of its own, and 100 ms of processor for a round; the figures are printed.

    Pages of libraries, which all services of a machine share, are not its own.
    """
    crew = Crew(cluster, "default")
    fleet = cluster.member("fleet")
    process = psutil.Process(fleet.pid)
    empty = process.memory_full_info()
    await crew.apply("sleepers", command=["sleep", "900"], health="process", replicas=MOST)

    async def ready() -> bool:
        return bool((await crew.spec("sleepers"))["ready"] == MOST)

    await until("all agents are ready", ready, within_s=START_S, poll_s=1.0)
    assert len(await crew.agents("ready")) == MOST
    used_s, rounds = _processor_s(process), await _rounds(fleet.http)
    await pause(WATCHED_S)
    used_s, rounds = _processor_s(process) - used_s, await _rounds(fleet.http) - rounds
    memory = process.memory_full_info()
    with capsys.disabled():
        print(
            f"\nfleet, MiB of its own: {empty.uss / MIB:.0f} without agents, {memory.uss / MIB:.0f}"
            f" with {MOST}; with shared pages {empty.rss / MIB:.0f} and {memory.rss / MIB:.0f};"
            f" {1_000 * used_s / rounds:.0f} ms of processor for a round"
        )
    await crew.call("DELETE", "agent-specs/sleepers?stopAgents=true")
    await crew.ready(0, within_s=START_S)
    assert cluster.member("fleet").pid == fleet.pid
    assert memory.uss <= MEMORY_MIB_MAX * MIB
    assert used_s / rounds <= allowed_s(ROUND_S_MAX)


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _rounds(address: str) -> float:
    """Return the number of rounds of the loop of the fleet."""
    async with aiohttp.ClientSession() as http, http.get(f"{address}/metrics") as answer:
        text = await answer.text()
    return total(text, "flowmesh_loop_rounds_total", loop="FleetLoop", outcome="ok")
