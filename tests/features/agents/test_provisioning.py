"""The provisioning saga on agents of the fleet, and the permissions of their tasks."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from flowmesh.sdk import (
    AgentProvisioningSaga,
    Client,
    ExecutionFailed,
    Retry,
    SagaCall,
    SagaManager,
    SagaState,
    TaskFailure,
    Workflow,
)
from flowmesh.sdk.sagas.fleet_agents import FleetAgents
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, QUEUE, Crew, alive, kill

HANDLER = """
async def work(given, context):
    return {"by": __import__("os").getpid(), "given": given}
"""
AGENT: dict[str, Any] = {
    "type": "processor",
    "permissions": ["read", "write"],
    "initial_task": {"name": "process_data", "input": {"n": 1}},
    "handler": "mine:work",
}
STEPS = ["validate-tenant", "create-identity", "grant-1", "spawn-agent", "register"]
STEPS += ["start-initial-task"]


@pytest.fixture
async def manager(
    suite: Suite, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SagaManager]:
    async with Client(suite.grpc_address, crew.namespace) as client, SagaManager(client) as made:
        maker = FleetAgents(client, files={"mine.py": HANDLER})
        monkeypatch.setattr(AgentProvisioningSaga, "maker", maker)
        yield made


@pytest.mark.long
@pytest.mark.feature("S4-31")
async def test_the_saga_provisions_an_agent_of_the_fleet(manager: SagaManager, crew: Crew) -> None:
    """It runs the initial task, is healed as every agent, and ends with its spec."""
    saga = AgentProvisioningSaga(tenant_id=crew.namespace, agent_config=AGENT)
    result = await (await manager.start_saga(saga)).result(PATIENCE_S)
    (agent,) = await crew.ready(1)
    assert (agent["spec"], agent["pid"]) == (saga.agent_id, result["spawn-agent"]["pid"])
    task = manager.client.handle(result["start-initial-task"]["executionId"])
    assert await task.result(PATIENCE_S) == {"by": agent["pid"], "given": {"n": 1}}
    kill(agent["pid"])
    flow = Workflow("again")
    flow.task("task", "process_data", input={"n": 2}, queue=saga.agent_id)
    await manager.client.register(flow)
    again = await (await manager.client.start("again")).result(PATIENCE_S)
    assert again["by"] != agent["pid"]
    await saga.maker.stop(saga.agent_id)
    assert not alive(again["by"])
    assert (await crew.call("GET", f"agent-specs/{saga.agent_id}")).status == 404


@pytest.mark.long
@pytest.mark.feature("S4-31")
@pytest.mark.parametrize("failing", STEPS)
async def test_a_failed_step_leaves_no_agent(
    manager: SagaManager, crew: Crew, failing: str
) -> None:
    """Neither a process nor a spec, whichever step fails."""

    def fail(call: SagaCall) -> None:
        raise TaskFailure("Injected", f"{call.step} fails")

    saga = AgentProvisioningSaga(tenant_id=crew.namespace, agent_config=AGENT)
    once = Retry(attempts=1)
    saga.steps = [
        replace(each, command=fail, retry=once) if each.name == failing else each
        for each in saga.steps
    ]
    await (await manager.start_saga(saga)).wait(PATIENCE_S)
    assert saga.state is SagaState.COMPENSATED
    assert await crew.agents() == []
    assert (await crew.call("GET", f"agent-specs/{saga.agent_id}")).status == 404
    ended = len(await crew.agents(ended=True))
    assert ended == (failing in ("register", "start-initial-task"))


@pytest.mark.feature("S4-64")
async def test_an_agent_gets_no_task_without_its_permission(suite: Suite, crew: Crew) -> None:
    """The task is denied before an agent has it; with the permission, the agent runs it."""
    await crew.apply("packers", replicas=1)
    await crew.ready(1)
    async with Client(suite.grpc_address, crew.namespace) as client:
        flow = Workflow("packed")
        flow.task("pack", "pack-box", input={"seconds": 0}, queue=QUEUE, permissions=["pack"])
        await client.register(flow)
        denied = await client.start("packed", permissions=["read"])
        with pytest.raises(ExecutionFailed, match="PERMISSION_DENIED"):
            await denied.result(PATIENCE_S)
        types = [each.type async for each in client.history(denied.id)]
        assert "TaskStarted" not in types
        allowed = await client.start("packed", permissions=["pack"])
        assert (await allowed.result(PATIENCE_S))["by"]
