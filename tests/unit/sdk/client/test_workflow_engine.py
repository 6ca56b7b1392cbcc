"""WorkflowEngine: building, what it compiles to, and the errors that need no server."""

from typing import Any

import pytest

from flowmesh import errors
from flowmesh.sdk import Priority, TaskStatus, WorkflowEngine, WorkflowStatus


def test_a_workflow_that_was_not_started_is_created() -> None:
    """And its tasks are pending, none of them done."""
    engine = WorkflowEngine()
    workflow = engine.create_workflow("Sequential Process")
    task = engine.add_task_to_workflow(workflow.id, "Task 1", "handler1")
    assert workflow.status is WorkflowStatus.CREATED
    assert task.status is TaskStatus.PENDING
    assert workflow.progress.percentage == 0
    assert engine.max_concurrent_tasks == 10


def test_ids_are_readable_and_unique() -> None:
    """Names give ids; the second of a name gets a number."""
    engine = WorkflowEngine()
    first, second = engine.create_workflow("My Flow"), engine.create_workflow("My Flow")
    assert (first.id, second.id) == ("my-flow", "my-flow-2")
    ids = [engine.add_task_to_workflow(first.id, "Worker 1", "h").id for _ in range(2)]
    assert ids == ["worker-1", "worker-1-2"]


def test_dependencies_must_exist() -> None:
    """The error names the task, the id and what there is."""
    engine = WorkflowEngine()
    workflow = engine.create_workflow("w")
    engine.add_task_to_workflow(workflow.id, "one", "h")
    with pytest.raises(errors.Invalid, match=r"'two' depends on 'nope'.*tasks: one"):
        engine.add_task_to_workflow(workflow.id, "two", "h", dependencies=["nope"])


async def test_a_missing_handler_is_named_at_start() -> None:
    """Nothing is sent; the message says how to register it."""
    engine = WorkflowEngine()
    workflow = engine.create_workflow("w")
    engine.add_task_to_workflow(workflow.id, "Task 1", "handler1")
    with pytest.raises(errors.Invalid, match="register_handler") as caught:
        await engine.execute(workflow.id)
    assert caught.value.reason == "HANDLER_MISSING"
    assert workflow.status is WorkflowStatus.CREATED


async def test_an_empty_workflow_is_refused() -> None:
    """It has nothing to do."""
    engine = WorkflowEngine()
    with pytest.raises(errors.Invalid, match="no tasks"):
        await engine.execute(engine.create_workflow("w").id)


def test_tasks_compile_with_all_their_options() -> None:
    """Name, dependencies, priority, timeout, retry, and the results of dependencies as input."""

    async def handler(data: dict[str, Any]) -> None: ...

    engine = WorkflowEngine()
    workflow = engine.create_workflow("w")
    engine.register_handler("first", handler)
    one = engine.add_task_to_workflow(workflow.id, "One", "first", priority=Priority.CRITICAL)
    engine.add_task_to_workflow(
        workflow.id, "Two", "http://service/two", dependencies=[one.id], timeout=2.5
    )
    documents = engine.compile(workflow.id).as_resources()
    first, second = documents[-1]["spec"]["tasks"]
    assert (first["name"], first["priority"], first["timeout"]) == ("One", "CRITICAL", "5m")
    assert first["retry"]["maxAttempts"] == 3
    assert second["dependsOn"] == ["one"]
    assert second["timeout"] == "2500ms"
    assert second["input"] == {
        "input": "{{input}}",
        "results": {"one": "{{tasks.one.output}}"},
    }
    assert documents[1]["spec"]["http"]["url"] == "http://service/two"
