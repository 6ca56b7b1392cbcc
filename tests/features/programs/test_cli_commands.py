"""The command line against the running suite, as a person and as a script use it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from flowmesh.sdk import Client, Retry, TaskContext, Worker, Workflow
from flowmesh.testing.suite import Suite
from tests.features.commands import Outcome, command

STEPS = """\
id: cli-steps
name: From the command line
steps:
  - {id: first, name: First, action: delay, params: {duration: 20}}
  - {id: second, name: Second, dependencies: [first]}
"""
RESOURCES = """\
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: cli-wait}
spec: {type: delay, delay: {duration: 10ms}}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: cli-flow}
spec:
  tasks:
    - {id: wait, taskRef: cli-wait}
"""
CYCLE = """\
id: cli-cycle
name: Round and round
steps:
  - {id: task-a, name: A, dependencies: [task-b]}
  - {id: task-b, name: B, dependencies: [task-a]}
"""


Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def flowmesh(suite: Suite) -> Run:
    """`await flowmesh("start", "order")`: the command as a process of its own."""

    async def run(*tokens: str, **options: Any) -> Outcome:
        return await command(suite, *tokens, **options)

    return run


@pytest.mark.long
async def test_from_a_file_to_a_trace(flowmesh: Run, tmp_path: Path) -> None:
    """Apply, start and wait, then look at it from every side."""
    file = tmp_path / "steps.yaml"
    file.write_text(STEPS)
    applied = await flowmesh("apply", "-f", str(file))
    assert (applied.code, applied.lines) == (0, ["Workflow cli-steps: version 1"])

    started = await flowmesh("start", "cli-steps", "--input", '{"n": 1}', "--wait", "--json")
    assert started.code == 0, started.err
    execution = started.json["executionId"]
    assert started.json["tasks"]["second"]["status"] == "completed"

    watched = await flowmesh("watch", execution, "--json")
    assert watched.code == 0
    types = [orjson.loads(line)["type"] for line in watched.lines]
    assert (types[0], types[-1]) == ("WorkflowStarted", "WorkflowCompleted")

    history = await flowmesh("history", execution)
    assert len(history.lines) == len(types)

    trace = await flowmesh("trace", execution)
    assert trace.lines[0].startswith("✔ cli-steps v1  completed")
    assert trace.lines[1].startswith("└─ ✔ first")
    assert trace.lines[2].startswith("   └─ ✔ second")


@pytest.mark.long
async def test_objects_are_listed_and_shown(flowmesh: Run) -> None:
    """Workflows, tasks, executions and services, as columns and as JSON."""
    applied = await flowmesh("apply", "-f", "-", "--json", stdin=RESOURCES)
    assert [r["name"] for r in applied.json["resources"]] == ["cli-wait", "cli-flow"]
    again = await flowmesh("apply", "-f", "-", stdin=RESOURCES)
    assert again.lines[1] == "Workflow cli-flow: unchanged (version 1)"

    started = await flowmesh("start", "cli-flow")
    execution = started.out.strip()
    assert (await flowmesh("watch", execution)).code == 0
    listed = await flowmesh(
        "list", "executions", "--workflow", "cli-flow", "--status", "completed", "--json"
    )
    assert [shown["executionId"] for shown in listed.json] == [execution]

    workflows = await flowmesh("list", "workflows", "--where", "id:cli-fl*")
    assert [line.split()[0] for line in workflows.lines] == ["NAME", "cli-flow"]
    task = await flowmesh("get", "task", "cli-wait", "--json")
    assert task.json["type"] == "delay"
    workflow = await flowmesh("get", "workflow", "cli-flow")
    assert "taskRef: cli-wait" in workflow.out
    services = await flowmesh("services", "--json")
    names = {instance["name"] for instance in services.json}
    assert {"definition", "orchestrator", "worker", "event", "registry"} <= names


@pytest.mark.long
@pytest.mark.feature("S0-07")
async def test_an_invalid_definition_has_a_position(flowmesh: Run, tmp_path: Path) -> None:
    """The cycle, with the file and line it is in; nothing is stored."""
    file = tmp_path / "cycle.yaml"
    file.write_text(CYCLE)
    outcome = await flowmesh("validate", "-f", str(file))
    assert (outcome.code, outcome.out) == (1, "invalid\n")
    assert "Circular dependency: task-a → task-b → task-a" in outcome.err
    assert f"{file}:" in outcome.err
    refused = await flowmesh("apply", "-f", str(file))
    assert refused.code == 1
    assert "Circular dependency: task-a → task-b → task-a" in refused.err
    assert f"{file}:" in refused.err
    refused = await flowmesh("apply", "-f", str(file), "--json")
    assert refused.code == 1
    assert refused.json["error"]["reason"] == "GRAPH_CYCLE"
    assert (await flowmesh("get", "workflow", "cli-cycle")).code == 1


@pytest.mark.long
async def test_an_execution_is_signaled_paused_and_canceled(flowmesh: Run, suite: Suite) -> None:
    """The exit code of `watch` says that it did not complete."""
    flow = Workflow("cli-cancel")
    flow.task("wait", "cli-no-worker")
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
    execution = (await flowmesh("start", "cli-cancel")).out.strip()
    signal = await flowmesh("signal", execution, "hello", "--payload", '{"n": 1}', "--json")
    assert signal.json["sequence"] > 1
    assert (await flowmesh("pause", execution, "--reason", "lunch")).out == f"{execution}: paused\n"
    twice = await flowmesh("pause", execution)
    assert (twice.code, "EXECUTION_PAUSED" in twice.err) == (1, True)
    assert (await flowmesh("resume", execution)).out == f"{execution}: running\n"
    assert (await flowmesh("cancel", execution, "--reason", "enough")).code == 0
    watched = await flowmesh("watch", execution)
    assert watched.code == 1
    assert "WorkflowCanceled" in watched.lines[-1]
    again = await flowmesh("terminate", execution)
    assert again.code == 1
    assert "EXECUTION_ENDED" in again.err


@pytest.mark.long
async def test_a_failed_run_is_exit_code_one(flowmesh: Run, suite: Suite) -> None:
    """With the failure on the output, and the attempts in the trace."""

    async def fail(value: Any) -> None:
        raise LookupError("no such order")

    flow = Workflow("cli-fail")
    flow.task("only", fail, retry=Retry(attempts=1))
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers):
            outcome = await flowmesh("start", "cli-fail", "--wait")
    assert outcome.code == 1
    assert "LookupError in only: no such order" in outcome.out
    execution = outcome.out.split()[1]
    trace = await flowmesh("trace", execution)
    assert "✘ only" in trace.lines[1]
    assert "LookupError: no such order" in trace.lines[1]


@pytest.fixture
async def broken(suite: Suite) -> str:
    """The id of a failed execution, whose handler logged a line and raised."""

    async def look_up(value: Any, context: TaskContext) -> None:
        context.log("looking up", customer="ada")
        raise LookupError("no such customer")

    flow = Workflow("cli-broken")
    flow.task("only", look_up, retry=Retry(attempts=1))
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers):
            handle = await client.start("cli-broken")
            await handle.wait(30)
    return handle.id


@pytest.mark.long
async def test_a_failed_handler_is_shown_by_logs_and_get(flowmesh: Run, broken: str) -> None:
    """Its log lines, its failure and its traceback, in the order of time."""
    shown = await flowmesh("get", "execution", broken)
    assert "Traceback (most recent call last):" in shown.out
    assert 'raise LookupError("no such customer")' in shown.out
    logs = await flowmesh("logs", broken, "-o", "json", "--follow")
    entries = [orjson.loads(line) for line in logs.lines]
    assert [(entry["level"], entry["message"]) for entry in entries] == [
        ("info", "looking up"),
        ("error", "LookupError: no such customer"),
        ("error", "only failed, LookupError: no such customer"),
    ]
    assert entries[0]["fields"] == {"customer": "ada"}
    assert "test_cli_commands.py" in entries[1]["traceback"]
    only = await flowmesh("logs", broken, "--task", "only")
    assert "looking up" in only.lines[0]
    assert (await flowmesh("logs", "exec-0")).code == 1


@pytest.mark.long
async def test_a_failed_execution_is_explained(flowmesh: Run, broken: str) -> None:
    """With the failed task, its error, and a remedy."""
    explained = (await flowmesh("explain", broken)).out
    assert "it has ended: failed, only failed with LookupError: no such customer" in explained
    assert f"flowmesh rerun {broken} --from-failed" in " ".join(explained.split())
    task = (await flowmesh("explain", broken, "--task", "only")).out
    assert "it has ended: failed after attempt 1: LookupError: no such customer" in task
    assert "not retried: its policy has a single attempt (`maxAttempts`)" in " ".join(task.split())


@pytest.mark.long
async def test_a_start_explains_its_wait(flowmesh: Run, suite: Suite) -> None:
    """After one second, beside the output."""
    flow = Workflow("cli-waits")
    flow.task("greet", "cli-greet-no-worker")
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
    outcome = await flowmesh("start", "cli-waits", "--wait", "--timeout", "3", "--json")
    assert outcome.code == 1
    assert "waiting: greet: no worker takes cli-greet-no-worker" in outcome.err
    assert "[NO_WORKER]" in outcome.err


@pytest.mark.long
async def test_the_rest_port_of_a_suite_is_named(flowmesh: Run, suite: Suite) -> None:
    """With the gRPC address that was meant."""
    rest = suite.about["http"].removeprefix("http://")
    outcome = await flowmesh("services", "--address", rest, addressed=False)
    assert outcome.code == 3
    said = f"{rest} is a REST port (HTTP); the gRPC address is {suite.grpc_address}"
    assert said in outcome.err


@pytest.mark.long
async def test_the_doctor_reports_a_healthy_suite(flowmesh: Run) -> None:
    """It answers, its instances are healthy, its clock agrees."""
    outcome = await flowmesh("doctor", "--json")
    verdicts = {check["check"]: check["verdict"] for check in outcome.json["checks"]}
    assert verdicts["suite"] == "ok"
    assert verdicts["clock"] == "ok"
