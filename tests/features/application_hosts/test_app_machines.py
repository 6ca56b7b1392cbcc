"""State machines of applications: transitions, hooks, automatic ones, trackers, links, kills."""

import json
from pathlib import Path

import pytest

from flowmesh.apps.machines.engine import MachineEngine
from flowmesh.apps.wiring.ports import MACHINE
from flowmesh.contract.json_value import Json
from tests.features.apps import RunningApp, eventually, running, written

ORDER = {
    "name": "order",
    "initialState": "new",
    "states": {
        "new": {},
        "checking": {},
        "checked": {},
        "paying": {},
        "paid": {"isFinal": True},
        "failed": {"isFinal": True, "isError": True},
        "stale": {"isFinal": True},
    },
    "transitions": {
        "start": {"fromState": "new", "toState": "checking"},
        "passed": {"fromState": "checking", "toState": "checked"},
        "refused": {"fromState": "checking", "toState": "failed"},
        "pay": {
            "fromState": "checked",
            "toState": "paying",
            "autoTransform": True,
            "condition": "amount < 100",
        },
        "done": {"fromState": "paying", "toState": "paid"},
        "cancel": {"fromState": ["new", "checked"], "toState": "failed"},
        "expire": {"fromState": "new", "toState": "stale"},
    },
}
STOCK = """
def execute(params):
    if params.get("amount", 0) > 50:
        raise ValueError("none left")
    return {"reserved": params["amount"]}
"""


def text(**parts: Json) -> str:
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "db", "type": "database.workflow", "config": {"driver": "sqlite", "dsn": "a.db"}},
        {"name": "store", "type": "persistence.store", "config": {"database": "db"}},
        {
            "name": "orders",
            "type": "api.handler",
            "config": {
                "resourceName": "orders",
                "workflowType": "order",
                "workflowEngine": "engine",
                "instanceIDPrefix": "order-",
                "transitionMap": {"begin": "start"},
            },
        },
        {"name": "engine", "type": "statemachine.engine", "config": {"adminPath": "/machines"}},
        {"name": "stock", "type": "dynamic.component", "config": {"source": STOCK}},
        {
            "name": "reserve",
            "type": "processing.step",
            "config": {
                "componentId": "stock",
                "successTransition": "passed",
                "compensateTransition": "refused",
                "maxRetries": 1,
                "retryBackoffMs": 1,
            },
        },
        {"name": "tracker", "type": "state.tracker"},
        *parts.pop("modules", []),
    ]
    machine = {
        "engine": "engine",
        "definitions": [ORDER],
        "hooks": [
            {"workflowType": "order", "transitions": ["start"], "handler": "reserve"},
            *parts.pop("hooks", []),
        ],
    }
    routes = [
        {"method": "POST", "path": "/orders", "handler": "orders"},
        {"method": "GET", "path": "/orders", "handler": "orders"},
        {"method": "GET", "path": "/orders/{id}", "handler": "orders"},
        {"method": "PUT", "path": "/orders/{id}/transition", "handler": "orders"},
        {"method": "POST", "path": "/orders/{id}/begin", "handler": "orders"},
    ]
    workflows = {"http": {"routes": routes}, "statemachine": machine}
    return json.dumps({"name": "shop", "modules": modules, "workflows": workflows, **parts})


async def state(app: RunningApp, id: str, wanted: str) -> dict[str, Json]:
    """The resource, once it is in a state."""

    async def look() -> dict[str, Json] | None:
        found: dict[str, Json] = (await app.call("GET", f"/orders/{id}")).body
        return found if found.get("state") == wanted else None

    reached: dict[str, Json] = await eventually(look)
    return reached


@pytest.mark.feature("S1-32", "S1-43", "S1-87", "S1-33")
async def test_an_order_walks_through_hooks_and_automatic_transitions(tmp_path: Path) -> None:
    """The step runs its component, the success fires, the automatic one follows its condition."""
    async with running(written(tmp_path, text())) as app:
        made = await app.call("POST", "/orders", {"id": "1", "amount": 10})
        assert (made.status, made.body["state"]) == (201, "new")
        begun = await app.call("POST", "/orders/1/begin")
        assert (begun.status, begun.body["instanceId"]) == (200, "order-1")
        found = await state(app, "1", "paying")
        assert found["data"]["reserved"] == 10
        again = await app.call("POST", "/orders/1/begin")
        assert (again.status, again.body["code"]) == (409, "TRANSITION_REFUSED")
        assert "possible: done" in again.body["detail"]
        unknown = await app.call("PUT", "/orders/1/transition", {"transition": "fly"})
        assert (unknown.status, unknown.body["code"]) == (404, "TRANSITION_NOT_FOUND")
        done = await app.call("PUT", "/orders/1/transition", {"transition": "done"})
        assert done.body["resource"]["state"] == "paid"
        history = (await app.call("GET", "/machines/instances/order-1")).body["history"]
        assert [each["transition"] for each in history] == [
            "(open)",
            "start",
            "passed",
            "pay",
            "done",
        ]
        tracked = await eventually(lambda: _tracked(app, 5))
        assert [each["state"] for each in tracked][-1] == "paid"
        assert (await app.call("GET", "/state/order/order-1")).body["state"] == "paid"


async def _tracked(app: RunningApp, count: int) -> list[Json] | None:
    found = (await app.call("GET", "/state/order/order-1/history")).body.get("history", [])
    return found if len(found) == count else None


@pytest.mark.feature("S1-43")
async def test_a_failing_component_compensates_after_its_retries(tmp_path: Path) -> None:
    """The last failure fires the compensate transition with its reason."""
    async with running(written(tmp_path, text())) as app:
        await app.call("POST", "/orders", {"id": "1", "amount": 60})
        await app.call("POST", "/orders/1/begin")
        found = await state(app, "1", "failed")
        reference = found["data"]["error"].rpartition(" ")[2]
        assert "none left" in app.logged(reference)
        assert "none left" not in str(found)


@pytest.mark.feature("S1-32")
async def test_a_condition_holds_back_an_automatic_transition(tmp_path: Path) -> None:
    """An amount of 100 or more stays where a person decides."""
    cheap = STOCK.replace("> 50", "> 500")
    source = {"name": "stock2", "type": "dynamic.component", "config": {"source": cheap}}
    text_ = text(modules=[source]).replace('"componentId": "stock"', '"componentId": "stock2"')
    async with running(written(tmp_path, text_)) as app:
        await app.call("POST", "/orders", {"id": "1", "amount": 200})
        await app.call("POST", "/orders/1/begin")
        assert (await state(app, "1", "checked"))["data"]["reserved"] == 200


@pytest.mark.feature("S1-32")
async def test_a_before_hook_refuses_and_a_dead_effect_is_run_again(tmp_path: Path) -> None:
    """A refusal changes nothing; an effect that failed for good waits for a request."""
    guard = {
        "steps": [{"name": "v", "type": "step.validate", "config": {"required_fields": ["ok"]}}]
    }
    hooks = [
        {"workflowType": "order", "transitions": ["cancel"], "handler": "guard", "when": "before"},
    ]
    async with running(written(tmp_path, text(hooks=hooks, pipelines={"guard": guard}))) as app:
        await app.call("POST", "/orders", {"id": "1", "amount": 1})
        refused = await app.call("PUT", "/orders/1/transition", {"transition": "cancel"})
        assert (refused.status, refused.body["code"]) == (409, "TRANSITION_REFUSED")
        assert (await app.call("GET", "/orders/1")).body["state"] == "new"
        body = {"transition": "cancel", "data": {"ok": True}}
        assert (await app.call("PUT", "/orders/1/transition", body)).status == 200
        missing = await app.call("POST", "/machines/dead-letters/99/retry")
        assert missing.status == 404


@pytest.mark.feature("S1-34")
async def test_a_change_of_one_machine_drives_another(tmp_path: Path) -> None:
    """A link fires a transition of the instance that its template names, once."""
    parcel = {
        "name": "parcel",
        "initialState": "packed",
        "states": {"packed": {}, "sent": {"isFinal": True}},
        "transitions": {"send": {"fromState": "packed", "toState": "sent"}},
    }
    link = {
        "from": {"machine": "engine", "state": "paying"},
        "to": {"machine": "parcels", "transition": "send", "instance": "p-{{ .instanceId }}"},
    }
    modules = [
        {"name": "parcels", "type": "statemachine.engine"},
        {"name": "link", "type": "state.connector", "config": {"links": [link]}},
    ]
    document = json.loads(text(modules=modules))
    machine = document["workflows"].pop("statemachine")
    document["workflows"] = [
        {"type": "http", "name": "h", "config": document["workflows"]["http"]},
        {"type": "statemachine", "name": "m", "config": machine},
        {
            "type": "statemachine",
            "name": "p",
            "config": {"engine": "parcels", "definitions": [parcel]},
        },
    ]
    async with running(written(tmp_path, json.dumps(document))) as app:
        parcels: MachineEngine = app.application.built.registry.need(MACHINE, "parcels")
        await parcels.open(workflow="parcel", instance="p-order-1", data={})
        await app.call("POST", "/orders", {"id": "1", "amount": 1})
        await app.call("POST", "/orders/1/begin")

        async def sent() -> bool:
            return (await parcels.get("p-order-1")).state == "sent"

        assert await eventually(sent)


@pytest.mark.feature("S1-90", "S1-87")
async def test_a_trigger_on_the_route_of_a_resource_starts_its_machine(tmp_path: Path) -> None:
    """POST creates the resource, then fires the action of the trigger for it."""
    triggers = {
        "http": {
            "routes": [
                {"path": "/orders", "method": "POST", "workflow": "order", "action": "start"}
            ]
        }
    }
    async with running(written(tmp_path, text(triggers=triggers))) as app:
        assert (await app.call("POST", "/orders", {"id": "1", "amount": 5})).status == 201
        assert (await state(app, "1", "paying"))["data"]["reserved"] == 5


@pytest.mark.feature("S1-32")
async def test_states_and_effects_outlive_a_restart(tmp_path: Path) -> None:
    """The next process runs the effects that a stop left, and resources follow."""
    path = written(tmp_path, text())
    async with running(path) as app:
        await app.call("POST", "/orders", {"id": "1", "amount": 5})
        engine: MachineEngine = app.application.built.registry.need(MACHINE, "engine")
        await engine.close()
        assert (await app.call("POST", "/orders/1/begin")).body["state"] == "checking"
    async with running(path) as app:
        assert (await state(app, "1", "paying"))["data"]["reserved"] == 5
        listed = (await app.call("GET", "/orders?state=paying")).body
        assert [each["id"] for each in listed] == ["1"]


@pytest.mark.feature("S1-32")
async def test_a_pipeline_opens_an_instance_and_fires_its_transition(tmp_path: Path) -> None:
    """The step opens an unknown instance, fires, and reads; a refusal is 409 with the step."""
    config = {"machine": "engine", "workflow": "order", "instance": "{{ .id }}"}
    step = {"name": "m", "type": "step.statemachine"}
    pipelines = {
        "fire": {
            "trigger": {"type": "http", "config": {"path": "/fire/{id}", "method": "POST"}},
            "steps": [{**step, "config": {**config, "transition": "cancel"}}],
        },
        "read": {
            "trigger": {"type": "http", "config": {"path": "/read/{id}", "method": "GET"}},
            "steps": [{**step, "config": config}],
        },
    }
    async with running(written(tmp_path, text(pipelines=pipelines))) as app:
        assert (await app.call("POST", "/fire/a")).body["state"] == "failed"
        refused = await app.call("POST", "/fire/a")
        assert (refused.status, refused.body["step"]) == (409, "m")
        assert (await app.call("GET", "/read/a")).body["version"] == 2
