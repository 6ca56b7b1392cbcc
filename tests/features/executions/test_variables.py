"""Variables of a running execution: declared, read by templates, changed by people, followed."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, NotFound
from flowmesh.insight.reports import Divergence
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.executions.test_control import ended, reached
from tests.features.natives import applied, apply, http_task, refusal, workflow

_numbers = itertools.count(1)
ANN = {"flowmesh-actor": "ann"}
LIMIT = {"schema": {"type": "integer", "minimum": 1}, "initial": 5}


async def started(suite: Suite, world: World, **spec: Json) -> str:
    """Posts its limit, waits for a signal, and posts it again; big ones are told of."""
    name = f"variables-{next(_numbers)}"
    tasks = [
        {"id": "first", "taskRef": name, "input": {"limit": "{{variables.limit}}"}},
        {"id": "wait", "wait": {"event": "go"}, "dependsOn": ["first"]},
        {
            "id": "second",
            "taskRef": name,
            "input": {"limit": "{{variables.limit}}"},
            "dependsOn": ["wait"],
        },
        {
            "id": "big",
            "taskRef": name,
            "input": {"big": "{{variables}}"},
            "condition": "variables.limit > 100",
            "dependsOn": ["second"],
        },
    ]
    said = {"variables": {"limit": LIMIT, "note": {}}, "output": "{{variables}}"} | spec
    await applied(suite, http_task(name, world.url("limit")), workflow(name, *tasks, **said))
    return await begun(suite, name)


async def begun(suite: Suite, name: str) -> str:
    answer = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {"order": 7}})
    assert answer.status == 202, answer.text
    execution = str(answer.json["executionId"])
    await reached(suite, execution, wait="running")
    return execution


async def put(suite: Suite, execution: str, name: str, value: Json, **more: Json) -> Any:
    path = f"/api/v1/executions/{execution}/variables/{name}"
    return await suite.put(path, {"value": value, **more}, headers=ANN)


async def go(suite: Suite, execution: str) -> Json:
    await suite.post(f"/api/v1/executions/{execution}:signal", {"name": "go"})
    return await ended(suite, execution, "completed")


async def test_people_change_what_tasks_read(suite: Suite, world: World) -> None:
    """Tasks, conditions and the output see it from then on; who and why is in the history."""
    world.answers("limit", json={})
    execution = await started(suite, world)
    found = (await suite.get(f"/api/v1/executions/{execution}")).json
    assert found["variables"] == {"limit": 5, "note": None}
    changed = await put(suite, execution, "limit", 500, reason="rush", requestId="r1")
    again = await put(suite, execution, "limit", 500, reason="rush", requestId="r1")
    assert (changed.status, again.status) == (202, 202), changed.text
    assert changed.json["sequence"] == again.json["sequence"]
    async with Client(suite.grpc_address) as client:
        handle = client.handle(execution)
        await handle.set_variable("note", {"by": "sdk"})
        assert (await handle.describe()).variables == {"limit": 500, "note": {"by": "sdk"}}
        with pytest.raises(NotFound, match="it has limit, note"):
            await handle.set_variable("nope", 1)
        with pytest.raises(Invalid, match="VARIABLE_INVALID"):
            await handle.set_variable("limit", "many")
    after = await go(suite, execution)
    assert after["output"] == {"limit": 500, "note": {"by": "sdk"}}
    assert after["tasks"]["big"]["status"] == "success"
    assert [call.json for call in world.calls("limit")] == [
        {"limit": 5},
        {"limit": 500},
        {"big": {"limit": 500, "note": {"by": "sdk"}}},
    ]
    events = (await suite.get(f"/api/v1/executions/{execution}/history")).json["events"]
    first, _ = [one for one in events if one["type"] == "VariableSet"]
    assert first["data"] == {
        "name": "limit",
        "value": 500,
        "reason": "rush",
        "actor": "ann",
        "requestId": "r1",
    }
    late = await put(suite, execution, "limit", 6)
    assert refusal(late) == (409, "EXECUTION_ENDED")


async def test_a_value_that_does_not_fit_is_refused(suite: Suite, world: World) -> None:
    """Over REST: unknown names, wrong types, too much, no value."""
    world.answers("limit", json={})
    execution = await started(suite, world)
    for name, body, expected in (
        ("limt", {"value": 1}, (404, "VARIABLE_NOT_FOUND")),
        ("limit", {"value": "7"}, (400, "VARIABLE_INVALID")),
        ("limit", {"value": 0}, (400, "VARIABLE_INVALID")),
        ("limit", {"value": None}, (400, "VARIABLE_INVALID")),
        ("limit", {}, (400, "REQUEST_INVALID")),
        ("limit", {"value": 1, "valeu": 2}, (400, "REQUEST_INVALID")),
        ("note", {"value": "x" * 20_000}, (413, "PAYLOAD_TOO_LARGE")),
    ):
        path = f"/api/v1/executions/{execution}/variables/{name}"
        answer = await suite.put(path, body)
        assert refusal(answer) == expected, answer.text
    wrong = (await put(suite, execution, "limit", 0)).json["error"]["details"]
    assert [each["field"] for each in wrong] == ["value"]
    assert refusal(await put(suite, "exec-none", "limit", 1)) == (404, "EXECUTION_NOT_FOUND")
    found = (await suite.get(f"/api/v1/executions/{execution}")).json
    assert found["variables"] == {"limit": 5, "note": None}
    refused = await apply(
        suite, workflow("no-variables", {"id": "a", "taskRef": "noop", "input": "{{variables.x}}"})
    )
    assert refusal(refused) == (400, "TEMPLATE_UNKNOWN_REFERENCE")


@pytest.mark.long
async def test_a_variable_change_is_visible_in_past_states(suite: Suite, world: World) -> None:
    """The state at a moment, a value followed, two executions compared, inputs rendered again."""
    world.answers("limit", json={})
    one = await started(suite, world)
    found = (await suite.get(f"/api/v1/executions/{one}")).json
    other = await begun(suite, found["workflow"])
    set_ = await command(suite, "variables", "set", one, "limit", "42", "--reason", "more")
    assert set_.lines == [f"{one}: limit = 42"], set_.err
    shown = await command(suite, "variables", "show", one, "--json")
    assert shown.json == {"limit": 42, "note": None}
    wrong = await command(suite, "variables", "set", one, "limit", '"x"')
    assert (wrong.code, "VARIABLE_INVALID" in wrong.err) == (1, True)
    await go(suite, one)
    await go(suite, other)
    async with Client(suite.grpc_address) as client:
        watched = await client.watch_variable(one, "variables.limit")
        changes = [
            (step.action, step.task_id, step.value)
            for step in watched.steps
            if step.action != "pass"
        ]
        assert ("read", "first", 5) in changes
        assert ("read", "second", 42) in changes
        (change,) = [step for step in watched.steps if step.event == "VariableSet"]
        assert (change.action, change.value) == ("set", 42)
        before = await client.state_at(one, change.sequence - 1)
        after = await client.state_at(one, change.sequence)
        assert before.variables.declared["limit"] == 5
        assert after.variables.declared["limit"] == 42
        compared = await client.compare(one, other)
        assert [each.path for each in compared.variables] == ["limit"]
        assert isinstance(compared.first_divergence, Divergence)
        assert compared.first_divergence.task_id == "second"
        assert not compared.same
        inputs = (await client.node_inputs(one)).inputs
        assert (inputs["first"], inputs["second"]) == ({"limit": 5}, {"limit": 42})
    record = (await suite.get(f"/api/v1/executions/{one}/context")).json
    assert record["variables"] == {"order": 7, "limit": 42, "note": None}


@pytest.mark.long
async def test_variables_hold_over_a_crash(tmp_path: Path, world: World) -> None:
    """A change that was answered is there after a kill of everything; the rest goes on with it."""
    world.answers("limit", json={})
    async with Suite(tmp_path / "data") as suite:
        execution = await started(suite, world)
        assert (await put(suite, execution, "limit", 9)).status == 202
        await suite.kill_everything()
        await suite.start()
        after = await go(suite, execution)
    assert after["variables"]["limit"] == 9
    assert world.calls("limit")[-1].json == {"limit": 9}
