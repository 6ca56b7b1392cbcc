"""Runs of pipelines as the child of a sandbox makes them."""

import json
from typing import Any

import msgspec
import pytest

from flowmesh.transforms import PipelineInvalid, TransformError
from flowmesh.transforms.remote import RemoteFailure, RemoteRun, Runner

UPPER = [{"operation": "uppercase"}]


def run(data: Any, *, pipeline: Any = None, member: str = "") -> Any:
    """Return the value, or raise the failure."""
    text = msgspec.json.encode(RemoteRun(pipeline, member, "seed")).decode()
    value, failure = Runner(1, {}).run(text, data if isinstance(data, str) else json.dumps(data))
    if failure:
        raise msgspec.json.decode(failure, type=RemoteFailure).error()
    return json.loads(value)


@pytest.mark.parametrize(
    ("data", "more", "value"),
    [
        ({"source": "ada", "pipeline": UPPER}, {}, "ADA"),
        ("ada", {"pipeline": UPPER}, "ADA"),
        ({"name": "ada"}, {"pipeline": UPPER, "member": "name"}, "ADA"),
    ],
)
def test_a_run_has_a_value(data: Any, more: dict[str, Any], value: Any) -> None:
    """Of the native task, of the whole input, and of a member."""
    if data == "ada":
        data = '"ada"'
    assert run(data, **more) == value


@pytest.mark.parametrize(
    ("data", "more", "error", "message"),
    [
        ({}, {}, TransformError, "needs `source` and `pipeline`"),
        ([], {}, TransformError, "needs `source` and `pipeline`"),
        ("{", {"pipeline": UPPER}, TransformError, "the task's input is not JSON"),
        ({}, {"pipeline": UPPER, "member": "name"}, TransformError, "inputKey 'name' is not in"),
        ("[1e999]", {"pipeline": UPPER}, TransformError, "not JSON"),
        ("[123456789012345678901]", {"pipeline": UPPER}, TransformError, "kept exactly"),
        ({"source": 1, "pipeline": [{"operation": "none"}]}, {}, PipelineInvalid, "none"),
    ],
)
def test_a_run_that_fails_has_a_reason(
    data: Any, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The failure travels as JSON."""
    with pytest.raises(error, match=message):
        run(data, **more)


def test_compiled_pipelines_are_bounded() -> None:
    """A full cache starts anew."""
    runner = Runner(1, {})
    for operation, value in (("uppercase", "ADA"), ("lowercase", "ada"), ("uppercase", "ADA")):
        text = msgspec.json.encode(RemoteRun([{"operation": operation}])).decode()
        assert runner.run(text, '"Ada"') == (f'"{value}"'.encode(), "")
