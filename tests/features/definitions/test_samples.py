"""The sample workflows of the step-JSON dialect from end to end, each as it is written."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import curl
from tests.features.steps import sequence_of, told

SCRIPT_TIMEOUT_S = 60
ORDER = {"orderId": "order-123", "customerId": "customer-456", "amount": 99.99}


def sample(workflow_id: str, world: World) -> Any:
    """The definition that a command of the samples posts, with the world in place of the hosts."""
    for command in curl.commands("step_json.sh"):
        words = shlex.split(curl.in_world(command, world.address).replace("\\\n", " "))
        if "-d" in words:
            posted = json.loads(words[words.index("-d") + 1])
            if posted.get("id") == workflow_id:
                return posted
    raise KeyError(workflow_id)


def routes(world: World) -> list[str]:
    return [call.route for call in world.calls()]


@pytest.mark.feature("S2-41", "S4-11")
async def test_order_processing(suite: Suite, world: World) -> None:
    """Validated, charged, fulfilled, told: in this order, each with what came before."""
    world.answers("validation-service/validate", json={"valid": True})
    world.answers("payment-service/charge", json={"receipt": "r-1"})
    execution = await suite.run(sample("order-processing", world), ORDER)
    (told,) = await world.called("notifications/order-complete")

    assert execution["status"] == "completed"
    assert routes(world) == [
        "validation-service/validate",
        "payment-service/charge",
        "fulfillment-service/fulfill",
        "notifications/order-complete",
    ]
    validate, charge, fulfill, _ = (call.json for call in world.calls())
    assert validate == ORDER
    assert charge == ORDER | {"validate-order": {"valid": True}}
    assert fulfill == charge | {"charge-payment": {"receipt": "r-1"}}
    assert told.json["execution"]["executionId"] == execution["executionId"]


@pytest.mark.feature("S2-41")
async def test_an_order_that_cannot_be_paid(suite: Suite, world: World) -> None:
    """Nothing is fulfilled; the failure is told, and nothing of a completion."""
    world.answers("payment-service/charge", status=402)
    execution = await suite.run(sample("order-processing", world), ORDER)
    (told,) = await world.called("notifications/order-failed")

    assert execution["status"] == "failed"
    assert execution["skippedSteps"] == ["fulfill-order"]
    assert told.json["error"]["class"] == "ClientError"
    assert "fulfillment-service/fulfill" not in routes(world)
    assert "notifications/order-complete" not in routes(world)


@pytest.mark.feature("S2-42", "S4-11")
async def test_etl_pipeline(suite: Suite, world: World) -> None:
    """Extracted, both transforms at once on what was extracted, loaded with what both made."""
    users = [{"id": 1, "name": "Ada", "age": 36}]
    orders = [{"id": 7, "status": "active"}, {"id": 8, "status": "closed"}]
    world.answers("source-system/data", json={"users": users, "orders": orders})
    execution = await suite.run(sample("etl-pipeline", world))
    events = await suite.events(execution["executionId"])

    assert execution["status"] == "completed"
    assert [call.method for call in world.calls()] == ["GET", "POST"]
    (load,) = world.calls("target-system/load")
    assert load.json["transform-users"] == [{"id": 1, "name": "Ada"}]
    assert load.json["transform-orders"] == [{"id": 7, "status": "active"}]
    both = ("transform-users", "transform-orders")
    scheduled = [sequence_of(events, "TaskScheduled", each) for each in both]
    assert abs(scheduled[0] - scheduled[1]) == 1
    assert max(scheduled) < min(sequence_of(events, "TaskCompleted", each) for each in both)


@pytest.mark.feature("S2-43", "S4-11")
async def test_order_flow(suite: Suite, world: World) -> None:
    """Five services in order, the last a webhook with its payload, then the analytics."""
    execution = await suite.run(sample("order-flow", world), {"orderId": "123"})
    (told,) = await world.called("analytics/order-complete")

    assert execution["status"] == "completed"
    assert routes(world) == [
        "validation/validate",
        "inventory/check",
        "payment/charge",
        "shipping/ship",
        "notifications/email",
        "analytics/order-complete",
    ]
    assert world.calls("notifications/email")[0].json == {"type": "order-confirmation"}
    assert told.json["event"] == "onComplete"
    assert "support/order-failed" not in routes(world)


@pytest.mark.feature("S2-43")
async def test_an_order_flow_without_stock(suite: Suite, world: World) -> None:
    """Nobody is charged, nothing ships, no confirmation; support hears of it once."""
    world.answers("inventory/check", status=409)
    execution = await suite.run(sample("order-flow", world), {"orderId": "124"})
    await world.called("support/order-failed")

    assert (execution["status"], execution["failedSteps"]) == ("failed", ["check-inventory"])
    assert routes(world) == ["validation/validate", "inventory/check", "support/order-failed"]


@pytest.mark.feature("S2-44", "S4-11")
async def test_cicd_pipeline(suite: Suite) -> None:
    """Six stages without an action, each ended before the next begins."""
    pipeline = json.loads((curl.SAMPLES / "cicd_pipeline.json").read_text())
    stages = [step["id"] for step in pipeline["steps"]]
    execution = await suite.run(pipeline)
    events = await suite.events(execution["executionId"])

    assert execution["status"] == "completed"
    one_by_one = [(word, each) for each in stages for word in ("TaskScheduled", "TaskCompleted")]
    assert told(events, "TaskScheduled", "TaskCompleted") == one_by_one
    assert stages[-1] == "deploy-production"
    picture = (await suite.get(f"/executions/{execution['executionId']}/visualize")).json
    assert picture["workflowName"] == "CI/CD Pipeline"
    assert [step["status"] for step in picture["steps"]] == ["success"] * 6
    before = [step["dependencies"] for step in pipeline["steps"]]
    assert [step["dependencies"] for step in picture["steps"]] == before


@pytest.mark.feature("S2-46")
async def test_the_complete_example_runs_in_a_shell(
    suite: Suite, world: World, tmp_path: Path
) -> None:
    """Registered, started, watched to its end, drawn and listed by the script as it stands."""
    assert shutil.which("curl"), "the script calls curl; install it: apt-get install curl"
    definition = sample("order-flow", world)
    (tmp_path / "workflow-definition.json").write_text(json.dumps(definition))
    script = (curl.SAMPLES / "complete_example.sh").read_text()
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script.replace(curl.HOST, suite.http_url) + '\necho "EXEC_ID=$EXEC_ID"',
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools(tmp_path)}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SCRIPT_TIMEOUT_S):
        out, problems = (text.decode() for text in await process.communicate())

    assert process.returncode == 0, problems
    said, _, execution_id = out.strip().rpartition("EXEC_ID=")
    assert execution_id.startswith("exec-")
    registered, *watched, picture, listed = documents(said)
    assert watched[-1] == "completed"
    assert set(watched) <= {"running", "completed"}
    assert registered["id"] == "order-flow"
    assert picture["executionId"] == execution_id
    assert [step["id"] for step in picture["steps"]] == [s["id"] for s in definition["steps"]]
    assert listed["executions"][0]["executionId"] == execution_id
    assert "shipping/ship" in routes(world)


def tools(folder: Path) -> Path:
    """A folder for the front of PATH: a `watch` that ends, and jq where the machine has none."""
    found = folder / "bin"
    found.mkdir()
    shutil.copy(curl.SAMPLES / "bin" / "watch", found)
    if shutil.which("jq") is None:
        program = curl.SAMPLES / "bin" / "jq.py"
        (found / "jq").write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
        (found / "jq").chmod(0o755)
    return found


def documents(text: str) -> list[Any]:
    """The JSON values that a text is made of, one after the other."""
    found, decoder, text = [], json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].strip()
    return found


@pytest.mark.long
@pytest.mark.feature("S2-45")
async def test_one_command_serves_on_port_3000(suite: Suite, tmp_path: Path) -> None:
    """Unless told otherwise: where 3000 is taken it says so, and how to choose another."""
    try:
        holder = await asyncio.start_server(lambda *_: None, "127.0.0.1", 3000)
    except OSError:
        holder = None  # somebody else holds it, which is as good
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowmesh.suite", "dev", "--data-dir", str(tmp_path / "data")),
        *("--grpc-port", "0"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SCRIPT_TIMEOUT_S):
        _, said = await process.communicate()
    if holder is not None:
        holder.close()

    assert process.returncode == 1
    assert b"HTTP port 3000 of 127.0.0.1 is not free" in said
    assert b"--http-port" in said
    assert suite.http_url != "http://127.0.0.1:3000"
    assert (await suite.get("/health")).status == 200
