"""Trying workflows out on the running suite: dry runs, tests, lint, validation."""

import asyncio
import itertools
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import yaml

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

_numbers = itertools.count(1)
YAML = {"content-type": "application/yaml"}
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def name() -> str:
    """A name that only this test uses, for a workflow and with an ending for its tasks."""
    return f"dry-run-{next(_numbers)}"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        return orjson.loads(self.out)


async def flowmesh(*tokens: str, stdin: str = "", address: str = "127.0.0.1:1") -> Outcome:
    """The command as a process of its own; without a suite unless one is named."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flowmesh.suite", *tokens,
        env={**os.environ, "FLOWMESH_ADDRESS": address},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


def resource(kind: str, name: str, **spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def order(name: str, world: World) -> list[Json]:
    """A workflow of calls, a condition, a map and a transform, with the tasks it uses."""

    def called(route: str, method: str, **spec: Json) -> Json:
        http: Json = {"method": method, "url": f"{world.url(route)}/{{{{input.id}}}}"}
        if method == "POST":
            http |= {"body": {"total": "{{input.total}}"}, "headers": {"x-key": "{{input.id}}"}}
        return resource("WorkflowTask", f"{name}-{route}", type="http", http=http, **spec)

    tasks = [
        {"id": "price", "taskRef": f"{name}-price", "input": {"id": "{{input.id}}"}},
        {
            "id": "pay",
            "taskRef": f"{name}-pay",
            "input": {"id": "{{input.id}}", "total": "{{tasks.price.output.total}}"},
        },
        {
            "id": "gift",
            "taskRef": f"{name}-gift",
            "condition": "tasks.price.output.total > 1000",
            "input": {"id": "{{input.id}}", "total": 0},
        },
        {
            "id": "each",
            "map": {
                "items": "{{input.items}}",
                "tasks": [
                    {
                        "id": "ship",
                        "taskRef": f"{name}-ship",
                        "input": {"id": "{{item}}", "total": 1},
                    }
                ],
            },
            "dependsOn": ["pay"],
        },
        {
            "id": "first",
            "taskRef": "transform",
            "input": {
                "source": "{{tasks.each.output}}",
                "pipeline": [{"operation": "limit", "count": 1}],
            },
        },
    ]  # fmt: skip
    retry = {"maxAttempts": 3, "initialDelay": "20ms"}
    output = {"paid": "{{tasks.pay.output}}", "first": "{{tasks.first.output}}"}
    return [
        called("price", "GET"),
        called("pay", "POST", retry=retry),
        called("gift", "POST"),
        called("ship", "POST"),
        resource("Workflow", name, tasks=tasks, output=output),
    ]


MOCKS: Json = {
    "price": {"output": {"total": 20}},
    "pay": [{"failure": {"class": "ServerError"}}, {"output": {"id": "p-1"}}],
    "ship": {"output": {"sent": "{{input.id}}"}},
}
INPUT = {"id": "o-1", "items": ["a", "b"]}


@pytest.mark.feature("S0-129")
async def test_a_dry_run_is_what_a_run_does(suite: Suite, world: World, name: str) -> None:
    """The same path, outputs and calls as the execution after it; the dry run itself makes none."""
    source = yaml.safe_dump_all(order(name, world), sort_keys=False)
    applied = await suite.post("/api/v1/workflows", data=source.encode(), headers=YAML)
    assert applied.status == 201, applied.text
    dry = await suite.post(f"/api/v1/workflows/{name}:dryRun", {"input": INPUT, "mocks": MOCKS})
    assert dry.status == 200, dry.text
    assert world.calls() == []

    world.answers("price", json={"total": 20})
    world.answers("pay", status=503, times=1)
    world.answers("pay", json={"id": "p-1"})
    world.answers("ship", make=lambda call: {"sent": call.path.rsplit("/", 1)[1]})
    ran = await suite.post(f"/workflows/{name}/execute", {"input": INPUT})
    assert ran.status == 200, ran.text

    report = dry.json
    assert report["status"] == "completed"
    assert report["output"] == ran.json["output"]
    assert report["skipped"] == ["gift"]
    nodes = {node["id"]: node for node in report["nodes"]}
    for node_id, output in ran.json["outputs"].items():
        assert nodes[node_id]["output"] == output, node_id
    assert nodes["pay"]["input"] == {"id": "o-1", "total": 20}
    assert (nodes["price"]["output"], nodes["price"]["outputFrom"]) == ({"total": 20}, "mock")
    attempts = {task: each["attempts"] for task, each in ran.json["tasks"].items()}
    assert {task: nodes[task]["attempts"] for task in ("price", "pay")} == {
        task: attempts[task] for task in ("price", "pay")
    }
    made = sorted(
        (c.method, c.path, c.body and c.json, c.headers.get("x-key")) for c in world.calls()
    )
    told = sorted(
        (
            call["method"],
            call["url"].removeprefix(world.address),
            call.get("body", b""),
            call["headers"].get("x-key"),
        )
        for call in report["calls"]
    )
    assert [str(each) for each in told] == [str(each) for each in made]
    plan = {step["id"]: (step.get("type"), step["dependsOn"]) for step in report["plan"]}
    assert plan["pay"] == ("http.request", ["price"])
    assert plan["first"] == ("transform", ["each"])


@pytest.mark.long
@pytest.mark.feature("S0-129")
async def test_a_dry_run_stores_nothing(suite: Suite, world: World, name: str) -> None:
    """Of a definition that is not stored either, over REST, the SDK and the command line."""
    source = yaml.safe_dump_all(order(name, world), sort_keys=False)
    body = {"definition": source, "input": INPUT, "mocks": MOCKS}
    dry = await suite.post("/api/v1/workflows:dryRun", body)
    assert (dry.status, dry.json["status"]) == (200, "completed")
    async with Client(suite.grpc_address) as client:
        report = await client.dry_run(given=INPUT, definition=source, mocks=MOCKS)
    assert report.output == dry.json["output"]
    remote = await flowmesh(
        "dry-run", "-f", "-", "--remote", "--json", stdin=source, address=suite.grpc_address
    )
    assert remote.code == 1  # the input does not fit the templates
    assert remote.json["error"]["class"] == "ValidationError"
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404
    executions = await suite.get(f"/api/v1/executions?workflow={name}")
    assert executions.json["executions"] == []
    assert world.calls() == []


@pytest.mark.feature("S0-129")
async def test_what_cannot_run_dry_is_refused(suite: Suite, name: str) -> None:
    """A wrong definition, a wrong mock, an unknown workflow, a member nobody knows."""
    steps = {"id": name, "steps": [{"id": "a", "dependencies": ["b"]}]}
    wrong = await suite.post("/api/v1/workflows:dryRun", {"definition": steps})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "GRAPH_UNKNOWN_NODE")
    steps["steps"] = [{"id": "a"}]
    mocks = {"b": {"output": 1}}
    wrong = await suite.post("/api/v1/workflows:dryRun", {"definition": steps, "mocks": mocks})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "MOCKS_INVALID")
    (detail,) = wrong.json["error"]["details"]
    assert (detail["field"], detail["code"]) == ("mocks.b", "MOCKS_INVALID")
    missing = await suite.post(f"/api/v1/workflows/{name}:dryRun", {})
    assert (missing.status, missing.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")
    unknown = await suite.post("/api/v1/workflows:dryRun", {"definition": steps, "mock": {}})
    assert (unknown.status, unknown.json["error"]["reason"]) == (400, "REQUEST_INVALID")


@pytest.mark.feature("S1-183")
async def test_a_step_with_a_stand_in_makes_no_call(suite: Suite, world: World, name: str) -> None:
    """A map of stand-ins takes the place of real calls; a name it gets wrong is told."""
    params = {"method": "POST", "url": world.url("charge")}
    step = {"id": "charge", "action": "http.request", "params": params}
    code = {"code": "return context.charge.paid * 2"}
    after = {"id": "double", "action": "function", "params": code, "dependencies": ["charge"]}
    await suite.define({"id": name, "steps": [step, after]})
    mocks = {"charge": {"output": {"paid": 21}}}
    dry = await suite.post(f"/api/v1/workflows/{name}:dryRun", {"mocks": mocks})
    assert dry.json["output"] == 42
    assert [call["url"] for call in dry.json["calls"]] == [world.url("charge")]
    failing = {"charge": {"failure": {"class": "ClientError", "message": "declined"}}}
    dry = await suite.post(f"/api/v1/workflows/{name}:dryRun", {"mocks": failing})
    assert (dry.json["status"], dry.json["error"]["class"]) == ("failed", "ClientError")
    assert dry.json["skipped"] == ["double"]
    assert world.calls() == []


@pytest.mark.long
@pytest.mark.feature("S0-159")
async def test_workflows_have_tests(tmp_path: Path) -> None:
    """The example's pass and cover everything; a changed workflow fails them and says how."""
    passed = await flowmesh("test", str(ROOT / "examples/testing"), "--min-coverage", "100")
    assert passed.code == 0, passed.out + passed.err
    assert "3 passed; coverage 100.0 %" in passed.out
    for name in ("refund.yaml", "refund.test.yaml"):
        text = (ROOT / "examples/testing" / name).read_text()
        if name == "refund.yaml":
            text = text.replace("risk < 0.5", "risk < 0.05").replace("method: POST", "method: PUT")
        (tmp_path / name).write_text(text)
    failed = await flowmesh("test", str(tmp_path), "--json", "--junit", str(tmp_path / "out.xml"))
    assert failed.code == 1
    told = {test["name"]: test["failures"] for test in failed.json["tests"]}
    assert told["a small amount is paid back at once"] == [
        'nodes.pay.call.method: expected "POST", is "PUT"'
    ]
    assert (
        told["a large amount is checked before"][0] == "path: expected size → check → judge → pay"
    )
    assert told["a risky one is asked about"] == []
    assert (tmp_path / "out.xml").read_text().count("<failure") == 2


LINTED = """\
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: NAME}
spec:
  tasks:
    - {id: pay, taskRef: NAME-pay}
    - {id: ship, taskRef: NAME-pay, dependsOn: [pay]}
"""


@pytest.mark.long
@pytest.mark.feature("S4-55")
async def test_a_critical_step_without_compensation_is_reported(
    suite: Suite, name: str, tmp_path: Path
) -> None:
    """And one without a timeout, with tasks of the library, over REST, gRPC and offline."""
    http = {"method": "POST", "url": "https://pay.example/"}
    task = resource("WorkflowTask", f"{name}-pay", type="http", http=http)
    assert (await suite.post("/api/v1/tasks", task)).status == 201
    source = LINTED.replace("NAME", name)
    path = "/api/v1/workflows:validate?lint=true"
    checked = (await suite.post(path, data=source.encode(), headers=YAML)).json
    assert checked["valid"] is True
    assert [(p["code"], p["severity"], p["path"], p["line"]) for p in checked["problems"]] == [
        ("LINT_TIMEOUT", "warning", "tasks[0]", 6),
        ("LINT_COMPENSATION", "warning", "tasks[0]", 6),
        ("LINT_TIMEOUT", "warning", "tasks[1]", 7),
    ]
    strict = await suite.post(f"{path}&strict=true", data=source.encode(), headers=YAML)
    assert strict.json["valid"] is False
    path = path.partition("?")[0]
    plain = await suite.post(path, data=source.encode(), headers=YAML)
    assert plain.json == {"valid": True, "problems": []}
    async with Client(suite.grpc_address) as client:
        found = await client.validate(source, lint=True)
    assert [problem.code for problem in found.problems] == [p["code"] for p in checked["problems"]]
    file = tmp_path / "flow.yaml"
    file.write_text(f"{yaml.safe_dump(task)}---\n{source}")
    offline = await flowmesh("lint", "-f", str(file), "--strict", "--json")
    assert offline.code == 1
    assert {p["code"] for p in offline.json["problems"]} == {"LINT_TIMEOUT", "LINT_COMPENSATION"}


@pytest.mark.long
@pytest.mark.feature("S0-117")
async def test_four_bad_definitions_on_the_command_line(
    suite: Suite, name: str, tmp_path: Path
) -> None:
    """Schema, circle, missing task, types: each with its code, file, line and column."""
    need = {"type": "object", "properties": {"total": {"type": "number"}}}
    charge = resource("WorkflowTask", f"{name}-charge", type="noop", inputSchema=need)
    assert (await suite.post("/api/v1/tasks", charge)).status == 201
    head = f"apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {{name: {name}}}\nspec:\n"
    # The problem stands behind the mark.
    bad = {
        "SCHEMA_INVALID": "  inputSchema: {type: ¶strin}\n  tasks: [{id: a, taskRef: noop}]\n",
        "GRAPH_CYCLE": "  tasks: [{id: a, taskRef: noop, dependsOn: [¶a]}]\n",
        "TASK_NOT_FOUND": f"  tasks: [{{id: a, taskRef: ¶{name}-chrge}}]\n",
        "TYPE_MISMATCH": f"  tasks: [{{id: a, taskRef: {name}-charge, input: {{total: ¶x}}}}]\n",
    }
    for code, spec in bad.items():
        (tmp_path / f"{code}.yaml").write_text(head + spec.replace("¶", ""))
    refusals = await asyncio.gather(
        *(
            flowmesh(
                "apply", "-f", str(tmp_path / f"{code}.yaml"), "--json", address=suite.grpc_address
            )
            for code in bad
        )
    )
    for (code, spec), refused in zip(bad.items(), refusals, strict=True):
        assert (refused.code, refused.json["error"]["reason"]) == (1, code)
        (detail,) = refused.json["error"]["details"]
        place = f"{tmp_path / code}.yaml:5:{spec.index('¶') + 1}"
        assert (detail["code"], detail["place"]) == (code, place), detail
        if code == "TASK_NOT_FOUND":
            assert f"did you mean '{name}-charge'?" in detail["description"]
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404
    good = tmp_path / "good.yaml"
    good.write_text(head + f"  tasks: [{{id: a, taskRef: {name}-charge, input: {{total: 1}}}}]\n")
    assert (await flowmesh("apply", "-f", str(good), address=suite.grpc_address)).code == 0
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 200


@pytest.mark.long
@pytest.mark.feature("S0-23")
async def test_a_check_stores_nothing(suite: Suite, name: str, tmp_path: Path) -> None:
    """Whatever it finds; `--watch` checks again when the file changes, until it is interrupted."""
    steps: Json = {"id": name, "steps": [{"id": "a"}]}
    checked = await suite.post("/api/v1/workflows:validate?lint=1&strict=1", steps)
    assert checked.json == {"valid": True, "problems": []}
    assert (await suite.get(f"/workflows/{name}")).status == 404
    file = tmp_path / "steps.json"
    file.write_bytes(orjson.dumps(steps))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flowmesh.suite", "validate", "-f", str(file), "--watch",
        "--address", suite.grpc_address,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 30)) == b"valid\n"
    steps["steps"][0]["dependencies"] = ["b"]

    async def seen() -> bool:
        # Whether it watches already is not told, so the file changes until it has noticed.
        assert process.stdout is not None
        file.write_bytes(orjson.dumps(steps))
        try:
            return await asyncio.wait_for(process.stdout.readline(), 1) == b"invalid\n"
        except TimeoutError:
            return False

    await until("the change was seen", seen, within_s=30)
    process.send_signal(2)
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode in (0, 130)
    assert b"GRAPH_UNKNOWN_NODE" in err
    assert b"Traceback" not in err
    assert (await suite.get(f"/workflows/{name}")).status == 404


@pytest.mark.feature("S0-23")
async def test_tests_of_a_draft_run_without_storing_it(suite: Suite, name: str) -> None:
    """Each test passes or says what differs; a wrong text has its line, and nothing is stored."""
    echo = {
        "id": "sum",
        "taskRef": "transform",
        "input": {"source": "{{input.of}}", "pipeline": []},
    }
    draft = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": [echo], "output": {"sum": "{{tasks.sum.output}}"}},
    }
    tests = """
fixtures: {five: {of: 5}}
tests:
  - name: the sum is given back
    input: "{{fixtures.five}}"
    expect: {output: {sum: 5}}
  - name: the sum is something else
    input: {of: 4}
    expect: {output: {sum: 5}}
"""
    answer = await suite.post("/api/v1/workflows:test", {"definition": draft, "tests": tests})
    assert answer.status == 200, answer.json
    first, second = answer.json["tests"]
    assert (first["passed"], first["failures"], first["line"]) == (True, [], 4)
    assert not second["passed"]
    assert "output" in second["failures"][0]
    assert not answer.json["passed"]
    assert answer.json["coverage"]["nodesRun"] == 1
    wrong = await suite.post(
        "/api/v1/workflows:test", {"definition": draft, "tests": {"tests": [{"nam": "x"}]}}
    )
    assert wrong.status == 200
    assert (wrong.json["tests"], wrong.json["passed"]) == ([], False)
    assert "nam" in " ".join(each["message"] for each in wrong.json["problems"])
    assert (await suite.get(f"/api/v1/workflows/{name}")).status == 404
