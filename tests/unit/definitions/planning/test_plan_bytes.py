"""Plans are identified by their bytes, which stay equal across releases."""

import hashlib
import json
import random

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import Workflow, compile_source, load_workflow, read_source
from tests.unit.definitions.factories import documents, node, resource, steps, task, workflow

WORKFLOWS = 200
NODES_MAX = 12
NATIVE = "6c91fb907f0ef30200e31943e9f7cd9fa6782c94ad997ced32da7be807d1868e"
MAPS = "2eb45c7a76ebbf8d93adceb4930f43a3e1aad9a4f5cfb54c0fb7cd03892fb8ee"
STEPS = "542987f7f1dbac39c85a1827884c0e3ac18866662ce6f359047be8d452d15b62"


def digest(sources: list[bytes]) -> str:
    plans = [compile_source(source).SerializeToString(deterministic=True) for source in sources]
    return hashlib.sha256(b"".join(plans)).hexdigest()


def native(draw: random.Random) -> bytes:
    """Return a workflow with every kind of node and member."""
    given = []
    for index in range(draw.randint(1, NODES_MAX)):
        before = [f"n{number}" for number in range(index) if draw.random() < 0.3]
        more: dict[str, Json] = draw.choice(
            [
                {},
                {"timeout": "3s", "retry": {"maxAttempts": 2, "retryOn": ["Timeout"]}},
                {"condition": "input.n > 1" + "".join(f" && tasks.{n}.output.ok" for n in before)},
                {"critical": False, "priority": "LOW", "queue": "q", "name": "A node"},
            ]
        )
        refers: dict[str, Json] = {f"k{n}": f"{{{{tasks.{n}.output.v}}}}" for n in before}
        ref = draw.choice(["noop", "delay", "transform", "t", "u"])
        match ref:
            case "delay":
                refers |= {"duration": draw.choice(["5s", "{{input.wait}}"])}
            case "transform":
                value = draw.choice(["{{name}}", "{{input.name}}"])
                step = {"operation": "filter", "field": "n", "operator": "eq", "value": value}
                refers |= {"source": "{{input.list}}", "pipeline": [step]}
        given.append(node(f"n{index}", ref, dependsOn=before[:1], input=refers, **more))
    shared = resource("WorkflowTask", "u", type="http", http={"url": "http://x/{{input.k0}}"})
    return documents(task("t", timeout="9s"), shared, workflow(*given, parallelism=len(given)))


def step_json(draw: random.Random) -> bytes:
    given = []
    for index in range(draw.randint(1, NODES_MAX)):
        before = [f"n{number}" for number in range(index) if draw.random() < 0.3]
        action = draw.choice(
            [
                {},
                {"action": "http.request", "params": {"url": "http://x/{{context.id}}"}},
                {"action": "delay", "params": {"duration": 5}},
                {"action": "condition", "params": {"expression": "context.n0.result > 1"}},
                {"action": "mine", "params": {"to": "{{context.n0}}"}, "retryPolicy": {}},
                {"action": "transform", "params": {"code": "return input", "inputKey": "n0"}},
            ]
        )
        given.append({"id": f"n{index}", "dependencies": before, **action})
    return steps(*given, timeout=1_000, maxConcurrency=3)


def test_native_workflows_keep_their_plans() -> None:
    """Byte by byte those of the first release."""
    draw = random.Random(1)
    assert digest([native(draw) for _ in range(WORKFLOWS)]) == NATIVE


def test_step_workflows_keep_their_plans() -> None:
    """Byte by byte those of the first release."""
    draw = random.Random(2)
    assert digest([step_json(draw) for _ in range(WORKFLOWS)]) == STEPS


def test_a_workflow_is_stored_as_what_it_was_read_as() -> None:
    """So one that was just registered need not be loaded before it is planned."""
    draw = random.Random(4)
    for _ in range(WORKFLOWS):
        for source in (native(draw), step_json(draw), mapped(draw)):
            for read in read_source(source).resources:
                if isinstance(read.resource, Workflow):
                    assert load_workflow(json.loads(json.dumps(read.document))) == read.resource


def mapped(draw: random.Random) -> bytes:
    """Maps in maps, whose tasks read items and what stands around."""
    given: list[Json] = [node("first", "t")]
    for index in range(draw.randint(1, NODES_MAX)):
        read = draw.choice(["{{item.a}} {{index}}", "{{tasks.first.output}}", "{{input}}"])
        body: list[Json] = [
            node("x", draw.choice(["t", "noop"]), input={"v": read}),
            node("y", "t", dependsOn=["x"], condition="item.ok && tasks.first.output.n > index"),
        ]
        if draw.random() < 0.5:
            items = draw.choice([[1, 2], "{{item.parts}}", "{{tasks.x.output}}"])
            deep = [node("z", "t", input="{{item}}")]
            body.append({"id": "in", "map": {"items": items, "tasks": deep, "concurrency": 7}})
        given.append({"id": f"m{index}", "map": {"items": "{{input.list}}", "tasks": body}})
    return documents(task("t"), workflow(*given))


@pytest.mark.long
def test_workflows_with_maps_keep_their_plans() -> None:
    """Byte by byte those of the release that brought maps."""
    draw = random.Random(3)
    assert digest([mapped(draw) for _ in range(WORKFLOWS)]) == MAPS
