"""Amazon States Language documents on the running suite."""

import asyncio

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import TaskContext, Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World


def machine(name: str, start: str, **states: Json) -> Json:
    return {"Name": name, "StartAt": start, "States": states}


async def run(suite: Suite, definition: Json, given: Json = None) -> Json:
    workflow_id = await suite.define(definition)
    execution_id = await suite.begin(workflow_id, given)
    await suite.wait(execution_id)
    answer = await suite.get(f"/api/v1/executions/{execution_id}")
    return answer.json


async def test_a_document_is_given_back_as_it_came(suite: Suite) -> None:
    """The stored document is the one that came; without a name it is named by its content."""
    definition = {"StartAt": "Only", "States": {"Only": {"Type": "Succeed"}}}
    workflow_id = await suite.define(definition)
    assert workflow_id.startswith("states-")
    answer = await suite.get(f"/api/v1/workflows/{workflow_id}")
    assert answer.json["format"] == "states"
    assert answer.json["definition"] == definition
    assert await suite.define(definition) == workflow_id


async def test_choices_go_round_until_they_hold(suite: Suite) -> None:
    """A circle of states, with functions and the context object in its parameters."""
    definition = machine(
        "circle",
        "Add",
        Add={"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)",
                                            "me.$": "$$.State.Name"}, "Next": "Enough"},
        Enough={"Type": "Choice", "Default": "Add", "Choices": [
            {"And": [{"Variable": "$.n", "NumericGreaterThanEquals": 4},
                     {"Variable": "$.me", "StringMatches": "A*d"}], "Next": "Done"}]},
        Done={"Type": "Succeed", "OutputPath": "$.n"},
    )  # fmt: skip
    found = await run(suite, definition, {"n": 0})
    assert found["output"] == 4


async def test_branches_and_items_run_in_machines_of_their_own(suite: Suite) -> None:
    """Parallel answers the list of its branches, Map that of its items, beside the input."""
    one = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "a", "End": True}}}
    two = {"StartAt": "B", "States": {"B": {"Type": "Pass", "OutputPath": "$.x", "End": True}}}
    text = {"Type": "Pass", "End": True, "Parameters": {
        "t.$": "States.Format('{}{}', $.v, $$.Map.Item.Index)"}}  # fmt: skip
    definition = machine(
        "wide",
        "Both",
        Both={"Type": "Parallel", "Branches": [one, two], "ResultPath": "$.both", "Next": "Each"},
        Each={"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ResultPath": "$.each",
              "ItemSelector": {"v.$": "$$.Map.Item.Value"},
              "ItemProcessor": {"StartAt": "T", "States": {"T": text}}, "End": True},
    )  # fmt: skip
    found = await run(suite, definition, {"x": 1, "items": ["p", "q", "r"]})
    assert found["output"]["both"] == ["a", 1]
    assert found["output"]["each"] == [{"t": "p0"}, {"t": "q1"}, {"t": "r2"}]
    assert found["output"]["x"] == 1


START = "arn:aws:states:::states:startExecution"


def starts(how: str, **more: Json) -> Json:
    """A state that starts the state machine that its input names."""
    given = {"StateMachineArn.$": "$.machine", "Input": {"n.$": "$.n"}, **more.pop("given", {})}
    return {"Type": "Task", "Resource": START + how, "Parameters": given, "End": True, **more}


async def test_a_machine_starts_another_and_waits(suite: Suite) -> None:
    """The result has its output, as it is or as a text."""
    adds = {"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($.n, 1)"}, "End": True}
    await suite.define(machine("adds", "Add", Add=adds))
    asked = {"machine": "arn:aws:states:eu-west-1:1:stateMachine:adds", "n": 4}
    state = starts(".sync:2", ResultSelector={"sum.$": "$.Output.sum", "was.$": "$.Status"})
    found = await run(suite, machine("starts-adds", "Ask", Ask=state), asked)
    assert found["output"] == {"sum": 5, "was": "SUCCEEDED"}
    found = await run(suite, machine("starts-as-text", "Ask", Ask=starts(".sync")), asked)
    assert found["output"]["Output"] == '{"sum":5}'
    assert found["output"]["Input"] == '{"n":4}'


async def test_what_a_started_machine_fails_with_is_caught(suite: Suite) -> None:
    """As a failed task, and so is a machine that is not there."""
    fails = {"Type": "Fail", "Error": "Broken", "Cause": "it broke"}
    await suite.define(machine("falls", "Fall", Fall=fails))
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Told"}]
    told = {"Type": "Pass", "OutputPath": "$.error.Cause", "End": True}
    definition = machine("sees", "Ask", Ask=starts(".sync:2", Catch=catch), Told=told)
    found = await run(suite, definition, {"machine": "falls", "n": 1})
    assert "falls failed" in found["output"]
    assert "it broke" in found["output"]
    found = await run(suite, definition, {"machine": "nobody", "n": 1})
    assert "nobody cannot be started" in found["output"]


async def test_a_machine_that_is_not_waited_for_starts_once_under_a_name(suite: Suite) -> None:
    """The state answers its id; under the same name it is the same execution."""
    await suite.define(
        machine("stays", "Stay", Stay={"Type": "Wait", "Seconds": 3600, "End": True})
    )
    state = starts("", given={"Name.$": "$.name"})
    definition = machine("leaves-it", "Ask", Ask=state)
    asked = {"machine": "stays", "n": 1, "name": "one"}
    first = (await run(suite, definition, asked))["output"]
    again = (await run(suite, definition, asked))["output"]
    other = (await run(suite, definition, {**asked, "name": "two"}))["output"]
    assert first["ExecutionArn"] == again["ExecutionArn"] != other["ExecutionArn"]
    for one in (first, other):
        shown = await suite.execution(one["ExecutionArn"])
        assert shown["status"] == "running"
        await suite.post(f"/api/v1/executions/{one['ExecutionArn']}:terminate", {})


async def test_a_task_is_tried_again_and_then_caught(suite: Suite, world: World) -> None:
    """Retriers of their own counts, then the catcher, whose state sees error and input."""
    world.answers("broken", status=503, times=1)
    world.answers("broken", status=404)
    request = {"ApiEndpoint": world.url("broken"), "Method": "GET"}
    retry = [
        {"ErrorEquals": ["States.Http.StatusCode.503"], "IntervalSeconds": 1, "MaxAttempts": 5},
        {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 5},
    ]
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Handled"}]
    definition = machine(
        "caught",
        "Call",
        Call={"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": request,
              "Retry": retry, "Catch": catch, "End": True},
        Handled={"Type": "Pass", "Parameters": {"name.$": "$.error.Error", "k.$": "$.k"},
                 "End": True},
    )  # fmt: skip
    found = await run(suite, definition, {"k": 5})
    assert found["output"] == {"name": "States.Http.StatusCode.404", "k": 5}
    assert len(world.calls("broken")) == 2


async def test_tasks_of_the_library_and_their_results(suite: Suite, world: World) -> None:
    """A task of the library gets the parameters; its result is picked and put where asked."""
    code = "return {sum: input.a + input.b, more: 1}"
    task = {"apiVersion": "workflow.io/v1", "kind": "WorkflowTask",
            "metadata": {"name": "states-sum"},
            "spec": {"type": "function", "function": {"code": code}}}  # fmt: skip
    answer = await suite.post("/api/v1/tasks", task)
    assert answer.status in (200, 201), answer.text
    definition = machine(
        "library",
        "Sum",
        Sum={"Type": "Task", "Resource": "flowmesh:states-sum", "InputPath": "$.given",
             "Parameters": {"a.$": "$.one", "b": 2}, "ResultSelector": {"is.$": "$.sum"},
             "ResultPath": "$.result", "Next": "Call"},
        Call={"Type": "Task", "Resource": "arn:aws:states:::http:invoke",
              "Parameters": {"ApiEndpoint": world.url("hook"), "Method": "POST",
                             "RequestBody": {"sum.$": "$.result.is"}},
              "ResultSelector": {"status.$": "$.StatusCode"}, "ResultPath": "$.answer",
              "End": True},
    )  # fmt: skip
    found = await run(suite, definition, {"given": {"one": 1}})
    assert found["output"]["result"] == {"is": 3}
    assert found["output"]["answer"] == {"status": 200}
    assert world.calls("hook")[0].json == {"sum": 3}


async def test_workers_run_the_tasks_of_a_machine(suite: Suite) -> None:
    """A handler gets the parameters; the name of its exception is that of the error."""

    class OutOfStock(Exception):
        """What the shop says when there is nothing left."""

    async def reserve(value: Json, context: TaskContext) -> Json:
        if value["item"] == "pen" and context.attempt == 1 and not asked:
            asked.append(value)
            raise OutOfStock("no pens")
        return {"reserved": value["item"]}

    asked: list[Json] = []
    retry = [{"ErrorEquals": ["OutOfStock"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    state = {"Type": "Task", "Resource": "states-reserve", "Parameters": {"item.$": "$.item"},
             "ResultPath": "$.result", "Retry": retry, "End": True}  # fmt: skip
    async with Worker(suite.grpc_address, {"states-reserve": reserve}):
        found = await run(suite, machine("remote", "Reserve", Reserve=state), {"item": "pen"})
    assert found["output"] == {"item": "pen", "result": {"reserved": "pen"}}
    assert len(asked) == 1


async def test_a_machine_waits_and_fails_with_a_name(suite: Suite) -> None:
    """A wait whose length is data, an instant that is over, and a failure of the user's own."""
    definition = machine(
        "ends",
        "Short",
        Short={"Type": "Wait", "SecondsPath": "$.wait", "Next": "Past"},
        Past={"Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "Next": "End"},
        End={"Type": "Fail", "Error": "Order.Late", "CausePath": "States.Format('no {}', $.id)"},
    )
    found = await asyncio.wait_for(run(suite, definition, {"wait": 0.1, "id": 7}), 20)
    assert found["error"]["class"] == "Order.Late"
    assert found["error"]["message"] == "no 7"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"Type": "Pass", "InputPath": "$.gone"}, "States.ParameterPathFailure"),
        ({"Type": "Pass", "Parameters": {"a.$": "States.StringToJson($.text)"}},
         "States.IntrinsicFailure"),
        ({"Type": "Pass", "Result": 1, "ResultPath": "$.text.deep"},
         "States.ResultPathMatchFailure"),
    ],
)  # fmt: skip
async def test_what_goes_wrong_has_the_name_of_the_standard(
    suite: Suite, state: Json, error: str
) -> None:
    """Paths, functions and results that do not fit fail with the names the language gives them."""
    definition = machine(f"wrong-{error}", "Only", Only={**state, "End": True})
    found = await run(suite, definition, {"text": "{"})
    assert found["error"]["class"] == error
