"""The static rules of the Amazon States Language: each is checked when a document is registered."""

import json

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import errors_in
from tests.unit.definitions.factories import problems, refusals

PASS = {"Type": "Pass", "End": True}
TASK = {"Type": "Task", "Resource": "x", "End": True}
MACHINE = {"StartAt": "A", "States": {"A": PASS}}
ALL = {"ErrorEquals": ["States.ALL"]}


def machine(**states: Json) -> bytes:
    """Return a machine whose first state is S."""
    return json.dumps({"StartAt": "S", "States": states}).encode()


def refused(source: bytes) -> tuple[str, str]:
    """Return the code and the place of the only problem."""
    [found] = refusals(source)
    return found


def test_a_state_that_nothing_leads_to_is_refused() -> None:
    """Every state is reached from StartAt, by Next, Default, a choice or a catcher."""
    choice = {"Type": "Choice", "Default": "D", "Choices": [
        {"Variable": "$.a", "IsNull": True, "Next": "C"}]}  # fmt: skip
    caught = {**TASK, "Catch": [{**ALL, "Next": "E"}]}
    reached = {"S": choice, "C": {"Type": "Pass", "Next": "F"}, "D": caught, "E": PASS, "F": PASS}
    assert not errors_in(problems(machine(**reached)))
    assert refused(machine(**reached, Alone=PASS)) == ("GRAPH_UNREACHABLE_NODE", "States.Alone")


def test_states_that_lead_only_to_each_other_are_refused() -> None:
    """A circle beside the machine is reached from nowhere."""
    circle = {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}
    found = {place for _, place in refusals(machine(S=PASS, **circle))}
    assert found == {"States.A", "States.B"}


def test_states_of_a_branch_are_reached_in_it() -> None:
    """Each machine inside of a state is looked at by itself."""
    inner = {"StartAt": "A", "States": {"A": PASS, "B": PASS}}
    state = {"Type": "Map", "ItemProcessor": inner, "End": True}
    place = "States.S.ItemProcessor.States.B"
    assert refused(machine(S=state)) == ("GRAPH_UNREACHABLE_NODE", place)


def test_a_machine_that_cannot_end_is_refused() -> None:
    """One state has End: true, or is a Succeed or a Fail."""
    there, back = {"Type": "Pass", "Next": "B"}, {"Type": "Pass", "Next": "S"}
    assert refused(machine(S=there, B=back)) == ("DEFINITION_INVALID", "States")
    assert not errors_in(problems(machine(S=there, B={"Type": "Fail"})))


def test_a_type_that_is_no_string_is_refused() -> None:
    """It is a problem of the document and no failure of the check."""
    assert ("DEFINITION_INVALID", "States.S.Type") in refusals(machine(S={"Type": {"a": 1}}))


def test_names_are_unique_in_the_whole_document() -> None:
    """A state in a branch has no name of one outside of it, nor of one in another branch."""
    state = {"Type": "Parallel", "Branches": [MACHINE, MACHINE], "End": True}
    place = "States.S.Branches[1].States.A"
    assert refused(machine(S=state)) == ("GRAPH_DUPLICATE_NODE", place)
    own = {"StartAt": "S", "States": {"S": PASS}}
    place = "States.S.Iterator.States.S"
    mapped = {"Type": "Map", "Iterator": own, "End": True}
    assert refused(machine(S=mapped)) == ("GRAPH_DUPLICATE_NODE", place)


def test_names_have_at_most_80_characters() -> None:
    """Characters, not bytes."""
    assert not errors_in(
        problems(machine(S={"Type": "Pass", "Next": "Ж" * 80}, **{"Ж" * 80: PASS}))
    )
    long = machine(S={"Type": "Pass", "Next": "a" * 81}, **{"a" * 81: PASS})
    assert refused(long) == ("ID_INVALID", f"States.{'a' * 81}")


def test_no_transition_leads_into_another_machine() -> None:
    """States of a branch and those around it do not know each other."""
    leaves = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Out"}}}
    state = {"Type": "Parallel", "Branches": [leaves], "Next": "Out"}
    found = refusals(machine(S=state, Out=PASS))
    assert found[0] == ("GRAPH_UNKNOWN_NODE", "States.S.Branches[0].States.A.Next")


@pytest.mark.parametrize("key", ["Retry", "Catch"])
def test_states_all_is_alone_and_last(key: str) -> None:
    """Entries beside or behind it would never be reached."""
    more = {"Next": "Told"} if key == "Catch" else {}
    mixed = {"ErrorEquals": ["States.ALL", "A"], **more}
    one = {"ErrorEquals": ["A"], **more}
    told = {"Told": PASS} if key == "Catch" else {}
    state = {**TASK, key: [{**ALL, **more}, one]}
    place = f"States.S.{key}[0].ErrorEquals"
    assert refused(machine(S=state, **told)) == ("DEFINITION_INVALID", place)
    state = {**TASK, key: [mixed]}
    assert refused(machine(S=state, **told)) == ("DEFINITION_INVALID", place)
    state = {**TASK, key: [one, {**ALL, **more}]}
    assert not errors_in(problems(machine(S=state, **told)))


@pytest.mark.parametrize(
    ("state", "code", "place"),
    [
        ({**TASK, "TimeoutSeconds": 5, "HeartbeatSeconds": 5}, "TIMEOUT_INVALID",
         "HeartbeatSeconds"),
        ({**TASK, "TimeoutSeconds": 0}, "TIMEOUT_INVALID", "TimeoutSeconds"),
        ({**TASK, "HeartbeatSeconds": 0}, "TIMEOUT_INVALID", "HeartbeatSeconds"),
        ({**TASK, "Retry": [{**ALL, "BackoffRate": 0.5}]}, "RETRY_INVALID", "Retry[0].BackoffRate"),
        ({**TASK, "Retry": [{**ALL, "IntervalSeconds": 0}]}, "RETRY_INVALID",
         "Retry[0].IntervalSeconds"),
        ({**TASK, "Retry": [{**ALL, "IntervalSeconds": 1.5}]}, "RETRY_INVALID",
         "Retry[0].IntervalSeconds"),
        ({**TASK, "Retry": [{**ALL, "MaxAttempts": -1}]}, "RETRY_INVALID", "Retry[0].MaxAttempts"),
        ({**TASK, "Retry": [{**ALL, "MaxDelaySeconds": 0}]}, "RETRY_INVALID",
         "Retry[0].MaxDelaySeconds"),
        ({**TASK, "Retry": [{**ALL, "JitterStrategy": "SOME"}]}, "DEFINITION_INVALID",
         "Retry[0].JitterStrategy"),
        ({**TASK, "Retry": [{"ErrorEquals": []}]}, "DEFINITION_INVALID", "Retry[0].ErrorEquals"),
        ({**TASK, "Retry": [{"ErrorEquals": [1]}]}, "DEFINITION_INVALID",
         "Retry[0].ErrorEquals[0]"),
        ({**TASK, "Catch": [ALL]}, "DEFINITION_INVALID", "Catch[0].Next"),
        ({**TASK, "Catch": [{**ALL, "Next": "Gone"}]}, "GRAPH_UNKNOWN_NODE", "Catch[0].Next"),
        ({"Type": "Task", "End": True}, "DEFINITION_INVALID", "Resource"),
        ({**PASS, "Retry": [ALL]}, "DEFINITION_INVALID", "Retry"),
        ({"Type": "Wait", "Seconds": 1, "End": True, "Catch": []}, "DEFINITION_INVALID", "Catch"),
        ({"Type": "Wait", "Seconds": 1, "Timestamp": "2030-01-01T00:00:00Z", "End": True},
         "DEFINITION_INVALID", ""),
        ({"Type": "Wait", "Seconds": -1, "End": True}, "TIMEOUT_INVALID", "Seconds"),
        ({"Type": "Succeed", "End": True}, "DEFINITION_INVALID", "End"),
        ({"Type": "Succeed", "Next": "S"}, "DEFINITION_INVALID", "Next"),
        ({"Type": "Fail", "End": True}, "DEFINITION_INVALID", "End"),
        ({"Type": "Fail", "InputPath": "$.a"}, "DEFINITION_INVALID", "InputPath"),
        ({"Type": "Fail", "Error": "A", "ErrorPath": "$.e"}, "DEFINITION_INVALID", "Error"),
        ({"Type": "Parallel", "Branches": [], "End": True}, "DEFINITION_INVALID", "Branches"),
        ({"Type": "Map", "ItemProcessor": MACHINE, "MaxConcurrency": -1, "End": True},
         "DEFINITION_INVALID", "MaxConcurrency"),
        ({"Type": "Map", "ItemProcessor": MACHINE, "Iterator": {
            "StartAt": "B", "States": {"B": PASS}}, "End": True},
         "DEFINITION_INVALID", "ItemProcessor"),
        ({"Type": "Map", "ItemProcessor": MACHINE, "ItemSelector": {}, "Parameters": {},
          "End": True}, "DEFINITION_INVALID", "Parameters"),
    ],
)  # fmt: skip
def test_members_of_states_follow_the_rules(state: Json, code: str, place: str) -> None:
    """Each rule about a single state has a code and points at the member that breaks it."""
    found = refusals(machine(S=state))
    assert found[0] == (code, f"States.S.{place}".rstrip(".")), found


@pytest.mark.parametrize("member", ["End", "ResultPath", "Parameters"])
def test_a_choice_has_no_members_of_other_states(member: str) -> None:
    """It has only rules and transitions, and changes nothing."""
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "B"}]}
    source = machine(S={**choice, member: True if member == "End" else "$.a"}, B=PASS)
    assert refused(source) == ("DEFINITION_INVALID", f"States.S.{member}")


@pytest.mark.parametrize(
    "lookup",
    [
        "$$.Execution.RoleArn",
        "$$.Nope",
        "$$.Execution.Id.x",
        "$$.Map.Item.Index",
        "$$.Task.Token",
        "States.Format('{}', $$.Nope)",
        "$$['Execution']['Nope']",
    ],
)
def test_fields_that_the_context_object_has_not_are_refused(lookup: str) -> None:
    """At registration, with their place, instead of failing every execution."""
    state = {**PASS, "Parameters": {"deep": [{"a.$": lookup}]}}
    place = 'States.S.Parameters.deep[0]["a.$"]'
    assert refused(machine(S=state)) == ("FEATURE_UNSUPPORTED", place)


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({**PASS, "InputPath": "$$.Nope"}, "InputPath"),
        ({**PASS, "OutputPath": "$$.Nope"}, "OutputPath"),
        ({"Type": "Wait", "SecondsPath": "$$.Nope", "End": True}, "SecondsPath"),
        ({"Type": "Fail", "CausePath": "$$.Nope"}, "CausePath"),
        ({"Type": "Map", "ItemsPath": "$$.Nope", "ItemProcessor": MACHINE, "End": True},
         "ItemsPath"),
    ],
)  # fmt: skip
def test_the_context_object_is_checked_in_every_path(state: Json, place: str) -> None:
    """Paths of every member of a state are looked at."""
    assert refused(machine(S=state)) == ("FEATURE_UNSUPPORTED", f"States.S.{place}")


def test_the_context_object_is_checked_in_choices() -> None:
    """Variables and the values they are compared with, however deep."""
    rule = {"Not": {"Variable": "$$.Nope", "StringEqualsPath": "$$.State.Nope"}, "Next": "B"}
    found = refusals(machine(S={"Type": "Choice", "Choices": [rule]}, B=PASS))
    places = {place for _, place in found}
    where = "States.S.Choices[0].Not"
    assert places == {f"{where}.Variable", f"{where}.StringEqualsPath"}


@pytest.mark.parametrize(
    "lookup",
    ["$$", "$$.Execution", "$$.Execution.Input.any.thing", "$$.State.RetryCount", "$$..Id"],
)
def test_fields_that_the_context_object_has_are_accepted(lookup: str) -> None:
    """Whole objects, anything in the input, and paths to several values too."""
    assert not errors_in(problems(machine(S={**PASS, "Parameters": {"a.$": lookup}})))


def test_an_item_is_in_the_context_object_of_its_map_only() -> None:
    """In what makes the items, in their machine and in what stands in it."""
    reads = {**PASS, "Parameters": {"a.$": "$$.Map.Item.Value.x"}}
    inner = {"StartAt": "A", "States": {"A": reads}}
    branches = {"Type": "Parallel", "Branches": [inner], "End": True}
    processor = {"StartAt": "Both", "States": {"Both": branches}}
    selector = {"i.$": "$$.Map.Item.Index"}
    state = {"Type": "Map", "ItemSelector": selector, "ItemProcessor": processor, "End": True}
    assert not errors_in(problems(machine(S=state)))
    chosen = {**state, "ResultSelector": {"a.$": "$$.Map.Item.Index"}}
    place = 'States.S.ResultSelector["a.$"]'
    assert refused(machine(S=chosen)) == ("FEATURE_UNSUPPORTED", place)


def test_a_token_is_in_the_context_object_of_its_task_only() -> None:
    """A task that waits for its token may pass it on."""
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
             "Parameters": {"FunctionName": "f", "Payload": {"t.$": "$$.Task.Token"}},
             "End": True}  # fmt: skip
    assert not errors_in(problems(machine(S=state)))
    place = 'States.S.Parameters.Payload["t.$"]'
    without = {**state, "Resource": "arn:aws:states:::lambda:invoke"}
    assert refused(machine(S=without)) == ("FEATURE_UNSUPPORTED", place)


@pytest.mark.parametrize("path", ["$.a b", "$.", "$.a[", "$.a]", "$..", "$.x:y", "$.\\uD800"])
def test_invalid_paths_are_refused(path: str) -> None:
    """More names are paths; what is none is refused wherever a path stands."""
    for key in ("InputPath", "ResultPath"):
        assert refused(machine(S={**PASS, key: path})) == ("EXPRESSION_INVALID", f"States.S.{key}")
    found = refused(machine(S={**PASS, "Parameters": {"a.$": path}}))
    assert found == ("EXPRESSION_INVALID", 'States.S.Parameters["a.$"]')


@pytest.mark.parametrize(
    ("state", "code", "place"),
    [
        ({"Type": "Pass", "End": True, "Output": {"a": ["{% 1 + %}"]}}, "EXPRESSION_INVALID",
         "Output.a[0]"),
        ({"Type": "Pass", "End": True, "Output": "{% 1"}, "EXPRESSION_INVALID", "Output"),
        ({"Type": "Pass", "End": True, "Assign": "{% 1 %}"}, "DEFINITION_INVALID", "Assign"),
        ({"Type": "Pass", "End": True, "Parameters": {}}, "DEFINITION_INVALID", "Parameters"),
        ({"Type": "Succeed", "Assign": {"a": 1}}, "DEFINITION_INVALID", "Assign"),
        ({"Type": "Choice", "Choices": [{"Next": "S"}]}, "DEFINITION_INVALID",
         "Choices[0].Condition"),
        ({"Type": "Choice", "Choices": [{"Condition": "yes", "Next": "S"}]}, "DEFINITION_INVALID",
         "Choices[0].Condition"),
        ({"Type": "Wait", "SecondsPath": "$.a", "End": True}, "DEFINITION_INVALID", ""),
        ({"Type": "Wait", "Seconds": "{% ( %}", "End": True}, "EXPRESSION_INVALID", "Seconds"),
        ({"Type": "Map", "ItemsPath": "$", "ItemProcessor": MACHINE, "End": True},
         "DEFINITION_INVALID", "ItemsPath"),
        ({"Type": "Map", "Items": "{% [ %}", "ItemProcessor": MACHINE, "End": True},
         "EXPRESSION_INVALID", "Items"),
        ({"Type": "Fail", "Error": "{% [ %}"}, "EXPRESSION_INVALID", "Error"),
        ({**TASK, "Catch": [{**ALL, "Next": "S", "ResultPath": "$.a"}]}, "DEFINITION_INVALID",
         "Catch[0].ResultPath"),
    ],
)  # fmt: skip
def test_rules_of_states_in_jsonata(state: Json, code: str, place: str) -> None:
    """Expressions are parsed at registration, and members of JSONPath are refused."""
    document = {"StartAt": "S", "States": {"S": state}, "QueryLanguage": "JSONata"}
    found = refusals(json.dumps(document).encode())
    assert found[0] == (code, f"States.S.{place}".rstrip(".")), found


def test_a_variable_that_no_state_assigns_is_refused() -> None:
    """A dot that was forgotten does not wait for the first execution."""
    reads = {**PASS, "Parameters": {"a.$": "$order.id"}}
    assert refused(machine(S=reads)) == ("EXPRESSION_INVALID", 'States.S.Parameters["a.$"]')
    sets = {"Type": "Pass", "Assign": {"order.$": "$.order"}, "Next": "Read"}
    assert not errors_in(problems(machine(S=sets, Read=reads)))
    assert refused(machine(S={**PASS, "ResultPath": "$order"}))[0] == "EXPRESSION_INVALID"
