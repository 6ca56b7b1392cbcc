"""Paths, functions and the context object of Amazon States Language documents, as they run."""

import re

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite
from tests.features.formats.test_states import machine, run


async def passed(suite: Suite, lookup: str, given: Json) -> Json:
    """The execution of a Pass whose parameters are one lookup."""
    state = {"Type": "Pass", "Parameters": {"a.$": lookup}, "End": True}
    # Without a name of its own each document is another workflow.
    return await run(suite, {"StartAt": "P", "States": {"P": state}}, given)


@pytest.mark.long
@pytest.mark.parametrize(
    ("path", "given", "expected"),
    [
        ("$.detail-type", {"detail-type": "x"}, "x"),
        ("$.detail.case-id", {"detail": {"case-id": 7}}, 7),
        ("$.1Day", {"1Day": 1}, 1),
        ("$.a.[0].b", {"a": [{"b": 1}]}, 1),
        ("$.store\\.book", {"store.book": 1}, 1),
        ("$.foo\\@bar", {"foo@bar": 1}, 1),
        ("$.&Ж中", {"&Ж中": 1}, 1),
        ("$.a[?(@.b==x)].c", {"a": [{"b": "x", "c": 1}]}, [1]),
        ("States.Format('{}', $.detail-type)", {"detail-type": "x"}, "x"),
        ('States.Format(\'\\{"key":"{}"\\}\', $.id)', {"id": "t1"}, '{"key":"t1"}'),
        ("States.Format($.tpl, 1)", {"tpl": "v={}"}, "v=1"),
        ("States.StringSplit(':a::b:', ':')", {}, ["a", "b"]),
        ("States.StringSplit('a]b^c-d', '^]-')", {}, ["a", "b", "c", "d"]),
        ("States.StringSplit($$.Execution.Input.csv, ',')", {"csv": "1,2,3"}, ["1", "2", "3"]),
        (
            "States.ArrayUnique($.x)",
            {"x": [1, True, "1", 0, False, None, None, [1], [True]]},
            [1, True, "1", 0, False, None, [1], [True]],
        ),
        ("States.ArrayContains($.x, 1)", {"x": [True]}, False),
        ("$.a[*].b", {}, []),
    ],
)
async def test_names_of_the_language_and_its_functions(
    suite: Suite, path: str, given: Json, expected: Json
) -> None:
    """A path may have every name that the States Language allows, also inside of a call."""
    assert (await passed(suite, path, given))["output"] == {"a": expected}


@pytest.mark.parametrize(
    ("lookup", "given", "error"),
    [
        ("States.Format($.nope, 1)", {}, "States.ParameterPathFailure"),
        ("States.ArrayPartition($.x, 0)", {"x": [1]}, "States.IntrinsicFailure"),
        ("$.nope.deep", {"other": 1}, "States.ParameterPathFailure"),
    ],
)
async def test_lookups_that_fail(suite: Suite, lookup: str, given: Json, error: str) -> None:
    """A lookup that does not fit the data fails with the error of the language."""
    assert (await passed(suite, lookup, given))["error"]["class"] == error


async def test_names_of_the_language_in_every_place_of_a_path(suite: Suite) -> None:
    """InputPath, ResultPath, Variable and ItemsPath have the same names as parameters."""
    item = {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}}}
    definition = machine(
        "hyphens",
        "In",
        In={"Type": "Pass", "InputPath": "$.the-input", "ResultPath": "$.my-result", "Next": "Is"},
        Is={"Type": "Choice", "Choices": [
            {"Variable": "$.my-result.is-it", "BooleanEqualsPath": "$.1st", "Next": "Each"}]},
        Each={"Type": "Map", "ItemsPath": "$.my-result.all-of", "ItemProcessor": item,
              "ResultPath": "$.my-items", "OutputPath": "$.my-items", "End": True},
    )  # fmt: skip
    given = {"the-input": {"is-it": True, "all-of": [1, 2]}, "1st": True}
    assert (await run(suite, definition, given))["output"] == [1, 2]


async def test_a_seed_gives_the_same_number_in_every_execution(suite: Suite) -> None:
    """A third argument makes a random number the same everywhere; without it each is another."""
    numbers = {
        "a.$": "States.MathRandom(1, 1000000, 42)",
        "b.$": "States.MathRandom(1, 1000000, 42)",
    }
    free = {"c.$": "States.MathRandom(1, 1000000)", "d.$": "States.MathRandom(1, 1000000)"}
    state = {"Type": "Pass", "Parameters": {**numbers, **free}, "End": True}
    found = [(await run(suite, machine("seeds", "P", P=state)))["output"] for _ in range(2)]
    assert len({each[name] for each in found for name in ("a", "b")}) == 1
    assert len({each[name] for each in found for name in ("c", "d")}) > 1


async def test_the_context_object_has_the_execution_and_its_machine(suite: Suite) -> None:
    """Name, start and machine are there in a state, whatever it does with them."""
    state = {"Type": "Pass", "End": True, "Parameters": {
        "name.$": "$$.Execution.Name", "id.$": "$$.Execution.Id",
        "at.$": "$$.Execution.StartTime", "machine.$": "$$.StateMachine.Id"}}  # fmt: skip
    found = await run(suite, machine("ctx-case", "P", P=state), {})
    output = found["output"]
    assert output["name"] == output["id"] == found["executionId"]
    assert output["machine"] == "ctx-case"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", output["at"])
    assert output["at"][:19] == found["startedAt"][:19]


async def test_moments_are_compared_to_the_nanosecond(suite: Suite) -> None:
    """Two instants that differ by a nanosecond are not the same."""
    rule = {"Variable": "$.a", "TimestampLessThanPath": "$.b", "Next": "Earlier"}
    definition = machine(
        "nanoseconds",
        "Is",
        Is={"Type": "Choice", "Choices": [rule], "Default": "Not"},
        Earlier={"Type": "Pass", "Result": "earlier", "End": True},
        Not={"Type": "Pass", "Result": "not earlier", "End": True},
    )
    given = {"a": "2030-01-01T00:00:00.000000001Z", "b": "2030-01-01T01:00:00.000000002+01:00"}
    assert (await run(suite, definition, given))["output"] == "earlier"
    swapped = {"a": given["b"], "b": given["a"]}
    assert (await run(suite, definition, swapped))["output"] == "not earlier"


@pytest.mark.parametrize(
    ("states", "error"),
    [
        ({"S": {"Type": "Parallel", "ResultSelector": {"a.$": "$.gone"}, "Branches": [
            {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}]}},
         "States.ParameterPathFailure"),
        ({"S": {"Type": "Wait", "TimestampPath": "$.text"}}, "States.Runtime"),
        ({"S": {"Type": "Wait", "SecondsPath": "$.huge"}}, "States.Runtime"),
        ({"S": {"Type": "Map", "ItemsPath": "$.text", "ItemProcessor": {
            "StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}}}, "States.Runtime"),
        ({"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": {"StateMachineArn.$": "$.text"}}}, "States.TaskFailed"),
        ({"S": {"Type": "Task", "Resource": "nobody-serves-this", "TimeoutSeconds": 1}},
         "States.Timeout"),
    ],
)  # fmt: skip
async def test_a_state_fails_under_its_name_with_an_error_of_the_language(
    suite: Suite, states: Json, error: str
) -> None:
    """Whichever of its nodes fails, the error names the state and what the language calls it."""
    [(name, state)] = states.items()
    definition = {"StartAt": name, "States": {name: {**state, "End": True}}}
    found = await run(suite, definition, {"text": "soon", "huge": 1e18})
    assert (found["error"]["class"], found["error"]["state"]) == (error, "S")
    events = await suite.get(f"/api/v1/executions/{found['executionId']}/history")
    ended = events.json["events"][-1]["data"]["error"]
    assert (ended["class"], ended["state"]) == (error, "S")


async def test_what_fails_behind_a_task_is_caught_as_an_error_of_the_task(suite: Suite) -> None:
    """A result that cannot be selected goes to the catcher, with the input of the state."""
    branch = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    catch = [{"ErrorEquals": ["States.ParameterPathFailure"], "ResultPath": "$.e", "Next": "Told"}]
    definition = machine(
        "selects",
        "Both",
        Both={"Type": "Parallel", "Branches": [branch], "ResultSelector": {"a.$": "$.gone"},
              "Catch": catch, "End": True},
        Told={"Type": "Pass", "Parameters": {"k.$": "$.k", "e.$": "$.e.Error"}, "End": True},
    )  # fmt: skip
    found = await run(suite, definition, {"k": 5})
    assert found["output"] == {"k": 5, "e": "States.ParameterPathFailure"}
