"""Amazon States Language documents in JSONata, and variables in both languages."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import TaskContext, Worker
from flowmesh.testing.suite import Suite
from tests.features.formats.test_states import machine, run

INVOKE = "arn:aws:states:::lambda:invoke"


def jsonata(name: str, start: str, **states: Json) -> Json:
    return {**machine(name, start, **states), "QueryLanguage": "JSONata"}


def one(expression: str, **more: Json) -> Json:
    """A document of one Pass, named by its content."""
    states = {"P": {"Type": "Pass", "Output": expression, "End": True, **more}}
    return {"StartAt": "P", "QueryLanguage": "JSONata", "States": states}


async def test_output_is_made_of_input_and_context(suite: Suite) -> None:
    """Expressions stand in objects and lists; what is only text stays."""
    output = {
        "sum": "{% $sum($states.input.items.price) %}",
        "as": "it is",
        "me": ["{% $states.context.State.Name %}", "{% $states.context.StateMachine.Id %}"],
    }
    given = {"items": [{"price": 2}, {"price": 3.5}]}
    definition = jsonata("sums", "P", P={"Type": "Pass", "Output": output, "End": True})
    found = await run(suite, definition, given)
    assert found["output"] == {"sum": 5.5, "as": "it is", "me": ["P", "sums"]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{% $partition([1, 2, 3], 2) %}", [[1, 2], [3]]),
        ("{% $range(1, 5, 2) %}", [1, 3, 5]),
        ("{% $hash('a', 'SHA-1') %}", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("{% $random(7) = $random(7) %}", True),
        ("{% $parse('{\"a\": [1]}') %}", {"a": [1]}),
        ("{% $length($uuid()) %}", 36),
        ("{% null %}", None),
    ],
)
async def test_functions_of_the_language(suite: Suite, expression: str, expected: Json) -> None:
    """What the States Language adds to JSONata is there."""
    assert (await run(suite, one(expression)))["output"] == expected


@pytest.mark.parametrize(
    "expression", ["{% $states.input.gone %}", "{% 1 / 'a' %}", "{% $nothing() %}"]
)
async def test_an_expression_that_fails(suite: Suite, expression: str) -> None:
    """One without a value fails too, with the error of the language and the name of the state."""
    error = (await run(suite, one(expression), {}))["error"]
    assert (error["class"], error["state"]) == ("States.QueryEvaluationError", "P")


async def test_variables_go_round_until_a_condition_holds(suite: Suite) -> None:
    """Choices assign too, and a wait may be as long as a variable says."""
    definition = jsonata(
        "counts",
        "Start",
        Start={"Type": "Pass", "Assign": {"tries": 0}, "Next": "Again"},
        Again={"Type": "Choice", "Default": "Done", "Output": "{% 'after ' & $tries %}",
               "Choices": [{"Condition": "{% $tries < 3 %}", "Next": "Wait",
                            "Assign": {"tries": "{% $tries + 1 %}"}}]},
        Wait={"Type": "Wait", "Seconds": "{% $tries - $tries %}", "Next": "Again"},
        Done={"Type": "Succeed", "Output": ["{% $states.input %}", "{% $tries %}"]},
    )  # fmt: skip
    assert (await run(suite, definition))["output"] == ["after 3", 3]


async def test_functions_are_called_with_arguments(suite: Suite) -> None:
    """Result, error and variables are there in Output, Assign and in catchers."""

    class Odd(Exception):
        """What is no even number."""

    async def half(value: Json, _context: TaskContext) -> Json:
        if value["n"] % 2:
            raise Odd("an odd number")
        return value["n"] // 2

    result = "{% $states.result.Payload %}"
    caught = {"ErrorEquals": ["Odd"], "Next": "Told", "Output": {"was": "{% $states.input.n %}"},
              "Assign": {"why": "{% $states.errorOutput.Error %}"}}  # fmt: skip
    payload = {"n": "{% $states.input.n %}"}
    call = {"Type": "Task", "Resource": INVOKE, "Next": "Half", "Catch": [caught],
            "Arguments": {"FunctionName": "asl-half", "Payload": payload},
            "Assign": {"n": result}, "Output": {"n": result}}  # fmt: skip
    again = {"Type": "Choice", "Default": "Call", "Choices": [
        {"Condition": "{% $n = 0 %}", "Next": "Told"}]}  # fmt: skip
    told = {"Type": "Pass", "Output": {"why": "{% $why %}", "was": "{% $states.input.was %}",
                                       "last": "{% $n %}"}, "End": True}  # fmt: skip
    definition = jsonata("halves", "Call", Call=call, Half=again, Told=told)
    async with Worker(suite.grpc_address, {"asl-half": half}):
        found = await run(suite, definition, {"n": 6})
    assert found["output"] == {"why": "Odd", "was": 3, "last": 3}


async def test_maps_and_branches(suite: Suite) -> None:
    """Items and selectors are expressions; machines inside see the variables around them."""
    item = {"Type": "Pass", "End": True, "Output": "{% $states.input.id & $sign %}"}
    branch = {"Type": "Pass", "End": True, "Output": "{% $states.input.x & $sign %}"}
    definition = jsonata(
        "wide-jsonata",
        "Set",
        Set={"Type": "Pass", "Assign": {"sign": "!"}, "Next": "Each"},
        Each={"Type": "Map", "Items": "{% $states.input.orders[open] %}", "Next": "Both",
              "ItemSelector": {"id": "{% $states.context.Map.Item.Value.id %}"},
              "ItemProcessor": {"StartAt": "One", "States": {"One": item}},
              "Output": {"ids": "{% $states.result %}"}},
        Both={"Type": "Parallel", "Arguments": {"x": "{% $states.input.ids[0] %}"}, "End": True,
              "Branches": [{"StartAt": "A", "States": {"A": branch}}],
              "Output": ["{% $states.result[0] %}", "{% $states.input.ids %}"]},
    )  # fmt: skip
    orders = [{"id": "a", "open": True}, {"id": "b", "open": False}, {"id": "c", "open": True}]
    found = await run(suite, definition, {"orders": orders})
    assert found["output"] == ["a!!", ["a!", "c!"]]


async def test_variables_of_documents_in_json_path(suite: Suite) -> None:
    """A path may begin with a variable, which is assigned from the result of a state."""
    fails = {"Type": "Fail", "Error": "Broken", "Cause": "it broke"}
    branch = {"StartAt": "Break", "States": {"Break": fails}}
    definition = machine(
        "assigns",
        "Set",
        Set={"Type": "Pass", "Result": {"n": 5}, "Assign": {"five.$": "$.n", "same": "x"},
             "ResultPath": None, "Next": "Is"},
        Is={"Type": "Choice", "Choices": [
            {"Variable": "$five", "NumericEquals": 5, "Next": "Break all",
             "Assign": {"is": True}}]},
        **{"Break all": {"Type": "Parallel", "Branches": [branch], "End": True, "Catch": [
            {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Told",
             "Assign": {"why.$": "$.Error"}}]}},
        Told={"Type": "Pass", "End": True, "Parameters": {
            "five.$": "$five", "same.$": "States.Format('{}{}', $same, $is)", "why.$": "$why",
            "k.$": "$.k"}},
    )  # fmt: skip
    found = await run(suite, definition, {"k": 1})
    assert found["output"] == {"five": 5, "same": "xtrue", "why": "Broken", "k": 1}


async def test_one_state_of_a_document_may_be_in_jsonata(suite: Suite) -> None:
    """The others stay in JSONPath."""
    new = {"Type": "Pass", "QueryLanguage": "JSONata", "End": True,
           "Output": {"n": "{% $states.input.n * 2 %}"}}  # fmt: skip
    old = {"Type": "Pass", "Parameters": {"n.$": "$.m"}, "Next": "New"}
    found = await run(suite, machine("mixed", "Old", Old=old, New=new), {"m": 4})
    assert found["output"] == {"n": 8}


async def test_a_state_fails_with_what_expressions_say(suite: Suite) -> None:
    """Error and Cause of a Fail may be expressions."""
    fail = {"Type": "Fail", "Error": "{% $states.input.name %}", "Cause": "no more"}
    found = await run(suite, jsonata("fails-so", "F", F=fail), {"name": "Out.Of"})
    assert (found["error"]["class"], found["error"]["message"]) == ("Out.Of", "no more")
