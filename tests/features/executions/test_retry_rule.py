"""One rule of retries for all formats: errors of handlers are retried unless they are final."""

import itertools
from typing import Any

import pytest

from flowmesh.contract import FINAL_BY_DEFAULT
from flowmesh.sdk import (
    Client,
    ExecutionFailed,
    NonRetryable,
    Retry,
    TaskFailure,
    Worker,
    Workflow,
    workflow,
)
from flowmesh.testing.suite import Suite

_numbers = itertools.count(1)
_DELAYS = {"initialDelay": "1ms"}


def native(name: str) -> Any:
    """YAML or JSON resources."""
    task = {"id": "a", "taskRef": name, "retry": {"maxAttempts": 3, **_DELAYS}}
    return [
        {"kind": "WorkflowTask", "metadata": {"name": name}, "spec": {"type": name}},
        {"kind": "Workflow", "metadata": {"name": f"{name}-flow"}, "spec": {"tasks": [task]}},
    ]


def steps(name: str) -> Any:
    """Step JSON."""
    step: Any = {"id": "a", "name": "a", "type": "task", "action": name}
    step["retryPolicy"] = {"maxAttempts": 3, "initialDelay": 1}
    return {"id": f"{name}-flow", "name": name, "steps": [step]}


def in_python(name: str) -> Any:
    """The builder of the Python SDK."""

    @workflow(f"{name}-flow")
    def flow(flow: Workflow) -> None:
        flow.task("a", name, retry=Retry(attempts=3, initial="1ms"))

    return flow.as_resources()


FORMATS = [native, steps, in_python]


async def attempts(suite: Suite, form: Any, raised: Exception) -> tuple[int, dict[str, Any]]:
    """Run a handler that always raises; return its calls and its task as shown."""
    name, calls = f"retry-rule-{next(_numbers)}", 0

    async def handler(_input: Any) -> None:
        nonlocal calls
        calls += 1
        raise raised

    async with Client(suite.grpc_address) as client:
        sources = form(name)
        for source in sources if isinstance(sources, list) else [sources]:
            own = source if "steps" in source else {**source, "apiVersion": "workflow.io/v1"}
            await client.apply(own)
        worker = Worker(client)
        worker.register(name, handler)
        async with worker:
            handle = await client.start(f"{name}-flow", {})
            with pytest.raises(ExecutionFailed):
                await handle.result()
    shown = await suite.request("GET", f"/api/v1/executions/{handle.id}")
    return calls, shown.json["tasks"]["a"]


@pytest.mark.parametrize("form", FORMATS)
async def test_an_error_of_a_handler_is_retried_in_every_format(suite: Suite, form: Any) -> None:
    """Without `retryOn`; the task says that it was the last attempt."""
    calls, task = await attempts(suite, form, ConnectionError("no route"))
    assert calls == 3
    assert task["attempts"] == 3
    assert task["notRetried"] == "it was the last of 3 attempts (`maxAttempts`)"


@pytest.mark.parametrize("form", FORMATS)
async def test_a_final_error_is_not_retried_in_any_format(suite: Suite, form: Any) -> None:
    """`NonRetryable` ends the task at once, and the task says why."""
    calls, task = await attempts(suite, form, NonRetryable("never"))
    assert calls == 1
    assert task["notRetried"] == "NonRetryable is never retried"


@pytest.mark.parametrize("class_", FINAL_BY_DEFAULT)
async def test_a_class_that_is_final_by_default_says_so(suite: Suite, class_: str) -> None:
    """A handler that fails with it has one attempt, and the task says why."""
    calls, task = await attempts(suite, native, TaskFailure(class_, "again is no use"))
    assert calls == 1
    assert class_ in task["notRetried"]
