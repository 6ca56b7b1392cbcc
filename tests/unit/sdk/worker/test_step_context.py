"""The view of a step action on its workflow."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.records import value_from
from flowmesh.sdk.values.executions import Execution, StoredValue
from flowmesh.sdk.worker.step_context import shared_data, with_shared_data


def payload(data: bytes) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=data)


def running() -> execution_pb2.Execution:
    """An execution with one completed step, one failed and one stored by reference."""
    message = execution_pb2.Execution(
        execution_id="exec-1",
        status=execution_pb2.EXECUTION_STATUS_RUNNING,
        input=payload(b'{"order": 7}'),
    )
    message.nodes.add(
        id="valid", status=execution_pb2.NODE_STATUS_COMPLETED, output=payload(b"true")
    )
    message.nodes.add(id="broken", status=execution_pb2.NODE_STATUS_FAILED)
    large = payload_pb2.PayloadReference(digest="d", size_bytes=1 << 20)
    message.nodes.add(
        id="large",
        status=execution_pb2.NODE_STATUS_COMPLETED,
        output=payload_pb2.Payload(reference=large),
    )
    return message


async def fetch(value: StoredValue) -> Any:
    return f"fetched {value.digest}"


async def test_the_context_is_the_input_with_the_results_of_completed_steps() -> None:
    """Large values are fetched; steps that did not complete are not there."""
    data = await shared_data(value_from(Execution, running()), fetch)
    assert data == {"order": 7, "valid": True, "large": "fetched d"}


async def test_a_handler_that_takes_no_context_reads_no_execution() -> None:
    """It stays the function it was."""

    async def describe(execution_id: str) -> Any:
        pytest.fail(f"read {execution_id}")

    def handler(params: Any) -> Any:
        return params

    assert with_shared_data("act", handler, describe, fetch) is handler


class Charges:
    """A handler that is an object."""

    async def __call__(self, params: Any, context: Mapping[str, Any]) -> Any:
        return [params, context["order"]]


def charges(params: Any, context: Mapping[str, Any]) -> Any:
    """A plain function that gives a coroutine."""
    return Charges()(params, context)


@pytest.mark.parametrize("handler", [Charges(), charges], ids=["an object", "a function"])
async def test_any_callable_that_returns_a_coroutine_is_awaited(handler: Any) -> None:
    """As it is of a handler of tasks."""

    async def describe(execution_id: str) -> Any:
        return value_from(Execution, running())

    task: Any = SimpleNamespace(execution_id="exec-1")
    assert await with_shared_data("act", handler, describe, fetch)(1, task) == [1, 7]
