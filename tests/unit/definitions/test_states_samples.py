"""Typical definitions: accepted ones, and the reasons for refusals."""

import json

import pytest

from flowmesh.definitions import errors_in
from flowmesh.definitions.planning.compile import compile_source
from tests.unit.definitions.factories import problems, refusals
from tests.unit.definitions.states_samples import SAMPLES

# Refused definitions: the code and the place of the first refusal.
REFUSED = {
    "a batch that is distributed": "States.Each.ToleratedFailurePercentage",
    "objects of a bucket": "States.Each.ItemReader",
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
    """Items from a bucket, tolerated failures and connections of AWS have nothing here."""
    source = json.dumps(SAMPLES[name]).encode()
    found = refusals(source)
    assert ("FEATURE_UNSUPPORTED", REFUSED[name]) in found
    messages = [problem.message for problem in errors_in(problems(source))]
    assert all("is not supported: " in message for message in messages)


def test_nine_of_ten_typical_definitions_run() -> None:
    """The share of those above, so that it does not shrink."""
    assert len(SAMPLES) >= 28
    assert len(REFUSED) / len(SAMPLES) <= 0.11


def test_services_that_only_a_worker_can_call_are_warned_of() -> None:
    """The warning names the task type that a worker has to serve, and the place."""
    source = json.dumps(SAMPLES["a queue and a topic"]).encode()
    warned = [(one.place, one.message) for one in problems(source) if one.warning]
    assert [place for place, _ in warned] == ["States.Send.Resource", "States.Tell.Resource"]
    assert "sqs:sendMessage" in warned[0][1]
