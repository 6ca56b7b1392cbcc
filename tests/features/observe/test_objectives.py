"""Stored objectives of a running suite, and a request as spans."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sdk import Client, TaskContext, TaskFailure, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features import natives
from tests.features.commands import command

pytestmark = pytest.mark.long
WITHIN_S = 60.0
SLOS = "/api/v1/observe/slos"
CHARGE = natives.resource(
    "WorkflowTask", "till-charge", type="till.charge", retry={"maxAttempts": 1}
)
LISTENER = natives.workflow(
    "on-budget",
    {"id": "note", "taskRef": "noop"},
    triggers=[
        {"id": "burns", "event": {"type": "flowmesh.alert.budget", "input": "{{event.data}}"}}
    ],
    output={"text": "{{input.text}}", "rate": "{{input.burnRate}}"},
)


async def _charge(value: Any, context: TaskContext) -> Any:
    context.log("charging", card=value["card"])
    if value["card"] == "declined":
        raise TaskFailure("CardDeclined", "the bank declined the card")
    return {"paid": True}


@pytest.fixture(scope="module")
async def till(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with a workflow whose task fails for some cards."""
    folder = tmp_path_factory.mktemp("till") / "data"
    async with (
        Suite(folder) as suite,
        Client(suite.grpc_address) as client,
        Worker(client, {"till.charge": _charge}, worker_id="till-1"),
    ):
        task = {"id": "charge", "taskRef": "till-charge", "input": "{{input}}"}
        await natives.applied(suite, CHARGE, natives.workflow("till", task), LISTENER)
        yield suite


async def bought(suite: Suite, card: str) -> tuple[str, str]:
    """Run the workflow; return the id of its execution and its status."""
    body = {"input": {"card": card}}
    answer = await suite.request("POST", "/api/v1/workflows/till/execute", body)
    return answer.json["executionId"], answer.json["status"]


@pytest.mark.feature("S1-196")
async def test_a_stored_objective_raises_an_alert_when_its_budget_burns(till: Suite) -> None:
    """Failures burn it: an event that starts a workflow, a metric, and a state for all readers."""
    await bought(till, "declined")
    body = {"target": 99, "windowS": 86_400, "alertBurnRate": 10}
    stored = await till.request("PUT", f"{SLOS}/till", body)
    assert (stored.status, stored.json["alertBurnRate"]) == (200, 10), stored.text

    async def alerted() -> object:
        path = "/api/v1/executions?workflow=on-budget&status=completed"
        return (await till.get(path)).json["executions"]

    await until("the execution of the alert", alerted, within_s=WITHIN_S)
    (started,) = (await till.get("/api/v1/executions?workflow=on-budget")).json["executions"]
    ended = await till.get(f"/api/v1/executions/{started['executionId']}")
    assert ended.json["output"]["rate"] == pytest.approx(100)
    assert "budget of workflow till burns at 100.0" in ended.json["output"]["text"]
    (listed,) = (await till.get(SLOS)).json["slos"]
    assert (listed["workflow"], listed["burning"], listed["bad"]) == ("till", True, 1)
    metrics = (await till.get("/metrics")).text
    assert 'flowmesh_slo_burn{namespace="default",window="1h",workflow="till"}' in metrics


async def test_objectives_are_set_listed_and_deleted_by_commands(till: Suite) -> None:
    """The exit code of `slo` says that the budget is exceeded; a deleted objective is unknown."""
    await bought(till, "declined")
    set_ = await command(till, "observe", "set-slo", "till", "--target", "99.5", "--days", "7")
    assert set_.code == 0, set_.err
    shown = await command(till, "observe", "slo", "till")
    assert (shown.code, "the target is 99.5 %" in shown.out) == (1, True), shown.out
    listed = await command(till, "observe", "slos")
    assert "99.5 %" in listed.out
    deleted = await command(till, "observe", "delete-slo", "till")
    assert deleted.code == 0, deleted.err
    missing = await till.get(f"{SLOS}/till")
    assert (missing.status, missing.json["error"]["reason"]) == (404, "SLO_NOT_FOUND")


async def test_wrong_objectives_are_refused_with_their_field(till: Suite) -> None:
    """Nothing of them is stored."""
    for body, field in (
        ({"target": 100}, "target"),
        ({"target": 99, "windowS": 60}, "window"),
        ({"target": 99, "alertBurnRate": -1}, "alertBurnRate"),
        ({"target": 99, "colour": "red"}, "colour"),
    ):
        refused = await till.request("PUT", f"{SLOS}/till", body)
        assert (refused.status, field in refused.text) == (400, True), refused.text
    unknown = await till.request("PUT", f"{SLOS}/nothing", {"target": 99})
    assert (unknown.status, unknown.json["error"]["reason"]) == (404, "WORKFLOW_NOT_FOUND")


@pytest.mark.feature("S1-196")
async def test_a_request_is_one_picture_of_calls_executions_and_attempts(till: Suite) -> None:
    """The call of the gateway encloses the execution, and that the attempt on its worker."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    path = "/api/v1/workflows/till/execute"
    body = {"input": {"card": "declined"}}
    answer = await till.request("POST", path, body, headers=headers)
    execution = answer.json["executionId"]

    async def kept() -> bool:
        found = (await till.get(f"/api/v1/observe/spans?executionId={execution}")).json
        return any(each["process"] == "gateway" for each in found["spans"])

    await until("the call of the gateway", kept, within_s=WITHIN_S)
    found = (await till.get(f"/api/v1/observe/spans?executionId={execution}")).json
    assert found["traceId"] == trace
    of = {(each["kind"], each["process"]): each for each in found["spans"]}
    call, whole = of["call", "gateway"], of["execution", "orchestrator"]
    attempt = of["attempt", "till-1"]
    assert call["name"] == "POST /api/v1/workflows/{name}/execute"
    assert (attempt["node"], attempt["attempt"], attempt["failed"]) == ("charge", 1, True)
    assert call["durationMs"] >= whole["durationMs"] >= attempt["durationMs"]
    assert {"charging", "CardDeclined: the bank declined the card"} <= {
        each["event"] for each in found["logs"]
    }
    by_trace = (await till.get(f"/api/v1/observe/spans?trace={trace}")).json
    assert len(by_trace["spans"]) == len(found["spans"])
    shown = await command(till, "observe", "request", execution)
    assert "till-1" in shown.out, shown.err
    both = await till.get(f"/api/v1/observe/spans?trace={trace}&executionId={execution}")
    assert (both.status, both.json["error"]["reason"]) == (400, "REQUEST_INVALID")
    elsewhere = {"Flowmesh-Namespace": "elsewhere"}
    foreign = await till.request("GET", f"/api/v1/observe/spans?trace={trace}", headers=elsewhere)
    assert (foreign.json["spans"], foreign.json["logs"]) == ([], [])
