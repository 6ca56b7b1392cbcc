"""The context of a step action: the task context with the shared data of the workflow.

Only handlers registered with `register_executor` receive it; it costs one read of the execution.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.sdk.values.executions import Execution, NodeStatus, StoredValue
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.handlers import Mode, TaskHandler, handler_of, mode_of

Describe = Callable[[str], Awaitable[Execution]]
Fetch = Callable[[StoredValue], Awaitable[Json]]


class StepContext(Mapping[str, Json]):
    """`context["validate-order"]`: the execution's input and the results of earlier steps.

    It also has all attributes of a TaskContext (`attempt`, `idempotency_key`, `heartbeat` …).
    """

    def __init__(self, task: TaskContext, data: Mapping[str, Json]) -> None:
        self.task = task
        self._data = data

    def __getitem__(self, key: str) -> Json:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


async def shared_data(execution: Execution, fetch: Fetch) -> dict[str, Json]:
    """Return the execution's input merged with the outputs of completed steps by their ids."""

    async def resolved(value: Json | StoredValue) -> Json:
        return await fetch(value) if isinstance(value, StoredValue) else value

    given = await resolved(execution.input)
    data = dict(given) if isinstance(given, dict) else {}
    for node in execution.nodes:
        if node.status is NodeStatus.COMPLETED:
            data[node.id] = await resolved(node.output)
    return data


def with_shared_data(
    action: str, function: TaskHandler, describe: Describe, fetch: Fetch
) -> TaskHandler:
    """Return a handler that calls `function(params, context)` with a StepContext.

    A function that takes only `params` is returned unchanged; a plain function runs in a thread.
    """
    if handler_of(action, function).takes < 2:
        return function

    async def handler(params: Json, task: TaskContext) -> Json:
        data = await shared_data(await describe(task.execution_id), fetch)
        context = StepContext(task, data)
        if mode_of(function) is not Mode.THREAD:
            return await function(params, context)
        output = await asyncio.to_thread(function, params, context)
        return await output if asyncio.iscoroutine(output) else output

    return handler
