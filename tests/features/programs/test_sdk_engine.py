"""WorkflowEngine against the running suite: order, limits, retries, progress, metrics."""

import asyncio
import runpy
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flowmesh import errors
from flowmesh.sdk import (
    Client,
    EngineWorkflow,
    ExecutionFailed,
    Priority,
    Retry,
    TaskContext,
    TaskFailure,
    TaskStatus,
    WorkflowEngine,
    WorkflowStatus,
)
from flowmesh.testing.polling import done
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture
async def engine(suite: Suite) -> AsyncIterator[WorkflowEngine]:
    async with WorkflowEngine(suite.grpc_address) as made:
        yield made


async def nothing(data: dict[str, Any]) -> None:
    """A task that only takes part."""


def example(name: str) -> Any:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


@pytest.mark.feature("S4-47", "S4-48", "S4-05", "S3-113")
async def test_the_sequential_snippet_runs(suite: Suite) -> None:
    """Two string handlers, one behind the other, the second with the first one's result."""
    results = await example("sdk_sequential")(suite.grpc_address)
    assert results == {"task-1": {"order": "A-17", "items": ["book", "pen"]}, "task-2": 2}


@pytest.mark.feature("S4-49", "S4-06", "S4-11")
async def test_the_fan_out_snippet_runs(suite: Suite) -> None:
    """A splitter, five workers and a merger that adds up what all of them found."""
    assert await example("sdk_fan_out")(suite.grpc_address) == sum(range(100))


@pytest.mark.feature("S4-48")
async def test_a_handler_that_is_not_registered_is_named(engine: WorkflowEngine) -> None:
    """The workflow does not start, and the error says how to mend it."""
    workflow = engine.create_workflow("no handler")
    engine.add_task_to_workflow(workflow.id, "Task 1", "handler1")
    with pytest.raises(errors.Invalid, match="register_handler") as caught:
        await engine.execute(workflow.id)
    assert caught.value.reason == "HANDLER_MISSING"


@pytest.mark.feature("S4-05", "S4-12", "S4-13")
async def test_order_and_statuses(engine: WorkflowEngine) -> None:
    """Dependencies run first; statuses go from CREATED and PENDING to COMPLETED."""
    order: list[str] = []

    async def note(data: dict[str, Any], context: TaskContext) -> list[str]:
        # The first handler may be called before the answer to the start is here.
        await done("RUNNING", lambda: workflow.status is WorkflowStatus.RUNNING, within_s=5)
        order.append(context.node)
        return sorted(data["results"])

    workflow = engine.create_workflow("diamond")
    top = engine.add_task_to_workflow(workflow.id, "top", note)
    sides = [
        engine.add_task_to_workflow(workflow.id, side, note, dependencies=[top.id])
        for side in ("left", "right")
    ]
    bottom = engine.add_task_to_workflow(
        workflow.id, "bottom", note, dependencies=[side.id for side in sides]
    )
    assert (workflow.status, bottom.status) == (WorkflowStatus.CREATED, TaskStatus.PENDING)
    await engine.execute(workflow.id)
    assert (workflow.status, bottom.status) == ("COMPLETED", "COMPLETED")
    assert {task.status for task in workflow.tasks.values()} == {TaskStatus.COMPLETED}
    assert [task.result for task in (top, *sides, bottom)] == [
        [], ["top"], ["top"], ["left", "right"],
    ]  # fmt: skip
    assert order[0] == "top"
    assert order[-1] == "bottom"
    # A task that leaves before what it needs is there has no input, and is tried again.
    assert {task.attempts for task in workflow.tasks.values()} == {1}
    assert len(order) == 4


@pytest.mark.feature("S4-07")
async def test_the_more_important_task_leaves_first(suite: Suite) -> None:
    """With one slot, CRITICAL, HIGH, NORMAL, LOW run in this order however they were added."""
    order: list[str] = []

    async def note(data: dict[str, Any], context: TaskContext) -> None:
        order.append(context.node)

    async with WorkflowEngine(suite.grpc_address, max_concurrent_tasks=1) as engine:
        workflow = engine.create_workflow("priorities")
        for priority in (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL):
            engine.add_task_to_workflow(workflow.id, priority.value, note, priority=priority)
        await engine.execute(workflow.id)
    assert order == ["critical", "high", "normal", "low"]


@pytest.mark.feature("S4-66", "S4-06")
async def test_never_more_than_ten_at_once(engine: WorkflowEngine) -> None:
    """The default limit is ten, also over several executions of one engine; it is reached."""
    running = highest = 0
    full = asyncio.Event()

    async def work(data: dict[str, Any]) -> None:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        if running == 10:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1

    workflows = [engine.create_workflow("crowd") for _ in range(2)]
    for workflow in workflows:
        for number in range(15):
            engine.add_task_to_workflow(workflow.id, f"task {number}", work)
    await asyncio.gather(*(engine.execute(workflow.id) for workflow in workflows))
    assert engine.max_concurrent_tasks == 10
    assert highest == 10


@pytest.mark.feature("S4-08")
async def test_a_failing_task_is_tried_again_with_growing_gaps(engine: WorkflowEngine) -> None:
    """Any exception is retried, and every delay is twice the one before."""
    tries: list[float] = []

    async def flaky(data: dict[str, Any], context: TaskContext) -> int:
        tries.append(time.monotonic())
        if context.attempt < 4:
            raise ConnectionError("not yet")
        return context.attempt

    workflow = engine.create_workflow("flaky")
    task = engine.add_task_to_workflow(
        workflow.id, "flaky", flaky, retry=Retry(attempts=4, initial="80ms")
    )
    results = await engine.execute(workflow.id)
    assert results[task.id] == 4
    assert task.attempts == 4
    gaps = [after - before for before, after in pairwise(tries)]
    # Delays count on the database's clock, which the suite knows to a few milliseconds.
    for gap, delay in zip(gaps, (0.08, 0.16, 0.32), strict=True):
        assert gap >= 0.8 * delay


@pytest.mark.feature("S4-09", "S4-13")
async def test_a_task_over_its_time_fails(engine: WorkflowEngine) -> None:
    """The handler is stopped and the failure is Timeout; what depends on it never starts."""
    stopped = asyncio.Event()

    async def forever(data: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    workflow = engine.create_workflow("slow")
    slow = engine.add_task_to_workflow(
        workflow.id, "slow", forever, timeout=0.1, retry=Retry(attempts=1)
    )
    behind = engine.add_task_to_workflow(workflow.id, "behind", nothing, dependencies=[slow.id])
    with pytest.raises(ExecutionFailed) as caught:
        await engine.execute(workflow.id)
    assert caught.value.failure is not None
    assert caught.value.failure.error_class == "Timeout"
    assert (slow.status, behind.status) == (TaskStatus.FAILED, TaskStatus.PENDING)
    assert workflow.status is WorkflowStatus.FAILED
    await asyncio.wait_for(stopped.wait(), 5)


@pytest.mark.feature("S4-10")
async def test_progress_is_live(suite: Suite) -> None:
    """While a task runs, those before it count as completed and the rest as pending."""
    seen: list[tuple[int, int, int]] = []
    halfway, go_on = asyncio.Event(), asyncio.Event()

    def on_progress(workflow: EngineWorkflow) -> None:
        progress = workflow.progress
        seen.append((progress.completed, progress.running, progress.pending))
        if seen[-1] == (1, 1, 1):
            halfway.set()

    async def gate(data: dict[str, Any]) -> None:
        await go_on.wait()

    async with WorkflowEngine(suite.grpc_address, on_progress=on_progress) as engine:
        workflow = engine.create_workflow("progress")
        one = engine.add_task_to_workflow(workflow.id, "one", nothing)
        two = engine.add_task_to_workflow(workflow.id, "two", gate, dependencies=[one.id])
        engine.add_task_to_workflow(workflow.id, "three", nothing, dependencies=[two.id])
        execution = asyncio.create_task(engine.execute(workflow.id))
        await asyncio.wait_for(halfway.wait(), 10)
        assert round(engine.progress(workflow.id).percentage) == 33
        go_on.set()
        await execution
        assert engine.progress(workflow.id).percentage == 100
    assert seen[0] == (0, 0, 3)
    assert seen[-1] == (3, 0, 0)


@pytest.mark.feature("S4-12")
async def test_a_task_shows_what_it_is_and_how_it_goes(suite: Suite) -> None:
    """Id, dependencies, priority and handler; PENDING, RUNNING, and FAILED or COMPLETED."""
    seen: list[tuple[TaskStatus, ...]] = []

    def look(workflow: EngineWorkflow) -> None:
        seen.append(tuple(task.status for task in workflow.tasks.values()))

    async def fail(data: dict[str, Any]) -> None:
        raise TaskFailure("Broken", "on purpose")

    async with WorkflowEngine(suite.grpc_address, on_progress=look) as engine:
        workflow = engine.create_workflow("model")
        first = engine.add_task_to_workflow(workflow.id, "First", nothing)
        bad = engine.add_task_to_workflow(
            workflow.id, "Bad", fail, dependencies=[first.id], priority="HIGH"
        )
        never = engine.add_task_to_workflow(workflow.id, "Never", nothing, dependencies=[bad.id])
        assert (bad.id, bad.dependencies, bad.priority) == ("bad", ("first",), Priority.HIGH)
        assert (bad.handler, never.handler, never.priority) == (fail, nothing, Priority.NORMAL)
        with pytest.raises(ExecutionFailed):
            await engine.execute(workflow.id)
    went = [list(dict.fromkeys(each)) for each in zip(*seen, strict=True)]
    assert went == [["PENDING", "RUNNING", end] for end in ("COMPLETED", "FAILED")] + [["PENDING"]]


@pytest.mark.feature("S4-12")
async def test_a_handler_may_be_a_service(engine: WorkflowEngine) -> None:
    """An address as handler gets the input and the results by POST."""
    async with World() as world:
        world.answers("price", json={"price": 7})
        workflow = engine.create_workflow("service")
        one = engine.add_task_to_workflow(workflow.id, "one", nothing)
        price = engine.add_task_to_workflow(
            workflow.id, "price", f"{world.address}/price", dependencies=[one.id]
        )
        results = await engine.execute(workflow.id, {"sku": "book"})
        (call,) = world.calls("price")
    assert results[price.id] == {"price": 7}
    assert call.json == {"input": {"sku": "book"}, "results": {"one": None}}


@pytest.mark.feature("S4-53")
async def test_the_idempotency_key_is_the_same_on_every_attempt(engine: WorkflowEngine) -> None:
    """An effect guarded by the key happens once, however often the task is tried."""
    effects: set[str] = set()
    attempts: list[int] = []

    async def charge(data: dict[str, Any], context: TaskContext) -> None:
        attempts.append(context.attempt)
        effects.add(context.idempotency_key)
        if context.attempt == 1:
            raise ConnectionResetError("the answer was lost")

    workflow = engine.create_workflow("charge once")
    engine.add_task_to_workflow(workflow.id, "charge", charge, retry=Retry(2, initial="10ms"))
    await engine.execute(workflow.id)
    assert attempts == [1, 2]
    assert len(effects) == 1


@pytest.mark.feature("S4-69", "S4-70", "S4-71", "S4-72")
async def test_metrics_count_what_happened(engine: WorkflowEngine) -> None:
    """Completed and failed workflows, completed tasks, and the time all of them took."""

    async def fail(data: dict[str, Any]) -> None:
        raise TaskFailure("Broken", "on purpose")

    good = engine.create_workflow("good")
    first = engine.add_task_to_workflow(good.id, "first", nothing)
    engine.add_task_to_workflow(good.id, "second", nothing, dependencies=[first.id])
    bad = engine.create_workflow("bad")
    engine.add_task_to_workflow(bad.id, "only", fail, retry=Retry(attempts=1))

    await engine.execute(good.id)
    time_of_one = engine.metrics.total_execution_time
    assert time_of_one > 0
    with pytest.raises(ExecutionFailed, match="Broken in only: on purpose"):
        await engine.execute(bad.id)

    assert engine.metrics.workflows_completed == 1
    assert engine.metrics.workflows_failed == 1
    assert engine.metrics.tasks_completed == 2
    assert engine.metrics.total_execution_time > time_of_one


@pytest.mark.feature("S4-13")
async def test_a_finished_workflow_can_be_run_again(engine: WorkflowEngine, suite: Suite) -> None:
    """Each run is an execution of its own; the definition keeps its version."""
    workflow = engine.create_workflow("again")
    engine.add_task_to_workflow(workflow.id, "only", nothing)
    await engine.execute(workflow.id)
    first = workflow.execution_id
    await engine.execute(workflow.id)
    assert workflow.execution_id != first
    async with Client(suite.grpc_address) as client:
        assert (await client.get_workflow("again")).version == 1


@pytest.mark.feature("S4-13")
async def test_a_workflow_is_run_once_at_a_time(engine: WorkflowEngine) -> None:
    """Whoever asks while it runs is refused; one that was left alone can be run again."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def gate(data: dict[str, Any]) -> None:
        begun.set()
        await go_on.wait()

    workflow = engine.create_workflow("one at a time")
    engine.add_task_to_workflow(workflow.id, "gate", gate)
    left = asyncio.create_task(engine.execute(workflow.id))
    await asyncio.sleep(0)
    with pytest.raises(errors.Invalid, match="running already"):
        await engine.execute(workflow.id)
    await asyncio.wait_for(begun.wait(), 10)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    go_on.set()
    await engine.execute(workflow.id)
    assert workflow.status is WorkflowStatus.COMPLETED
