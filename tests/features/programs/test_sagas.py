"""Sagas: steps in order, compensation in reverse, state and events that show both."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from flowmesh.errors import Invalid
from flowmesh.sdk import (
    NO_EFFECT,
    AgentProvisioningSaga,
    Client,
    ExecutionFailed,
    Retry,
    Saga,
    SagaCall,
    SagaManager,
    SagaState,
    Step,
    StepStatus,
    TaskFailure,
    TaskWorkflowSaga,
    WorkflowTask,
)
from flowmesh.sdk.sagas.agents import ProcessAgents
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command

PATIENCE_S = 20
# The calls of functions of sagas, by the id of the saga.
CALLS: dict[str, list[str]] = {}
# Functions that fail, by the id of the saga: the number of failures left.
FAILING: dict[str, dict[str, int]] = {}
ONCE = Retry(attempts=1)
QUICK = Retry(attempts=4, initial="10ms", max="10ms")


def _called(call: SagaCall, name: str) -> None:
    CALLS.setdefault(call.saga_id, []).append(name)
    left = FAILING.get(call.saga_id, {})
    if left.get(name, 0) > 0:
        left[name] -= 1
        raise ValueError(f"{name} fails")


def reserve(call: SagaCall) -> Any:
    _called(call, "reserve")
    return {"reservation": call.data["item"], "note": call.input}


def release(call: SagaCall) -> None:
    assert call.output["reservation"] == call.data["item"]
    _called(call, "release")


async def charge(call: SagaCall) -> Any:
    _called(call, "charge")
    return {"paid": call.results["reserve"]["reservation"]}


async def refund(call: SagaCall) -> None:
    assert call.output == {"paid": call.data["item"]}
    _called(call, "refund")


def ship(call: SagaCall) -> str:
    _called(call, "ship")
    return "shipped"


class OrderSaga(Saga):
    steps = (
        Step("reserve", reserve, release, input="gift", compensation_retry=QUICK),
        Step("charge", charge, refund, compensation_retry=QUICK),
        Step("ship", ship, NO_EFFECT),
    )


def order(**failing: int) -> OrderSaga:
    saga = OrderSaga({"item": "book"}, id=uuid.uuid4().hex)
    FAILING[saga.id] = failing
    return saga


@pytest.fixture
async def manager(suite: Suite) -> AsyncIterator[SagaManager]:
    async with Client(suite.grpc_address) as client, SagaManager(client) as opened:
        yield opened


async def types(manager: SagaManager, saga: Saga) -> list[str]:
    return [each.type async for each in manager.client.event_store.read(f"saga-{saga.id}")]


@pytest.mark.feature("S4-27", "S4-50", "S1-190")
async def test_a_saga_runs_its_steps_in_order(manager: SagaManager) -> None:
    """Each sees the outputs of the former ones; started again under its id, it runs once."""
    saga = order()
    assert saga.state == "STARTED"
    handle = await manager.start_saga(saga)
    result = await handle.result(PATIENCE_S)
    assert result == {
        "reserve": {"reservation": "book", "note": "gift"},
        "charge": {"paid": "book"},
        "ship": "shipped",
    }
    assert saga.state is SagaState.COMPLETED
    assert [each.status for each in saga.steps] == [StepStatus.SUCCESS] * 3
    again = OrderSaga(saga.data, id=saga.id)
    repeated = await manager.start_saga(again)
    assert repeated.execution.id == handle.execution.id
    await repeated.wait(PATIENCE_S)
    assert CALLS[saga.id] == ["reserve", "charge", "ship"]
    expected = ["SagaStarted", *["StepSucceeded"] * 3, "SagaCompleted"]
    assert await types(manager, saga) == expected


@pytest.mark.feature("S4-27", "S1-190")
async def test_a_failed_step_undoes_the_former_ones_in_reverse(manager: SagaManager) -> None:
    """The state and the steps show it, and so do the events of the saga."""
    saga = order(ship=1)
    handle = await manager.start_saga(saga)
    with pytest.raises(ExecutionFailed):
        await handle.result(PATIENCE_S)
    assert CALLS[saga.id] == ["reserve", "charge", "ship", "refund", "release"]
    assert saga.state is SagaState.COMPENSATED
    assert saga.step("ship").status is StepStatus.FAILED
    assert "ship fails" in saga.step("ship").error
    for name in ("reserve", "charge"):
        assert saga.step(name).status is StepStatus.SUCCESS
        assert saga.step(name).compensation_status is StepStatus.SUCCESS
    assert await types(manager, saga) == [
        "SagaStarted",
        "StepSucceeded",
        "StepSucceeded",
        "StepFailed",
        "SagaCompensating",
        "StepCompensated",
        "StepCompensated",
        "SagaCompensated",
    ]


@pytest.mark.feature("S4-87")
async def test_a_compensation_that_fails_thrice_is_retried(manager: SagaManager) -> None:
    """The others wait for it, and all are done once."""
    saga = order(ship=1, refund=3)
    handle = await manager.start_saga(saga)
    assert (await handle.wait(PATIENCE_S)).state is SagaState.COMPENSATED
    assert CALLS[saga.id][3:] == ["refund"] * 4 + ["release"]
    assert (await types(manager, saga)).count("CompensationRetried") == 3


@pytest.mark.long
@pytest.mark.feature("S4-87")
async def test_a_compensation_that_never_works_awaits_hands(
    suite: Suite, manager: SagaManager
) -> None:
    """`flowmesh diagnose saga` names it, its error and the remedies; a retry by hand continues."""
    saga = order(ship=1, refund=4)
    handle = await manager.start_saga(saga)

    async def held() -> bool:
        await handle.refresh()
        return saga.step("charge").compensation_status is StepStatus.FAILED

    await until("a compensation out of attempts", held, within_s=PATIENCE_S)
    assert saga.state is SagaState.COMPENSATING
    assert "refund fails" in saga.step("charge").compensation_error
    assert saga.step("reserve").compensation_status is None
    told = await command(suite, "diagnose", "saga", saga.id)
    assert told.code == 1
    for text in ("COMPENSATING", "charge", "4 attempts", "refund fails", "flowmesh retry"):
        assert text in told.out, told.out
    await handle.retry_compensation("charge")
    assert (await handle.wait(PATIENCE_S)).state is SagaState.COMPENSATED
    assert CALLS[saga.id][-2:] == ["refund", "release"]
    told = await command(suite, "diagnose", "saga", handle.execution.id, "--json")
    assert told.code == 0
    assert {each["cause"] for each in json.loads(told.out)["findings"]} == {"COMPENSATED"}
    assert "CompensationFailed" in await types(manager, saga)


@pytest.mark.feature("S4-87")
async def test_a_skipped_compensation_is_shown_as_a_failed_saga(manager: SagaManager) -> None:
    """The others are undone; the stream names the step that is not."""
    saga = order(ship=1, refund=1_000)
    handle = await manager.start_saga(saga)

    async def held() -> bool:
        await handle.refresh()
        return saga.step("charge").compensation_status is StepStatus.FAILED

    await until("a compensation out of attempts", held, within_s=PATIENCE_S)
    await handle.skip_compensation("charge", "refunded by hand")
    assert (await handle.wait(PATIENCE_S)).state is SagaState.FAILED
    assert CALLS[saga.id][-1] == "release"
    store = manager.client.event_store
    last = await anext(store.read(handle.stream, backwards=True, count=1))
    assert (last.type, last.data["notCompensated"]) == ("SagaFailed", ["charge"])


@pytest.mark.feature("S4-32")
async def test_a_saga_of_tasks_runs_and_compensates(manager: SagaManager) -> None:
    """Commands are functions, names of tasks, and types of tasks of any worker."""
    note = WorkflowTask(f"note-{uuid.uuid4().hex[:8]}", {"type": "log", "log": {"message": "x"}})
    await manager.client.apply(note)
    tasks = [
        Step("reserve", reserve, release, input="x"),
        Step("note", note.name, note.name),
        Step("charge", charge, refund),
    ]
    saga = TaskWorkflowSaga("books", tasks, {"item": "atlas"})
    result = await (await manager.start_saga(saga)).result(PATIENCE_S)
    assert result["charge"] == {"paid": "atlas"}
    assert saga.state is SagaState.COMPLETED
    failing = TaskWorkflowSaga("books", tasks, {"item": "atlas"})
    FAILING[failing.id] = {"charge": 1}
    await (await manager.start_saga(failing)).wait(PATIENCE_S)
    assert CALLS[failing.id] == ["reserve", "charge", "release"]
    assert failing.state is SagaState.COMPENSATED
    assert failing.step("note").compensation_status is StepStatus.SUCCESS


BAD: dict[str, tuple[Sequence[Step], str]] = {
    "no steps": ((), "has no steps"),
    "no compensation": ((Step("a", ship),), "a has no compensation"),
    "two of a name": ((Step("a", ship, NO_EFFECT), Step("a", ship, NO_EFFECT)), "two steps 'a'"),
    "no name": ((Step("a b", ship, NO_EFFECT),), "'a b' has no name"),
    "no command": ((Step("a", "", NO_EFFECT),), "neither a function nor a name"),
    "too many": (
        tuple(Step(f"s{n}", ship, NO_EFFECT) for n in range(101)),
        "at most 100 are allowed",
    ),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_malformed_saga_is_refused(manager: SagaManager, what: str) -> None:
    """Before anything is registered; the message names the step."""
    steps, text = BAD[what]
    saga = type("BadSaga", (Saga,), {"steps": steps})()
    with pytest.raises(Invalid) as caught:
        await manager.start_saga(saga)
    assert caught.value.reason == "SAGA_INVALID"
    assert text in caught.value.message


async def test_methods_of_a_saga_object_are_refused(manager: SagaManager) -> None:
    """Another process does not have the object."""

    class OwnSaga(Saga):
        def act(self, call: SagaCall) -> None:
            raise AssertionError

        def plan(self) -> list[Step]:
            return [Step("act", self.act, NO_EFFECT)]

    with pytest.raises(Invalid, match="static method"):
        await manager.start_saga(OwnSaga())


@pytest.mark.long
async def test_many_sagas_of_a_class_run_side_by_side(manager: SagaManager) -> None:
    """Each with its own data, under one version of the workflow."""
    sagas = [OrderSaga({"item": f"book {n}"}) for n in range(20)]
    handles = await asyncio.gather(*(manager.start_saga(each) for each in sagas))
    results = await asyncio.gather(*(each.result(PATIENCE_S) for each in handles))
    assert [each["charge"]["paid"] for each in results] == [f"book {n}" for n in range(20)]
    versions = {(await each.execution.describe()).workflow_version for each in handles}
    assert len(versions) == 1


AGENT = {
    "type": "processor",
    "permissions": ["read", "write"],
    "initial_task": {"name": "process_data"},
}


def provisioning() -> AgentProvisioningSaga:
    return AgentProvisioningSaga(tenant_id="tenant-123", agent_config=AGENT)


async def agent_events(manager: SagaManager, saga: AgentProvisioningSaga) -> list[str]:
    store = manager.client.event_store
    return [each.type async for each in store.read(f"agent-{saga.id}")]


async def agents(manager: SagaManager, saga: AgentProvisioningSaga) -> list[str]:
    """The statuses of the registrations of the agent."""
    found = manager.client.registry.list(type="AGENT")
    return [each.status async for each in found if each.id == saga.agent_id]


@pytest.mark.feature("S4-31", "S4-50")
async def test_an_agent_is_provisioned_and_runs_its_initial_task(manager: SagaManager) -> None:
    """Its process serves its own queue; it is registered, with the permissions it was granted."""
    saga = provisioning()
    try:
        handle = await manager.start_saga(saga)
        result = await handle.result(PATIENCE_S)
        assert saga.state is SagaState.COMPLETED
        assert ProcessAgents().runs(saga.agent_id)
        assert await agents(manager, saga) == ["HEALTHY"]
        granted = ["AgentIdentityCreated", "PermissionGranted", "PermissionGranted"]
        assert await agent_events(manager, saga) == granted
        task = manager.client.handle(result["start-initial-task"]["executionId"])
        assert (await task.result(PATIENCE_S))["agent"] == saga.agent_id
    finally:
        await ProcessAgents().stop(saga.agent_id)
    assert not ProcessAgents().runs(saga.agent_id)


STEPS = ["validate-tenant", "create-identity", "grant-1", "spawn-agent", "register"]
STEPS += ["start-initial-task"]


@pytest.mark.long
@pytest.mark.feature("S4-31", "S4-87")
@pytest.mark.parametrize("failing", STEPS)
async def test_a_failure_of_a_step_deprovisions_the_agent(
    manager: SagaManager, failing: str
) -> None:
    """The steps before it are undone in reverse: no process, no registration, no permission."""

    def fail(call: SagaCall) -> None:
        raise TaskFailure("Injected", f"{call.step} fails")

    saga = provisioning()
    saga.steps = [
        replace(each, command=fail, retry=ONCE) if each.name == failing else each
        for each in saga.steps
    ]
    await (await manager.start_saga(saga)).wait(PATIENCE_S)
    assert saga.state is SagaState.COMPENSATED
    assert not ProcessAgents().runs(saga.agent_id)
    assert await agents(manager, saga) in ([], ["OFFLINE"])
    done = [each.name for each in saga.steps if each.status is StepStatus.SUCCESS]
    assert done == [each.name for each in saga.steps][: len(done)]
    undone = [each.name for each in saga.steps if each.compensation_status is StepStatus.SUCCESS]
    assert undone == [name for name in done if name != "validate-tenant"]
    if "create-identity" in undone:
        types = await agent_events(manager, saga)
        assert types.count("PermissionGranted") == types.count("PermissionRevoked")
        assert types[-1] == "AgentIdentityRevoked"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("type", ""),
        ("permissions", "read"),
        ("permissions", ["read", "read"]),
        ("permissions", [f"p{n}" for n in range(51)]),
        ("initial_task", {}),
        ("initial_task", {"name": "a b"}),
    ],
)
def test_a_malformed_agent_is_refused(member: str, value: Any) -> None:
    """Before the saga starts; the message names the member."""
    with pytest.raises(Invalid, match=member):
        AgentProvisioningSaga("tenant-123", AGENT | {member: value})
