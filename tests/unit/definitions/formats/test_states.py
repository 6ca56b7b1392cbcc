"""Amazon States Language documents: their plans, and the problems of wrong ones."""

import json
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import errors_in
from flowmesh.definitions.planning.compile import compile_source
from tests.unit.definitions.factories import problems, refusals

END = {"Type": "Succeed"}
HTTP = "arn:aws:states:::http:invoke"
CHOICE = {"Variable": "$.a", "IsNull": True, "Next": "S"}
PASS = {"Type": "Pass", "End": True}


def source(state: Json, **more: Json) -> bytes:
    states = {"S": state} | ({"End": END} if '"Next": "End"' in json.dumps(state) else {})
    return json.dumps({"StartAt": "S", "States": states, **more}).encode()


def nodes(state: Json) -> dict[str, Any]:
    [root] = compile_source(source(state)).nodes
    return {node.id: node for node in root.states.nodes}


def test_a_state_with_processing_is_one_node() -> None:
    """Paths, parameters and results of a state cost no node of their own."""
    state = {**PASS, "InputPath": "$.a", "Parameters": {"b.$": "$.c"}, "ResultPath": "$.d"}
    assert list(nodes(state)) == ["S"]


def test_a_remote_task_runs_beside_the_value_it_is_called_with() -> None:
    """A resource that is no ARN of ours is the type of a worker's task; a Lambda function too."""
    for resource in ("ship", "arn:aws:lambda:eu-west-1:123456789012:function:ship:live"):
        state = {"Type": "Task", "Resource": resource, "End": True, "HeartbeatSeconds": 9}
        plan = compile_source(source(state))
        assert "ship" in {spec.task_type for spec in plan.specs}
        [root] = plan.nodes
        group = next(n for n in root.states.nodes if n.id == "S").group
        assert group.nodes[-1].heartbeat_timeout_ms == 9_000


START = "arn:aws:states:::states:startExecution"


@pytest.mark.parametrize(
    ("arn", "workflow", "version"),
    [
        ("pay", "pay", (0, "")),
        ("arn:aws:states:eu-west-1:123456789012:stateMachine:pay", "pay", (0, "")),
        ("arn:aws:states:eu-west-1:123456789012:stateMachine:pay:4", "pay", (4, "")),
        ("arn:aws:states:eu-west-1:123456789012:stateMachine:pay:live", "pay", (0, "live")),
    ],
)
def test_another_state_machine_is_a_sub_workflow(
    arn: str, workflow: str, version: tuple[int, str]
) -> None:
    """By its name or its ARN, of the version that this names."""
    state = {"Type": "Task", "Resource": f"{START}.sync:2", "End": True, "TimeoutSeconds": 9,
             "Parameters": {"StateMachineArn": arn}}  # fmt: skip
    [*_, child] = nodes(state)["S:call"].group.nodes
    assert (child.child.workflow_id, child.timeout_ms) == (workflow, 9_000)
    assert (child.child.version, child.child.version_label) == version


def test_a_fallible_state_has_an_error_handler() -> None:
    """Retriers and catchers are decided in order by one node, behind which are their targets."""
    state = {"Type": "Task", "Resource": HTTP, "End": True,
             "Parameters": {"ApiEndpoint": "http://x", "Method": "GET"},
             "Retry": [{"ErrorEquals": ["A"]}, {"ErrorEquals": ["States.ALL"]}],
             "Catch": [{"ErrorEquals": ["B"], "Next": "End"}]}  # fmt: skip
    found = nodes(state)
    assert set(found) == {"S", "S:catch", "S:caught", "S:again", "End"}
    assert [list(each.classes) for each in found["S"].follow.catches] == [["*"]]


@pytest.mark.parametrize(
    ("state", "code", "place"),
    [
        ({"Type": "Task", "Resource": START, "End": True}, "DEFINITION_INVALID",
         "Parameters.StateMachineArn"),
        ({"Type": "Task", "Resource": START, "End": True, "Parameters": {"StateMachineArn": "a b"}},
         "DEFINITION_INVALID", "Parameters.StateMachineArn"),
        ({"Type": "Task", "Resource": START, "End": True,
          "Parameters": {"StateMachineArn": "a", "TraceHeader": "x"}}, "FEATURE_UNSUPPORTED",
         "Parameters.TraceHeader"),
        ({"Type": "Task", "Resource": f"{START}.sync", "End": True,
          "Parameters": {"StateMachineArn": "a", "Name.$": "$.n"}}, "FEATURE_UNSUPPORTED",
         'Parameters["Name.$"]'),
        ({"Type": "Task", "Resource": f"{START}.waitForTaskToken", "End": True,
          "Parameters": {"StateMachineArn": "a"}}, "FEATURE_UNSUPPORTED", "Resource"),
        ({"Type": "Pass"}, "DEFINITION_INVALID", "Next"),
        ({"Type": "Pass", "Next": "Nowhere"}, "GRAPH_UNKNOWN_NODE", "Next"),
        ({**PASS, "Next": "End"}, "DEFINITION_INVALID", "End"),
        ({"Type": "Jump"}, "DEFINITION_INVALID", "Type"),
        ({}, "DEFINITION_INVALID", "Type"),
        ({**PASS, "Color": 1}, "DEFINITION_INVALID", "Color"),
        ({**PASS, "InputPath": "a.b"}, "EXPRESSION_INVALID", "InputPath"),
        ({**PASS, "InputPath": "$.a["}, "EXPRESSION_INVALID", "InputPath"),
        ({**PASS, "OutputPath": "$..[a"}, "EXPRESSION_INVALID", "OutputPath"),
        ({**PASS, "ResultPath": "$.a[*]"}, "EXPRESSION_INVALID", "ResultPath"),
        ({**PASS, "ResultPath": "$$.a"}, "EXPRESSION_INVALID", "ResultPath"),
        ({**PASS, "Parameters": {"a.$": "b"}}, "EXPRESSION_INVALID", 'Parameters["a.$"]'),
        ({**PASS, "Parameters": {"a.$": "States.Nope()"}}, "EXPRESSION_INVALID",
         'Parameters["a.$"]'),
        ({**PASS, "Parameters": {"a.$": "States.UUID(1)"}}, "EXPRESSION_INVALID",
         'Parameters["a.$"]'),
        ({**PASS, "Parameters": {"a.$": "$.x", "a": 1}}, "EXPRESSION_INVALID",
         'Parameters["a.$"]'),
        ({"Type": "Choice", "Choices": []}, "DEFINITION_INVALID", "Choices"),
        ({"Type": "Choice", "Choices": [{**CHOICE, "Next": "X"}]}, "GRAPH_UNKNOWN_NODE",
         "Choices[0].Next"),
        ({"Type": "Choice", "Choices": [{"Variable": "$.a", "Next": "S"}]},
         "EXPRESSION_INVALID", "Choices[0]"),
        ({"Type": "Choice", "Choices": [{"Not": {"IsNull": True}, "Next": "S"}]},
         "EXPRESSION_INVALID", "Choices[0].Not.Variable"),
        ({"Type": "Choice", "Choices": [{**CHOICE, "IsOdd": True}]}, "EXPRESSION_INVALID",
         "Choices[0].IsOdd"),
        ({"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": "1", "Next": "S"}]},
         "EXPRESSION_INVALID", "Choices[0].NumericEquals"),
        ({"Type": "Wait", "End": True}, "DEFINITION_INVALID", ""),
        ({"Type": "Wait", "Timestamp": "soon", "End": True}, "TIMEOUT_INVALID", "Timestamp"),
        ({"Type": "Task", "Resource": HTTP, "End": True}, "DEFINITION_INVALID", "Parameters"),
        ({"Type": "Task", "Resource": "a b", "End": True}, "ID_INVALID", "Resource"),
        ({"Type": "Task", "Resource": "flowmesh:gone", "End": True}, "TASK_NOT_FOUND", ""),
        ({"Type": "Task", "Resource": "x", "End": True, "Retry": [{}]}, "DEFINITION_INVALID",
         "Retry[0].ErrorEquals"),
        ({"Type": "Task", "Resource": "x", "End": True,
          "Retry": [{"ErrorEquals": ["A"], "MaxAttempts": -1}]}, "RETRY_INVALID",
         "Retry[0].MaxAttempts"),
        ({"Type": "Map", "End": True}, "DEFINITION_INVALID", "ItemProcessor"),
        ({"Type": "Parallel", "End": True, "Branches": [{"StartAt": "A", "States": {}}]},
         "GRAPH_EMPTY", "Branches[0].States"),
    ],
)  # fmt: skip
def test_wrong_states_are_refused_with_code_and_place(state: Json, code: str, place: str) -> None:
    """Each rule has a code and points at the member that breaks it."""
    found = refusals(source(state))
    assert found[0][0] == code, found
    assert found[0][1].startswith(f"States.S{'.' if place else ''}{place}"), found


@pytest.mark.parametrize(
    ("state", "feature"),
    [
        ({"Type": "Task", "Resource": "arn:aws:s3:::a-bucket", "End": True},
         "the resource arn:aws:s3:::a-bucket"),
        ({"Type": "Task", "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken",
          "End": True}, "the resource arn:aws:states:::events:putEvents.waitForTaskToken"),
        ({"Type": "Task", "Resource": "transform", "End": True}, "the built-in task transform"),
        ({"Type": "Task", "Resource": "x", "End": True, "TimeoutSecondsPath": "$.t"},
         "TimeoutSecondsPath"),
        ({"Type": "Map", "End": True, "ToleratedFailureCount": 1,
          "ItemProcessor": {"StartAt": "A", "States": {"A": PASS}}},
          "ToleratedFailureCount of an inline Map"),
        ({"Type": "Map", "End": True, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED"},
            "StartAt": "A", "States": {"A": PASS}}, "ToleratedFailureCountPath": "$.n"},
         "ToleratedFailureCountPath"),
        ({"Type": "Map", "End": True, "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "PARQUET"}}, "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED"},
                "StartAt": "A", "States": {"A": PASS}}}, "the InputType PARQUET"),
        ({"Type": "Map", "End": True, "ItemReader": {
            "Resource": "arn:aws:states:::dynamodb:scan"}, "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED"},
                "StartAt": "A", "States": {"A": PASS}}},
         "the resource arn:aws:states:::dynamodb:scan"),
    ],
)  # fmt: skip
def test_features_that_cannot_run_are_refused_by_name(state: Json, feature: str) -> None:
    """Nothing of the language is accepted and then ignored."""
    [problem] = errors_in(problems(source(state)))
    assert problem.code == "FEATURE_UNSUPPORTED"
    assert problem.message.startswith(f"{feature} is not supported")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"States": {"S": END}}, [("DEFINITION_INVALID", "StartAt")]),
        ({"StartAt": "T", "States": {"S": END}}, [("GRAPH_UNKNOWN_NODE", "StartAt")]),
        ({"StartAt": "S"}, [("DEFINITION_INVALID", "States")]),
        ({"StartAt": "S", "States": {}}, [("GRAPH_EMPTY", "States")]),
        ({"StartAt": "S", "States": {"S": 1}}, [("DEFINITION_INVALID", "States.S")]),
        ({"StartAt": "S", "States": {"S": END}, "QueryLanguage": "JSONiq"},
         [("DEFINITION_INVALID", "QueryLanguage")]),
        ({"StartAt": "S", "States": {"S": {**END, "QueryLanguage": "JSONPath"}},
          "QueryLanguage": "JSONata"}, [("DEFINITION_INVALID", "States.S.QueryLanguage")]),
    ],
)  # fmt: skip
def test_wrong_documents_are_refused(document: Json, expected: list[tuple[str, str]]) -> None:
    """Problems outside of the states have a code and a place too."""
    assert refusals(json.dumps(document).encode()) == expected
