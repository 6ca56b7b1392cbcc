"""Types of data flows as authors meet them: what does not fit never gets past registration."""

import itertools
import json
from collections import Counter
from random import Random

import jsonschema_rs
import pytest
import yaml

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.sdk.testing import LocalEnvironment
from flowmesh.testing.suite import Response, Suite

_numbers = itertools.count(1)
YAML = {"content-type": "application/yaml"}
PAIRS = 150
# A value of each and a schema that it alone fits.
KINDS: tuple[tuple[Json, Json], ...] = (
    ("a", {"type": "string"}),
    (1.5, {"type": "number"}),
    (True, {"type": "boolean"}),
    (None, {"type": "null"}),
    ({"k": 1}, {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]}),
    (["x"], {"type": "array", "items": {"type": "string"}, "minItems": 1}),
    (7, {"const": 7}),
    ("b", {"enum": ["b", "c"]}),
)


@pytest.fixture
def name() -> str:
    """A name that only this test uses, for a workflow and with an ending for its tasks."""
    return f"types-{next(_numbers)}"


def resource(kind: str, name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def function(name: str, code: str, **spec: Json) -> Json:
    return resource("WorkflowTask", name, type="function", function={"code": code}, **spec)


def pair(name: str, value: Json, gives: Json, takes: Json) -> list[Json]:
    """A task that answers a value under one schema, and one that takes it under another."""
    return [
        function(f"{name}-give", f"return {json.dumps(value)}", outputSchema=gives),
        function(f"{name}-take", "return input", inputSchema=takes),
    ]


def flow(name: str, given: Json, **spec: Json) -> Json:
    """What `give` answers flows into `take`."""
    tasks = [
        {"id": "give", "taskRef": f"{name}-give"},
        {"id": "take", "taskRef": f"{name}-take", "input": given},
    ]
    return resource("Workflow", name, tasks=tasks, **spec)


async def sent(suite: Suite, path: str, *resources: Json) -> Response:
    source = yaml.safe_dump_all(resources, sort_keys=False).encode()
    return await suite.post(f"/api/v1/workflows{path}", data=source, headers=YAML)


def nested(random: Random, value: Json, *schemas: Json) -> tuple[Json, ...]:
    """A value and schemas of it, inside of objects and arrays."""
    for _ in range(random.randint(0, 3)):
        if random.random() < 0.5:
            value = {"k": value}
            schemas = tuple(
                {"type": "object", "properties": {"k": each}, "required": ["k"]} for each in schemas
            )
        else:
            value = [value]
            schemas = tuple({"type": "array", "items": each, "minItems": 1} for each in schemas)
    return value, *schemas


@pytest.mark.feature("S0-22")
async def test_a_mismatch_deep_in_both_schemas_is_refused(suite: Suite, name: str) -> None:
    """Naming the path it comes from and the one it goes to, and both types."""

    def orders(total: str) -> Json:
        order = {"type": "object", "properties": {"total": {"type": total}}}
        return {"type": "object", "properties": {"orders": {"type": "array", "items": order}}}

    resources = [
        *pair(name, {"orders": []}, orders("string"), orders("number")),
        flow(name, {"orders": "{{tasks.give.output.orders}}"}),
    ]
    refused = await sent(suite, "", *resources)
    assert (refused.status, refused.json["error"]["reason"]) == (400, "TYPE_MISMATCH")
    (detail,) = refused.json["error"]["details"]
    assert detail["field"].endswith("tasks[1].input.orders[0].total")
    assert detail["description"] == (
        f"string does not fit number expected by {name}-take "
        "(from tasks.give.output.orders[0].total)"
    )
    fits = [*pair(name, {"orders": []}, orders("integer"), orders("number")), resources[2]]
    assert (await sent(suite, "", *fits)).status == 201


@pytest.mark.feature("S0-23")
async def test_type_mismatches_are_reported_before_deployment(suite: Suite, name: str) -> None:
    """Warnings with a reason; the resources are valid, and nothing is stored."""
    gives = {
        "type": "object",
        "properties": {"total": {"type": "number"}, "note": {"type": "string"}},
        "required": ["total"],
    }
    takes = {
        "type": "object",
        "properties": {"total": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["total", "note"],
    }
    given = {key: "{{tasks.give.output." + key + "}}" for key in ("total", "note")}
    checked = await sent(suite, ":validate", *pair(name, {}, gives, takes), flow(name, given))
    assert checked.json["valid"] is True
    found = {problem["code"]: problem for problem in checked.json["problems"]}
    assert found.keys() == {"TYPE_UNKNOWN", "OUTPUT_MAY_BE_MISSING"}
    assert "may have a fraction" in found["TYPE_UNKNOWN"]["message"]
    assert "tasks.give.output.note may be missing" in found["OUTPUT_MAY_BE_MISSING"]["message"]
    assert {problem["severity"].lower() for problem in found.values()} == {"warning"}
    assert all(problem["line"] > 0 for problem in found.values())
    assert (await suite.get(f"/workflows/{name}")).status == 404


@pytest.mark.feature("S0-20")
async def test_the_output_of_a_workflow_fits_its_schema(suite: Suite, name: str) -> None:
    """What only a run can tell fails it, whether the output is written or that of the last node."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    nothing, output = {"id": "a", "taskRef": "noop"}, {"n": "{{input.n}}"}
    pipeline = [{"operation": "pick", "fields": ["n"]}]
    given = {"source": "{{input}}", "pipeline": pipeline}
    last = {"id": "a", "taskRef": "transform", "input": given}
    step = {"id": "a", "action": "function", "params": {"code": "return {n: context.n}"}}
    written = resource("Workflow", f"{name}-a", tasks=[nothing], output=output, outputSchema=schema)
    yielded = resource("Workflow", f"{name}-b", tasks=[last], outputSchema=schema)
    assert (await sent(suite, "", written, yielded)).status == 201
    await suite.define({"id": f"{name}-c", "steps": [step], "outputSchema": schema})
    for end in "abc":
        path = f"/workflows/{name}-{end}/execute"
        assert (await suite.post(path, {"input": {"n": 1}})).json["output"] == {"n": 1}
        failed = (await suite.post(path, {"input": {"n": "x"}})).json
        assert (failed["status"], failed["error"]["class"]) == ("failed", "ValidationError")
        assert failed["error"]["message"].startswith("output.n: ")
        assert "#/properties/n/type" in failed["error"]["message"]
    unless = {**nothing, "condition": "input.n > 9"}
    skipped = resource("Workflow", f"{name}-d", tasks=[unless], outputSchema=schema)
    assert (await sent(suite, "", skipped)).status == 201
    failed = (await suite.post(f"/workflows/{name}-d/execute", {"input": {"n": 1}})).json
    assert (failed["status"], failed["error"]["class"]) == ("failed", "ValidationError")
    assert "it was skipped" in failed["error"]["message"]


async def test_a_large_output_is_judged_and_its_history_replays(suite: Suite, name: str) -> None:
    """The event does not hold it, and neither does what is told of it."""
    code = "return {n: 'x'.repeat(900000)}"
    step = {"id": "a", "action": "function", "params": {"code": code}}
    for kind, status in (("object", "completed"), ("array", "failed")):
        flow = {"id": f"{name}-{kind}", "steps": [step], "outputSchema": {"type": kind}}
        await suite.define(flow)
        ran = (await suite.post(f"/workflows/{name}-{kind}/execute", {"input": {}})).json
        assert ran["status"] == status
        if status == "failed":
            message = ran["error"]["message"]
            assert message.endswith('xxx"} is not of type "array" (#/type)')
            assert len(message) < 600
        async with Client(suite.grpc_address) as client:
            history = await client.download_history(ran["executionId"])
        await LocalEnvironment(definitions=[flow]).replay(history)


@pytest.mark.long
@pytest.mark.feature("S0-130")
async def test_no_mismatch_is_left_for_run_time(suite: Suite, name: str) -> None:
    """Of many pairs: what is refused would have failed, what is accepted without a word runs."""
    random = Random(130)
    outcomes: Counter[str] = Counter()
    for number in range(PAIRS):
        (one, gives), (_, takes) = random.choice(KINDS), random.choice(KINDS)
        value, gives, takes = nested(random, one, gives, takes)
        own = f"{name}-{number}"
        resources = [*pair(own, value, gives, takes), flow(own, "{{tasks.give.output}}")]
        problems = (await sent(suite, ":validate", *resources)).json["problems"]
        codes = {problem["code"] for problem in problems}
        outcomes[" ".join(codes) or "silent"] += 1
        applied = await sent(suite, "", *resources)
        if "TYPE_MISMATCH" in codes:
            assert applied.status == 400
            assert not jsonschema_rs.is_valid(takes, value), (gives, takes)
        elif not codes:
            assert applied.status == 201, applied.text
            ran = await suite.post(f"/workflows/{own}/execute", {"input": {}})
            assert ran.json["status"] == "completed", (gives, takes, ran.text)
    assert outcomes.keys() == {"TYPE_MISMATCH", "TYPE_UNKNOWN", "silent"}
    assert min(outcomes.values()) > 3
