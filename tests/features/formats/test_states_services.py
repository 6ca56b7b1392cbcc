"""Tasks of Amazon States Language documents that workers run: functions, services, tokens."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import TaskContext, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.formats.test_states import machine, run

PATIENCE_S = 20
INVOKE = "arn:aws:states:::lambda:invoke"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function"
TRANSIENT = {
    "ErrorEquals": ["Lambda.ServiceException", "Lambda.TooManyRequestsException"],
    "IntervalSeconds": 1,
    "MaxAttempts": 2,
    "JitterStrategy": "FULL",
}


def invoke(name: str, **more: Json) -> Json:
    given = {"FunctionName": name, **more.pop("given", {"Payload.$": "$"})}
    return {"Type": "Task", "Resource": INVOKE, "Parameters": given, "End": True, **more}


async def doubled(value: Json, _context: TaskContext) -> Json:
    return {"n": value["n"] * 2}


async def test_a_function_runs_as_a_task_of_a_worker(suite: Suite) -> None:
    """The handler gets the Payload; the result is wrapped as the service wraps it."""
    state = invoke(f"{FUNCTION}:asl-double:live")
    async with Worker(suite.grpc_address, {"asl-double": doubled}):
        found = await run(suite, machine("invokes", "Call", Call=state), {"n": 4})
    assert found["output"] == {"ExecutedVersion": "$LATEST", "Payload": {"n": 8}, "StatusCode": 200}


async def test_the_payload_of_a_function_is_an_object_where_none_is_given(suite: Suite) -> None:
    """Without Payload a function is invoked with `{}`, as the service does."""

    async def echo(value: Json, _context: TaskContext) -> Json:
        return value

    given = {"FunctionName": "asl-echo", "Qualifier": "7"}
    state = invoke("asl-echo", given=given, OutputPath="$['Payload','ExecutedVersion']")
    async with Worker(suite.grpc_address, {"asl-echo": echo}):
        found = await run(suite, machine("invokes-bare", "Call", Call=state), {"n": 4})
    assert found["output"] == [{}, "7"]


async def test_the_exception_of_a_function_is_the_error_that_is_caught(suite: Suite) -> None:
    """Its class is the name; the cause is the JSON text that the service makes of it."""

    class OutOfStock(Exception):
        """What the shop raises when there is nothing left."""

    async def fails(_value: Json, _context: TaskContext) -> Json:
        raise OutOfStock("no pens")

    catch = [{"ErrorEquals": ["OutOfStock"], "ResultPath": "$.error", "Next": "Read"}]
    read = {"Type": "Pass", "End": True, "Parameters": {
        "name.$": "$.error.Error", "cause.$": "States.StringToJson($.error.Cause)"}}  # fmt: skip
    definition = machine("catches", "Call", Call=invoke("asl-fails", Catch=catch), Read=read)
    async with Worker(suite.grpc_address, {"asl-fails": fails}):
        found = await run(suite, definition, {})
    cause = {"errorMessage": "no pens", "errorType": "OutOfStock"}
    assert found["output"] == {"name": "OutOfStock", "cause": cause}


async def test_what_passes_by_is_an_error_of_the_service(suite: Suite) -> None:
    """A worker that is overloaded is the Lambda.TooManyRequestsException that retriers name."""

    class RateLimitError(Exception):
        """What a client of some API raises."""

    asked: list[Json] = []

    async def overloaded(value: Json, _context: TaskContext) -> Json:
        asked.append(value)
        if len(asked) == 1:
            raise RateLimitError("slow down")
        return "done"

    state = invoke("asl-overloaded", Retry=[TRANSIENT], OutputPath="$.Payload")
    async with Worker(suite.grpc_address, {"asl-overloaded": overloaded}):
        found = await run(suite, machine("retries-lambda", "Call", Call=state), {})
    assert found["output"] == "done"
    assert len(asked) == 2


async def test_a_service_runs_as_a_task_of_a_worker(suite: Suite) -> None:
    """The type is what stands behind states::: in the resource, the input its parameters."""

    async def put(value: Json, _context: TaskContext) -> Json:
        return {"put": value["Item"]["id"]["S"]}

    state = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem", "End": True,
             "Parameters": {"TableName": "orders", "Item": {"id": {"S.$": "$.id"}}},
             "ResultPath": "$.stored"}  # fmt: skip
    async with Worker(suite.grpc_address, {"dynamodb:putItem": put}):
        found = await run(suite, machine("stores", "Put", Put=state), {"id": "o-1"})
    assert found["output"] == {"id": "o-1", "stored": {"put": "o-1"}}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"output": {"ok": True}}, {"ok": True}),
        ({"error": "Rejected", "cause": "too dear"}, {"Error": "Rejected", "Cause": "too dear"}),
    ],
)
async def test_a_task_with_a_token_ends_with_what_is_sent_with_it(
    suite: Suite, sent: Json, expected: Json
) -> None:
    """A worker passes the token on; a signal with the token as its key has the result."""

    class TooEarly(Exception):
        """What makes the state try again."""

    async def ask(value: Json, _context: TaskContext) -> Json:
        body = {"name": "states.task-token", "key": value["token"], "payload": sent}
        answer = await suite.post("/api/v1/signals", body)
        if answer.status == 404:
            raise TooEarly("the state does not wait yet")
        return "this is not the result"

    given = {"Payload": {"token.$": "$$.Task.Token"}}
    state = invoke("asl-ask", given=given, Resource=f"{INVOKE}.waitForTaskToken", TimeoutSeconds=20,
                   Catch=[{"ErrorEquals": ["States.TaskFailed"], "Next": "Told"}])  # fmt: skip
    state["Retry"] = [{"ErrorEquals": ["TooEarly"], "IntervalSeconds": 1}]
    definition = machine("asks", "Ask", Ask=state, Told={"Type": "Pass", "End": True})
    async with Worker(suite.grpc_address, {"asl-ask": ask}):
        found = await run(suite, definition, {})
    assert found["status"] == "completed", found.get("error")
    assert found["output"] == expected


async def test_events_start_the_executions_that_wait_for_them(suite: Suite) -> None:
    """Events of events:putEvents reach the triggers of the namespace as CloudEvents."""
    native = {
        "apiVersion": "workflow.io/v1", "kind": "Workflow", "metadata": {"name": "asl-listens"},
        "spec": {
            "triggers": [{"id": "placed", "event": {
                "type": "Order Placed", "source": "shop", "input": "{{event.data}}"}}],
            "tasks": [{"id": "only", "taskRef": "noop"}], "output": "{{input.id}}"},
    }  # fmt: skip
    await suite.define(native)
    state = {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents", "End": True,
             "Parameters": {"Entries": [{"Source": "shop", "DetailType": "Order Placed",
                                         "EventBusName": "orders",
                                         "Detail": {"id.$": "$.id"}}]}}  # fmt: skip
    found = await run(suite, machine("publishes", "Put", Put=state), {"id": 7})
    assert found["output"]["FailedEntryCount"] == 0
    assert found["output"]["Entries"][0]["EventId"]
    outputs: list[Json] = []

    async def listened() -> bool:
        listed = await suite.get("/api/v1/executions?workflow=asl-listens&status=completed")
        paths = [f"/api/v1/executions/{each['executionId']}" for each in listed.json["executions"]]
        outputs[:] = [(await suite.get(path)).json["output"] for path in paths]
        return bool(outputs)

    await until("an execution that the event started", listened, within_s=PATIENCE_S)
    assert outputs == [7]
