"""Conversion of service messages to canonical responses."""

import json
from typing import Any

import msgspec
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.errors import REASONS, Overloaded, Unavailable, Violation
from flowmesh.errors.tree import FlowmeshError
from flowmesh.gateway.bodies.views import execution_answer, read_members, run_answer
from flowmesh.gateway.http.errors import error_response
from flowmesh.views import raw_value


def shown(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (payload_pb2.Payload(), None),
        (payload_pb2.Payload(data=b' {"a": [1.50, 1e3]} '), {"a": [1.5, 1000.0]}),
        (payload_pb2.Payload(data=b"not JSON"), "not JSON"),
        (payload_pb2.Payload(data=b'"\xff"'), '"\ufffd"'),
        (payload_pb2.Payload(data=b"text", encoding="text/plain"), "text"),
        (
            payload_pb2.Payload(reference=payload_pb2.PayloadReference(digest="d", size_bytes=7)),
            {"$payload": {"digest": "d", "sizeBytes": 7, "encoding": "application/json"}},
        ),
    ],
)
def test_any_payload_is_shown(payload: Any, value: Any) -> None:
    """A broken value does not break the response."""
    assert shown(raw_value(payload)) == value
    assert shown(read_members(payload)) == value


def test_json_is_embedded_as_it_is_stored() -> None:
    """Numbers keep their digits."""
    digits = b"123456789012345678901234567890.10"
    payload = payload_pb2.Payload(data=b'{"n": %s}' % digits)
    assert digits in msgspec.json.encode(raw_value(payload))
    assert digits in msgspec.json.encode(read_members(payload))


def test_a_canceled_run_has_a_failure() -> None:
    """A caller that waits for a canceled run gets an error class."""
    execution = execution_pb2.Execution(
        execution_id="exec-1", status=execution_pb2.EXECUTION_STATUS_TERMINATED
    )
    answer = shown(run_answer(execution))
    assert (answer["status"], answer["error"]["class"]) == ("canceled", "Cancelled")


@pytest.mark.parametrize("status", execution_pb2.ExecutionStatus.values())
def test_every_status_has_a_word(status: execution_pb2.ExecutionStatus.ValueType) -> None:
    """The response type has a word for each status."""
    execution = execution_pb2.Execution(execution_id="e", workflow_id="w", status=status)
    msgspec.convert(shown(execution_answer(execution)), type(execution_answer(execution)))


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
def test_every_reason_is_answered_with_its_status(reason: Any) -> None:
    """The JSON of an error has the status of its class, the reason and the details."""
    place = Violation("a.b", "is wrong", "CODE", 2, 3)
    error: FlowmeshError = reason.error(reason.name, "text", violations=(place,))
    response = error_response(error, executionId="exec-1")
    body = json.loads(response.body)
    detail = {"field": "a.b", "description": "is wrong", "code": "CODE", "line": 2, "column": 3}
    assert response.status == body["error"]["code"] == error.http_status
    assert body["error"]["reason"] == reason.name
    assert body["error"]["details"] == [detail]
    assert body["executionId"] == "exec-1"


def test_retry_after_is_in_whole_seconds() -> None:
    """Delays are rounded up; 429 and 503 always have one."""
    busy = error_response(Overloaded("OVERLOADED", "full", retry_after_ms=1_001))
    away = error_response(Unavailable("DRAINING", "stopping"))
    assert busy.headers == ((b"retry-after", b"2"),)
    assert away.headers == ((b"retry-after", b"1"),)
