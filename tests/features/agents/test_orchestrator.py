"""AgentOrchestrator of the requirements: with and without a suite, with and without Redis."""

import signal
from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded.servers import EmbeddedServers
from flowmesh.errors import FlowmeshError, Invalid, Unavailable
from flowmesh.sdk import AgentOrchestrator, Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, QUEUE, WORKER, Crew, alive, kill, tasks


@pytest.fixture
async def reach(
    suite: Suite, crew: Crew, monkeypatch: pytest.MonkeyPatch, servers: EmbeddedServers
) -> str:
    """Point the environment to the suite and to a namespace; return the address of Redis."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    monkeypatch.setenv("FLOWMESH_NAMESPACE", crew.namespace)
    return servers.redis


async def ready(orchestrator: AgentOrchestrator, count: int) -> list[int]:
    """Return the processes once so many agents are ready."""
    found: list[int] = []

    async def settled() -> bool:
        agents = await orchestrator.agents("packers")
        found[:] = [each.pid for each in agents if each.state == "ready"]
        return len(found) == len(agents) == count

    await until(f"{count} agents are ready", settled, within_s=PATIENCE_S)
    return found


@pytest.mark.long
@pytest.mark.feature("S4-67")
@pytest.mark.parametrize("redis", [True, False], ids=["redis", "memory"])
@pytest.mark.parametrize("suite_runs", [True, False], ids=["suite", "local"])
async def test_the_orchestrator_of_the_requirements(
    reach: str, suite_runs: bool, redis: bool
) -> None:
    """Spawned, scaled, healed and stopped alike; agents of a program end with it."""
    orchestrator = AgentOrchestrator(
        {
            "kubernetes_enabled": suite_runs,
            "redis_enabled": redis,
            "redis_url": reach,
        }
    )
    await orchestrator.apply("packers", command=["sleep", "600"], health="process")
    (spawned,) = await orchestrator.spawn("packers")
    assert spawned.state == "pending"
    first = await ready(orchestrator, 1)
    assert (await orchestrator.scale("packers", 3)).wanted in (1, 3)
    assert first[0] in await ready(orchestrator, 3)
    kill(first[0], signal.SIGKILL)
    await until("it is gone", lambda: _gone(orchestrator, first[0]), within_s=PATIENCE_S)
    healed = await ready(orchestrator, 3)
    await orchestrator.stop((await orchestrator.agents())[0].agent_id)
    left = await ready(orchestrator, 2)
    assert set(left) < set(healed)
    (failed,) = [each for each in await orchestrator.agents(ended=True) if each.state == "failed"]
    assert failed.reason == "ended with signal 9"
    await orchestrator.set_policy("p", "packers", "PERFORMANCE_BASED", min=1, max=2)
    assert await orchestrator.specs() == ("packers",)
    if suite_runs:
        await orchestrator.delete("packers")
        await ready(orchestrator, 0)
    await orchestrator.close()
    assert not any(alive(each) for each in left)
    if redis and not suite_runs:
        async with AgentOrchestrator({"redis_enabled": True, "redis_url": reach}) as another:
            assert len(await ready(another, 2)) == 2
            await another.delete("packers")
        async with AgentOrchestrator({"redis_enabled": True, "redis_url": reach}) as third:
            assert await third.specs() == ()


@pytest.mark.long
@pytest.mark.feature("S4-67")
async def test_the_printed_constructor_works(reach: str, suite: Suite, crew: Crew) -> None:
    """As printed, with a Redis that runs elsewhere; the agents take tasks of a workflow."""
    orchestrator = AgentOrchestrator(
        {"kubernetes_enabled": True, "redis_enabled": True, "redis_url": reach}
    )
    async with orchestrator, Client(suite.grpc_address, crew.namespace) as client:
        await orchestrator.apply(
            "packers", command=["python", "worker.py"], files={"worker.py": WORKER}, queues=[QUEUE]
        )
        await orchestrator.spawn("packers", 2)
        await ready(orchestrator, 2)
        by = {(await each.result())["by"] for each in await tasks(client, 4, 0.3)}
        assert by == {each.agent_id for each in await orchestrator.agents()}
        status = await orchestrator.status("packers")
        assert (status.wanted, status.ready, status.content["queues"]) == (2, 2, [QUEUE])


async def test_wrong_options_are_refused(tmp_path: Path) -> None:
    """An unknown option, another type, a Redis that is not there, queues without a suite."""
    for config in ({"kubernetes": True}, {"redis_enabled": "yes"}, {"redis_url": 6379}):
        with pytest.raises(Invalid):
            AgentOrchestrator(config)
    nowhere = {"redis_enabled": True, "redis_url": f"unix://{tmp_path}/none"}
    with pytest.raises(Unavailable, match="Redis does not answer"):
        await AgentOrchestrator(nowhere).specs()
    async with AgentOrchestrator() as orchestrator:
        with pytest.raises(Invalid, match="needs the queues of a suite"):
            await orchestrator.set_policy("p", "packers", "WORKLOAD_BASED", max=3)
        wrong: list[dict[str, Json]] = [{"command": []}, {"command": ["true"], "isolation": "jail"}]
        for content in (*wrong, {"comand": 1}):
            with pytest.raises(Invalid):
                await orchestrator.apply("packers", **content)
        with pytest.raises(FlowmeshError, match="there is no spec 'packers'"):
            await orchestrator.spawn("packers")


async def _gone(orchestrator: AgentOrchestrator, pid: int) -> bool:
    return pid not in {each.pid for each in await orchestrator.agents()}
