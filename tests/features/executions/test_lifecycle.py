"""How an execution lives: stored, dispatched, completed, retried, ended, cleaned up."""

import asyncio
import itertools
import json
import time
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.api.execution.v1 import execution_pb2, execution_service_pb2_grpc
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.sdk import Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from flowmesh.views import event_type
from tests.features import store
from tests.features.steps import http, retry, sequence_of, step, tasks_of, told, workflow

PATIENCE_S = 15
ENDED = ("TaskCompleted", "TaskFailed", "TaskSkipped")
# More than ended executions are kept in memory for those who look at them right after.
MANY = 1_200
KEPT_MAX = 1_000


def executions(suite: Suite) -> Any:
    return execution_service_pb2_grpc.ExecutionServiceStub(suite.channel)


@pytest.mark.feature("S3-17")
async def test_executions_are_created_tracked_and_managed(suite: Suite, world: World) -> None:
    """A definition is loaded and run; it is listed, seen to progress, and canceled."""
    world.hold("b")
    workflow_id = await suite.define(workflow(http(world, "a"), http(world, "b", "a")))
    started = await executions(suite).StartExecution(
        pb.StartExecutionRequest(workflow_id=workflow_id, input=payload_pb2.Payload(data=b"{}"))
    )
    assert started.created
    execution_id = started.execution_id
    await world.called("b")

    listed = await executions(suite).ListExecutions(
        pb.ListExecutionsRequest(
            workflow_id=workflow_id, statuses=[execution_pb2.EXECUTION_STATUS_RUNNING]
        )
    )
    assert [each.execution_id for each in listed.executions] == [execution_id]
    got = pb.GetExecutionRequest(execution_id=execution_id)
    seen = (await executions(suite).GetExecution(got)).execution
    assert [execution_pb2.NodeStatus.Name(node.status) for node in seen.nodes] == [
        "NODE_STATUS_COMPLETED",
        "NODE_STATUS_RUNNING",
    ]
    assert seen.nodes[1].dependencies == ["a"]
    await executions(suite).CancelExecution(
        pb.CancelExecutionRequest(execution_id=execution_id, reason="changed my mind")
    )
    ended = (await executions(suite).GetExecution(got)).execution
    assert ended.status == execution_pb2.EXECUTION_STATUS_CANCELED
    assert ended.last_sequence > seen.last_sequence
    world.release("b")


@pytest.mark.feature("S3-22", "S0-143")
async def test_state_is_in_sql_and_events_are_on_the_bus(suite: Suite, world: World) -> None:
    """Every event of the bus is a row of the history, in the same order; the row tells the end."""
    async with store.bus(suite) as heard, store.database(suite) as database:
        execution = await suite.run(workflow(http(world, "a"), http(world, "b", "a")))
        execution_id = execution["executionId"]
        published = await heard.until(execution_id, "WorkflowCompleted")
        rows = await store.stored(database, execution_id)
        row = await store.one_row(database, "select * from executions where id = $1", execution_id)

    assert [event_type(event) for event in published] == list(itertools.chain(*rows))
    assert [event.sequence for event in published] == list(range(1, len(published) + 1))
    assert row["status"] == execution_pb2.EXECUTION_STATUS_COMPLETED
    assert row["workflow_id"] == execution["workflowId"]


@pytest.mark.feature("S3-81")
async def test_a_start_is_stored_before_its_first_task(suite: Suite, world: World) -> None:
    """Structure analysed, context and plan stored, event published; then the task is called."""
    world.hold("first")
    workflow_id = await suite.define(workflow(http(world, "first"), http(world, "last", "first")))
    analysis = (await suite.get(f"/api/v1/workflows/{workflow_id}/analysis")).json
    assert analysis["forest"]["roots"] == ["first"]
    async with store.bus(suite) as heard, store.database(suite) as database:
        execution_id = await suite.begin(workflow_id, {"order": 7})
        await world.called("first")
        first_commit, *_ = await store.stored(database, execution_id)
        row = await store.one_row(
            database,
            "select e.status, length(p.body) as plan_bytes from executions e"
            " join plans p on p.digest = e.plan_digest where e.id = $1",
            execution_id,
        )
        published = await heard.until(execution_id, "WorkflowStarted")

    assert first_commit == ("WorkflowStarted", "TaskScheduled")
    assert row["status"] == execution_pb2.EXECUTION_STATUS_RUNNING
    assert row["plan_bytes"] > 0
    assert json.loads(published[0].workflow_started.input.data) == {"order": 7}
    assert published[0].sequence == 1
    world.release("first")
    await suite.wait(execution_id)


@pytest.mark.feature("S3-82")
async def test_ready_nodes_are_queued_together_and_leave_by_priority(suite: Suite) -> None:
    """All roots are scheduled by one commit and running; one slot gets them the highest first."""
    order = []
    free = asyncio.Event()

    async def work(value: Any) -> None:
        order.append(value["priority"])
        await free.wait()

    words = ["LOW", "NORMAL", "CRITICAL", "HIGH"]
    action = f"rank-{time.monotonic_ns()}"
    steps = [step(word.lower(), action, {"priority": word}, priority=word) for word in words]
    workflow_id = await suite.define(workflow(*steps))
    execution_id = await suite.begin(workflow_id)
    async with store.database(suite) as database:
        first_commit, *_ = await store.stored(database, execution_id)
    state = await suite.execution(execution_id)
    analysis = (await suite.get(f"/api/v1/workflows/{workflow_id}/analysis")).json
    async with Worker(suite.grpc_address, {action: work}, slots=1):
        free.set()
        ended = await suite.wait(execution_id)

    assert first_commit == ("WorkflowStarted", *["TaskScheduled"] * 4)
    assert sorted(state["currentSteps"]) == sorted(analysis["forest"]["roots"])
    assert {each["status"] for each in state["stepResults"].values()} == {"running"}
    assert ended["status"] == "completed"
    assert order == ["CRITICAL", "HIGH", "NORMAL", "LOW"]


@pytest.mark.feature("S3-83")
async def test_a_worker_reports_success_and_failure(suite: Suite, world: World) -> None:
    """Both come over the bus: who ran it, what came of it, and the class of what went wrong."""
    world.answers("good", json={"n": 1})
    world.answers("bad", status=404)
    async with store.bus(suite) as heard:
        execution = await suite.run(workflow(http(world, "good"), http(world, "bad")))
        published = await heard.until(execution["executionId"], "WorkflowFailed")

    started = {each.task_started.node: each.task_started for each in published}
    completed = [each.task_completed for each in published if each.HasField("task_completed")]
    failed = [each.task_failed for each in published if each.HasField("task_failed")]
    assert started["good"].worker_id
    assert started["bad"].worker_id
    assert [(each.node, json.loads(each.output.data)) for each in completed] == [("good", {"n": 1})]
    assert json.loads(completed[0].metadata)["http"]["status"] == 200
    assert [(each.node, getattr(each.failure, "class")) for each in failed] == [
        ("bad", "ClientError")
    ]


@pytest.mark.feature("S3-84")
async def test_branches_are_decided_and_joins_wait(suite: Suite, world: World) -> None:
    """The true condition's branch runs and the other is skipped; the join waits for all parents."""
    world.answers("left", json={"l": 1})
    world.answers("right", json={"r": 2})
    world.hold("right")
    definition = workflow(
        step("large", "condition", {"expression": "context.amount > 100"}),
        step("small", "condition", {"expression": "context.amount <= 100"}),
        http(world, "gift", "small"),
        http(world, "left", "large"),
        http(world, "right", "large"),
        http(world, "join", "left", "right"),
    )
    execution_id = await suite.begin(await suite.define(definition), {"amount": 150})
    await world.called("right")
    async with asyncio.timeout(PATIENCE_S):
        while "left" not in (await suite.execution(execution_id))["completedSteps"]:
            assert world.calls("join") == []
    waiting = await suite.execution(execution_id)
    assert waiting["currentSteps"] == ["right"]
    assert waiting["context"]["left"] == {"l": 1}
    world.release("right")
    ended = await suite.wait(execution_id)
    events = await suite.events(execution_id)

    assert (ended["status"], ended["skippedSteps"]) == ("completed", ["gift"])
    (join,) = world.calls("join")
    assert (join.json["left"], join.json["right"]) == ({"l": 1}, {"r": 2})
    assert world.calls("gift") == []
    assert sorted(task for _, task in told(events, *ENDED)) == sorted(
        each["id"] for each in definition["steps"]
    )
    parents = [sequence_of(events, "TaskCompleted", each) for each in ("left", "right")]
    assert sequence_of(events, "TaskScheduled", "join") == max(parents) + 1


@pytest.mark.feature("S3-87")
async def test_a_node_fails_when_its_policy_is_exhausted(suite: Suite, world: World) -> None:
    """Queued anew after each failure, later each time; then the node and the run have failed."""
    world.answers("flaky", status=503)
    execution = await suite.run(workflow(http(world, "flaky", retryPolicy=retry(3, 50, 2))))
    events = await suite.events(execution["executionId"])

    of_task = [
        (each["type"], each["attempt"])
        for each in events
        if each["type"] in ("TaskScheduled", "TaskRetrying", "TaskFailed")
    ]
    assert of_task == [
        ("TaskScheduled", 1),
        ("TaskRetrying", 1),
        ("TaskScheduled", 2),
        ("TaskRetrying", 2),
        ("TaskScheduled", 3),
        ("TaskFailed", 3),
    ]
    times = [call.at_ms for call in world.calls("flaky")]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    for gap, wanted in zip(gaps, (50, 100), strict=True):
        assert wanted - 1 <= gap < wanted + 150
    assert (execution["status"], execution["failedSteps"]) == ("failed", ["flaky"])
    assert execution["stepResults"]["flaky"]["error"]["class"] == "ServerError"


@pytest.mark.feature("S3-89")
async def test_an_execution_ends_with_its_last_leaf_or_a_terminal_failure(
    suite: Suite, world: World
) -> None:
    """Not while one leaf is open; a critical failure ends it once nothing is open any more."""
    world.hold("slow")
    leaves = workflow(
        http(world, "root"), http(world, "quick", "root"), http(world, "slow", "root")
    )
    execution_id = await suite.begin(await suite.define(leaves))
    await world.called("slow")
    async with asyncio.timeout(PATIENCE_S):
        while "quick" not in (await suite.execution(execution_id))["completedSteps"]:
            assert world.calls("root")
    assert (await suite.execution(execution_id))["status"] == "running"
    world.release("slow")
    assert (await suite.wait(execution_id))["status"] == "completed"
    events = await suite.events(execution_id)
    assert told(events, *ENDED, "WorkflowCompleted")[-2:] == [
        ("TaskCompleted", "slow"),
        ("WorkflowCompleted", ""),
    ]

    world.answers("bad", status=400)
    failed = await suite.run(workflow(http(world, "bad"), http(world, "after", "bad")))
    ends = told(await suite.events(failed["executionId"]), *ENDED, "WorkflowFailed")
    assert ends == [("TaskFailed", "bad"), ("TaskSkipped", "after"), ("WorkflowFailed", "")]


@pytest.mark.feature("S3-89", "S3-41")
async def test_what_has_ended_is_cleaned_up(suite: Suite) -> None:
    """Its outbox rows go when they were served, its state leaves memory, housekeeping runs."""
    workflow_id = await suite.define(workflow({"id": "only", "name": "Only"}))
    request = pb.StartExecutionRequest(workflow_id=workflow_id)
    started = await asyncio.gather(
        *(executions(suite).StartExecution(request) for _ in range(MANY))
    )
    execution_id = started[0].execution_id
    left = "select count(*) from outbox where $1 = any(execution_ids)"
    async with store.database(suite) as database, asyncio.timeout(PATIENCE_S):
        # Rows go with the next commit after the event service has said that it has them.
        while await database.fetchval(left, execution_id):
            await suite.wait(await suite.begin(workflow_id))

    assert (await suite.execution(execution_id))["status"] == "completed"
    assert (await suite.events(execution_id))[-1]["type"] == "WorkflowCompleted"
    assert await store.metric(suite, "flowmesh_states_cached") < KEPT_MAX + 100
    rounds = await store.metric(
        suite, "flowmesh_loop_rounds_total", loop="HousekeepingLoop", outcome="ok"
    )
    assert rounds >= 1
    assert await store.metric(suite, "flowmesh_tasks_out") == 0


@pytest.mark.feature("S0-144")
async def test_the_engine_takes_workflow_and_input(suite: Suite, world: World) -> None:
    """One call starts it and brings the result; the analysis tells the groups it runs in."""
    world.answers("double", make=lambda call: {"twice": call.json["n"] * 2})
    workflow_id = await suite.define(
        workflow(
            http(world, "double"),
            {"id": "other"},
            {"id": "join", "dependencies": ["double", "other"]},
        )
    )
    stub: Any = definition_service_pb2_grpc.DefinitionServiceStub(suite.channel)
    analysed = await stub.AnalyzeWorkflow(
        definitions.AnalyzeWorkflowRequest(workflow_id=workflow_id)
    )
    ran = await executions(suite).StartExecution(
        pb.StartExecutionRequest(
            workflow_id=workflow_id, input=payload_pb2.Payload(data=b'{"n":21}'), wait_ms=10_000
        )
    )

    groups = [list(group.nodes) for group in analysed.analysis.groups]
    assert groups == [["double", "other"], ["join"]]
    assert ran.execution.status == execution_pb2.EXECUTION_STATUS_COMPLETED
    assert json.loads(ran.execution.nodes[0].output.data) == {"twice": 42}
    assert json.loads(ran.execution.input.data) == {"n": 21}
    assert ran.execution.workflow_version == analysed.version == 1


@pytest.mark.feature("S0-146")
async def test_events_come_group_by_group(suite: Suite, world: World) -> None:
    """Start, the tasks of each group, their completions, only then the next group; the end last."""
    world.hold("b")
    definition = workflow(
        http(world, "a"), http(world, "b"), http(world, "c", "a", "b"), http(world, "d", "c")
    )
    execution_id = await suite.begin(await suite.define(definition))
    events = []
    async with (
        asyncio.timeout(PATIENCE_S),
        suite.websocket(f"/api/v1/executions/{execution_id}/events/ws") as socket,
    ):
        await world.called("b")
        world.release("b")
        async for message in socket:
            events.append(json.loads(message.data))

    order = told(events, "WorkflowStarted", "TaskScheduled", "TaskCompleted", "WorkflowCompleted")
    assert order[:3] == [("WorkflowStarted", ""), ("TaskScheduled", "a"), ("TaskScheduled", "b")]
    assert sorted(order[3:5]) == [("TaskCompleted", "a"), ("TaskCompleted", "b")]
    assert order[5:] == [
        ("TaskScheduled", "c"),
        ("TaskCompleted", "c"),
        ("TaskScheduled", "d"),
        ("TaskCompleted", "d"),
        ("WorkflowCompleted", ""),
    ]
    assert [each["sequence"] for each in events] == list(range(1, len(events) + 1))
    assert len(tasks_of(events, "TaskStarted")) == 4
