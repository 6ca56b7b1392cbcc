"""Typical definitions: accepted ones, and the reasons for refusals."""

import json

import pytest

from flowmesh.definitions import errors_in
from flowmesh.definitions.planning.compile import compile_source
from tests.unit.definitions.factories import problems, refusals
from tests.unit.definitions.formats.states_samples import SAMPLES

# Refused definitions: the code and the place of the first refusal.
REFUSED = {
    "a request with a connection": "States.Call.Parameters.Authentication",
}


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in REFUSED])
def test_typical_definitions_are_accepted(name: str) -> None:
    """They become plans; services of AWS are warned of, and nothing is wrong."""
    source = json.dumps(SAMPLES[name]).encode()
    assert not errors_in(problems(source))
    assert compile_source(source).nodes


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_definitions_are_refused_with_reason_and_place(name: str) -> None:
    """Connections of AWS have nothing here."""
    source = json.dumps(SAMPLES[name]).encode()
    found = refusals(source)
    assert ("FEATURE_UNSUPPORTED", REFUSED[name]) in found
    messages = [problem.message for problem in errors_in(problems(source))]
    assert all("is not supported: " in message for message in messages)


def test_nine_of_ten_typical_definitions_run() -> None:
    """The share of those above, so that it does not shrink."""
    assert len(SAMPLES) >= 28
    assert len(REFUSED) / len(SAMPLES) <= 0.04


def test_services_that_only_a_worker_can_call_are_warned_of() -> None:
    """The warning names the task type that a worker has to serve, and the place."""
    source = json.dumps(SAMPLES["a queue and a topic"]).encode()
    warned = [(one.place, one.message) for one in problems(source) if one.warning]
    assert [place for place, _ in warned] == ["States.Send.Resource", "States.Tell.Resource"]
    assert "sqs:sendMessage" in warned[0][1]


@pytest.mark.parametrize("name", ["Partition", "AWS::Partition", "AWSPartition", "p"])
def test_the_partition_of_an_arn_may_be_a_placeholder(name: str) -> None:
    """Of any name: the first part of an ARN is the partition."""
    for service in ("lambda:invoke", "sagemaker:createTrainingJob.sync"):
        resource = f"arn:${{{name}}}:states:::{service}"
        parameters = {"FunctionName": "ship"}
        state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
        source = json.dumps({"StartAt": "A", "States": {"A": state}}).encode()
        assert not errors_in(problems(source))


def test_placeholders_have_the_values_that_the_document_gives() -> None:
    """A whole text takes the type of the value; a number without one is refused at its place."""
    states = {
        "A": {"Type": "Wait", "Seconds": "${Pause}", "Next": "B"},
        "B": {"Type": "Task", "Resource": "${Prefix}-ship", "TimeoutSeconds": "${Limit}",
              "End": True},
    }  # fmt: skip
    document = {"StartAt": "A", "States": states}
    places = [place for _, place in refusals(json.dumps(document).encode())]
    assert places == ["States.A.Seconds", "States.B.TimeoutSeconds"]
    given = {**document, "DefinitionSubstitutions": {"Pause": 5, "Limit": 30, "Prefix": "shop"}}
    plan = compile_source(json.dumps(given).encode())
    assert "shop-ship" in str(plan)
    assert not errors_in(problems(json.dumps(given).encode()))
    wrong = {**document, "DefinitionSubstitutions": {"Pause": [5], "Limit": 30}}
    found = refusals(json.dumps(wrong).encode())
    assert ("DEFINITION_INVALID", "DefinitionSubstitutions.Pause") in found
