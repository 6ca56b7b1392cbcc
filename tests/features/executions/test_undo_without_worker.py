"""A compensation by a noop, a delay or a signal ends, in every format that has an undo."""

import json
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import YAML, resource, text, workflow

WITHIN_S = 20.0
UNDOS: dict[str, Json] = {
    "noop": {"taskRef": "noop"},
    "delay": {"taskRef": "delay", "input": {"duration": "50ms"}},
    "task": {"taskRef": "nothing-to-undo"},
    "signal": {"taskRef": "signal", "input": {"name": "returned"}},
}
NOTHING = resource("WorkflowTask", "nothing-to-undo", type="noop")
REFUSED_CALL = {"method": "GET", "url": "http://127.0.0.1:1/"}
REFUSED = resource(
    "WorkflowTask", "refused-call", type="http", http=REFUSED_CALL, retry={"maxAttempts": 1}
)


def native(name: str, undo: Json) -> bytes:
    done = {"id": "a", "taskRef": "noop", "undo": undo}
    fails = {"id": "f", "taskRef": "refused-call", "dependsOn": ["a"]}
    return text(NOTHING, REFUSED, workflow(name, done, fails)).encode()


def steps(name: str, undo: Json) -> bytes:
    done = {"id": "a", "name": "a", "type": "task", "action": "noop", "undo": undo}
    fails: dict[str, Json] = {"id": "f", "name": "f", "type": "task", "action": "http.request"}
    fails |= {"params": REFUSED_CALL, "dependencies": ["a"], "retryPolicy": {"maxAttempts": 1}}
    return json.dumps({"id": name, "name": name, "steps": [done, fails]}).encode()


def graph(name: str, undo: Json) -> bytes:
    nodes = [
        {
            "id": "a",
            "type": "delay",
            "name": "a",
            "data": {"delayType": "fixed", "delayValue": 1},
            "undo": undo,
        },
        {"id": "f", "type": "http", "name": "f", "data": REFUSED_CALL},
    ]
    edges = [{"id": "e", "source": "a", "target": "f"}]
    return json.dumps({"id": name, "name": name, "nodes": nodes, "edges": edges}).encode()


def built(name: str, undo: Json) -> bytes:
    flow = Workflow(name)
    done = flow.use("a", "noop", also={"undo": undo})
    flow.use("f", "refused-call", depends_on=[done])
    return flow.source()


@pytest.mark.long
@pytest.mark.parametrize("kind", UNDOS)
@pytest.mark.parametrize("form", [native, steps, graph, built])
async def test_an_undo_without_a_worker_ends(suite: Suite, form: Any, kind: str) -> None:
    """The execution fails once its undo has completed; a signal is sent first."""
    name = f"undo-{form.__name__}-{kind}"
    source = form(name, UNDOS[kind])
    known = await suite.post(
        "/api/v1/workflows", data=text(NOTHING, REFUSED).encode(), headers=YAML
    )
    assert known.status in (200, 201), known.text
    applied = await suite.post("/api/v1/workflows", data=source, headers=YAML)
    assert applied.status == 201, applied.text
    started = await suite.post(f"/api/v1/workflows/{name}/start", {"input": {}})
    execution = started.json["executionId"]
    path = f"/api/v1/executions/{execution}"
    if kind == "signal":

        async def undoing() -> bool:
            return "a:undo" in (await suite.get(path)).json["tasks"]

        await until("its undo begins", undoing, within_s=WITHIN_S)
        async with await Client.connect(suite.grpc_address) as client:
            await client.handle(execution).signal("returned", {"by": "ada"})
    await suite.wait(execution)
    seen = (await suite.get(path)).json
    assert (seen["status"], seen["compensation"]) == ("failed", "compensated"), seen
    assert seen["tasks"]["a:undo"]["status"] == "success", seen
