"""Tasks that need permissions run for whom they are permitted, and for nobody else."""

import os
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, apply, http_task, refusal, workflow

POLICY = '''
class Roles:
    """Only ann pays; nobody calls anything in the workflow called closed."""

    def denies(self, asked):
        with open({asked!r}, "a") as told:
            told.write(f"{{asked.execution_id}} {{asked.needed}}\\n")
        if asked.workflow_id == "closed":
            return "closed is closed"
        return "" if not asked.needed or asked.actor == "ann" else f"{{asked.actor}} does not pay"
'''


async def paying(suite: Suite, world: World, name: str, **more: Any) -> None:
    """A step that anybody may take, and one that needs two permissions."""
    free = http_task(f"{name}-free", world.url(f"{name}-free"))
    pay = http_task(
        f"{name}-pay", world.url(f"{name}-pay"), permissions=["pay"], retry={"maxAttempts": 3}
    )
    first = {"id": "free", "taskRef": f"{name}-free", "input": {}}
    second = {"id": "pay", "taskRef": f"{name}-pay", "input": {}, "dependsOn": ["free"]} | more
    await applied(suite, free, pay, workflow(name, first, second))


@pytest.mark.feature("S4-64")
async def test_a_task_is_denied_before_it_runs(suite: Suite, world: World) -> None:
    """It never begins, is not tried again, and says what is missing; with it, it runs."""
    name = "permitted"
    await paying(suite, world, name, permissions=["sign"])
    async with Client(suite.grpc_address, actor="bob") as client:
        denied = await client.start(name, {}, permissions=["pay"], wait=20)
        state = await denied.describe()
        assert state.status == "failed"
        assert world.calls(f"{name}-pay") == []
        assert len(world.calls(f"{name}-free")) == 1
        events = [event async for event in client.history(denied.id)]
        assert events[0].data["permissions"] == ["pay"]
        of_pay = [event for event in events if event.node == "pay"]
        assert [event.type for event in of_pay] == ["TaskScheduled", "TaskFailed"]
        error = of_pay[-1].data["error"]
        assert error["class"] == "PERMISSION_DENIED"
        assert error["message"] == "bob is not permitted sign"
        told = await command(suite, "explain", denied.id, "--json")
        causes = {one["cause"]: one for one in told.json["findings"]}
        assert "bob is not permitted sign" in causes["PERMISSION_DENIED"]["text"]
        fine = await client.start(name, {}, permissions=["sign", "pay", "more"], wait=20)
        assert (await fine.describe()).status == "completed"
        assert len(world.calls(f"{name}-pay")) == 1


async def test_permissions_are_shown_over_rest_and_the_command_line(
    suite: Suite, world: World
) -> None:
    """A child has those of its parent, and a rerun those of the first."""
    name = "permitted-child"
    await paying(suite, world, name)
    call = {"id": "call", "subworkflow": {"workflow": name}}
    await applied(suite, workflow("permitted-parent", call))
    for start in ("permitted-parent", name):
        answer = await suite.post(
            f"/api/v1/workflows/{start}/execute", {}, headers={"flowmesh-permissions": "a, pay"}
        )
        assert answer.status == 200, answer.text
    denied = await suite.post("/api/v1/workflows/permitted-parent/execute", {})
    assert denied.status == 422, denied.text
    told = await command(suite, "start", name, "--permission", "pay", "--wait")
    assert told.code == 0, told.err
    first = await command(suite, "start", name, "--permission", "pay", "--json")
    async with Client(suite.grpc_address) as client:
        again = client.handle(first.json["executionId"])
        await again.wait(20)
        assert (await (await again.rerun()).result(20)) is not None
    wrong = await suite.post(
        f"/api/v1/workflows/{name}/start", {}, headers={"flowmesh-permissions": "not one"}
    )
    assert refusal(wrong) == (400, "ID_INVALID")


async def test_permissions_of_what_no_worker_runs_are_refused(suite: Suite) -> None:
    """Nobody would look at them."""
    nap = {"id": "nap", "taskRef": "delay", "input": {"duration": "1s"}, "permissions": ["pay"]}
    answer = await apply(suite, workflow("permitted-nap", nap))
    assert refusal(answer)[0] == 400
    assert "permissions are for what workers run; delay is no such task" in answer.text


@pytest.mark.long
@pytest.mark.feature("S4-64")
async def test_a_policy_of_ones_own_decides(tmp_path: Path, world: World) -> None:
    """It is asked once of a kind of task and execution, of tasks that declare nothing too."""
    asked = tmp_path / "asked"
    (tmp_path / "our_roles.py").write_text(POLICY.format(asked=str(asked)))
    environment = {
        "FLOWMESH_POLICY": "our_roles:Roles",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    async with Suite(tmp_path / "data", environment=environment) as own:
        await paying(own, world, "open")
        await paying(own, world, "closed")
        ended = {}
        for actor, name in (("ann", "open"), ("bob", "open"), ("ann", "closed")):
            async with Client(own.grpc_address, actor=actor) as client:
                handle = await client.start(name, {}, wait=20)
                ended[actor, name] = (await handle.describe()).status
                told = asked.read_text().splitlines()
                kinds = [line for line in told if line.startswith(handle.id)]
                assert len(kinds) == (1 if name == "closed" else 2) == len(set(kinds))
        assert ended == {
            ("ann", "open"): "completed",
            ("bob", "open"): "failed",
            ("ann", "closed"): "failed",
        }
        assert len(world.calls("open-pay")) == 1
        assert world.calls("closed-free") == []
