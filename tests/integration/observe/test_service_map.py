"""Queues, workers and services, from kept metrics and calls and the answers of other services."""

import pytest

from flowmesh.api.broker.v1 import broker_service_pb2 as broker_pb
from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.event.v1 import trigger_service_pb2 as trigger_pb
from flowmesh.api.execution.v1 import limits_service_pb2 as limits_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.errors import NotFound
from flowmesh.observe.questions.queue_use import QueueUse
from flowmesh.observe.questions.service_map import ServiceMap
from flowmesh.observe.questions.sums import HOUR_US, Range, Sums
from flowmesh.observe.questions.workers import Workers
from flowmesh.observe.store import SignalStore
from tests.integration.observe.stand_ins import batch, stub

WORKFLOWS = 41


@pytest.fixture
def span(now_us: int) -> Range:
    """The hour before now."""
    return Range(now_us - HOUR_US, now_us)


async def test_the_users_of_a_queue(signals: SignalStore, span: Range) -> None:
    """Exchanges, every workflow that publishes to it, and triggers; rates are by the second."""

    def planned(request: definition_pb.GetPlanRequest) -> definition_pb.GetPlanResponse:
        if request.workflow_id == "w-05":
            raise NotFound("WORKFLOW_NOT_FOUND", "deleted meanwhile")
        answer = definition_pb.GetPlanResponse()
        answer.plan.workflow_id = request.workflow_id
        answer.plan.specs.add(task_type="message.publish", config=b'{"key": "q"}')
        answer.plan.specs.add(
            task_type="message.publish", config=b'{"key": "q", "project": "other"}'
        )
        return answer

    names = [f"w-{number:02}" for number in range(WORKFLOWS)]
    triggers = trigger_pb.ListTriggersResponse()
    for queue in ("q", "other"):
        state = triggers.triggers.add(workflow_id=f"of-{queue}")
        state.trigger.id = f"t-{queue}"
        state.trigger.queue.queue = queue
    question = QueueUse(
        sums=Sums(signals),
        broker=stub(
            GetQueue=lambda _: broker_pb.GetQueueResponse(
                state=topology_pb2.QueueState(depth=7, consumers=1)
            ),
            ListBindings=lambda _: broker_pb.ListBindingsResponse(
                bindings=[topology_pb2.Binding(source="x", key="k")]
            ),
        ),
        triggers=stub(ListTriggers=lambda _: triggers),
        definitions=stub(
            ListWorkflows=lambda _: definition_pb.ListWorkflowsResponse(
                workflows=[definition_pb2.Workflow(workflow_id=name) for name in names]
            ),
            GetPlan=planned,
        ),
    )
    labels = "namespace=n,queue=q"
    counts = {"published": 7_200.0, "consumed": 3_600.0, "failed": 360.0}
    await signals.write(
        batch(
            span.from_us,
            {
                f"messages_{name}_total": {labels: count, "namespace=n,queue=other": 1}
                for name, count in counts.items()
            },
        )
    )
    found = await question.of("n", "q", span)
    assert (found.published, found.consumed) == (2, 1)
    assert found.failed == pytest.approx(0.1)
    users = [(each.kind, each.name, each.part) for each in found.users]
    assert users == [
        (figures.QUEUE_USER_KIND_EXCHANGE, "x", "k"),
        *((figures.QUEUE_USER_KIND_PUBLISHER, each, "q") for each in names if each != "w-05"),
        (figures.QUEUE_USER_KIND_TRIGGER, "of-q", "t-q"),
    ]
    assert not found.truncated
    assert found.text.startswith("q gets 2.00 messages/s from w-00, w-01, ")
    assert found.text.endswith(
        ", x, and 1.00 messages/s go to triggers of of-q and 1 open consumer; 7 messages are in it"
    )


async def test_sick_workers_are_first(signals: SignalStore, span: Range) -> None:
    """Then those that are attached no more, then the others; times are means of all attempts."""
    attached = limits_pb.ListWorkersResponse()
    for name in ("a", "z"):
        attached.workers.add(worker_id=name, task_types=["pay"], slots=4, running=1)
    question = Workers(sums=Sums(signals), limits=stub(ListWorkers=lambda _: attached))
    idle = await question.compared("n", span)
    assert idle.text == "none of 2 attached workers is sick"

    def attempts(worker: str, completed: int, failed: int) -> dict[str, float]:
        labels = f"namespace=n,worker={worker}"
        return {f"{labels},outcome=completed": completed, f"{labels},outcome=failed": failed}

    await signals.write(
        batch(
            span.from_us,
            {
                "flowmesh_worker_attempts_total": {
                    **attempts("a", 99, 1),
                    **attempts("z", 40, 10),
                    **attempts("gone", 1, 0),
                    **attempts("other", 1, 0),
                },
                "flowmesh_worker_attempt_seconds_sum": {
                    "namespace=n,worker=a": 2.0,
                    "namespace=n,worker=z": 1.0,
                },
            },
        )
    )
    found = await question.compared("n", span)
    rows = [(each.worker_id, each.attached, each.problem) for each in found.workers]
    problem = "20% of its attempts fail, 1% of those of its peers"
    assert rows == [
        ("z", True, problem),
        ("gone", False, "sends no heartbeat any more"),
        ("a", True, ""),
    ]
    assert [each.mean_ms for each in found.workers] == pytest.approx([20, 0, 20])
    assert found.text == f"z is sick: {problem}"


async def test_calls_of_the_map(signals: SignalStore, span: Range) -> None:
    """Of services, workers, queues and applications, each with its errors and times."""
    at_us = span.from_us + 60_000_000
    request = batch(
        at_us,
        {
            "flowmesh_rpc_total": {
                "service=ExecutionService,code=OK": 3_600,
                "service=ExecutionService,code=INTERNAL": 360,
            },
            "flowmesh_rpc_seconds_bucket": {
                "service=ExecutionService,le=0.1": 0,
                "service=ExecutionService,le=0.2": 100,
                "service=ExecutionService,le=inf": 100,
            },
            "flowmesh_http_requests_total": {"status=200": 7_200, "status=404": 36},
            "flowmesh_worker_attempts_total": {
                "namespace=n,worker=a,outcome=completed": 6,
                "namespace=n,worker=a,outcome=failed": 2,
                "namespace=n,worker=b,outcome=completed": 9,
            },
            "flowmesh_worker_attempt_seconds_sum": {"namespace=n,worker=a": 4},
            "flowmesh_worker_attempt_seconds_bucket": {
                "namespace=n,worker=a,le=1": 100,
                "namespace=n,worker=a,le=inf": 100,
            },
            "messages_published_total": {"namespace=n,queue=q": 5},
            "messages_failed_total": {"namespace=n,queue=q": 1},
            "flowmesh_app_requests_total": {"namespace=n,app=shop,outcome=failed": 2},
        },
    )
    kept = pb.CallRecord(service="gateway", at_us=at_us, duration_ms=40, code="UNAVAILABLE")
    later = pb.CallRecord(service="gateway", at_us=span.until_us, duration_ms=1, code="OK")
    request.calls.extend([kept, later])
    await signals.write(request)
    found = await ServiceMap(store=signals, sums=Sums(signals)).of(span)
    nodes = {each.service: each for each in found.services}
    assert list(nodes) == ["gateway", "ExecutionService"]
    assert nodes["gateway"].calls == pytest.approx(2.01)
    assert nodes["gateway"].errors == pytest.approx(0.01)
    assert nodes["ExecutionService"].calls == pytest.approx(1.1)
    assert nodes["ExecutionService"].errors == pytest.approx(0.1)
    assert nodes["ExecutionService"].p95_ms == pytest.approx(195)
    calls = [
        (each.caller, each.service, each.calls, each.errors, each.mean_ms, each.p95_ms)
        for each in found.calls
    ]
    assert calls == [
        ("", "gateway", 1, 1, 40, 40),
        ("orchestrator", "b", 9, 0, 0, 0),
        ("orchestrator", "a", 8, 2, 500, 950),
        ("broker", "q", 5, 0, 0, 0),
        ("q", "consumers", 0, 1, 0, 0),
        ("", "shop", 2, 2, 0, 0),
    ]
    assert not found.truncated


async def test_a_map_has_5000_kept_calls(signals: SignalStore, span: Range) -> None:
    """With as many or more, others may be left out."""
    question = ServiceMap(store=signals, sums=Sums(signals))

    async def keep(count: int) -> None:
        request = pb.RecordSignalsRequest(instance_id="i")
        for _ in range(count):
            request.calls.add(service="gateway", at_us=span.from_us, duration_ms=1, code="OK")
        await signals.write(request)

    await keep(4_999)
    assert not (await question.of(span)).truncated
    for _ in range(2):
        await keep(1)
        found = await question.of(span)
        assert found.truncated
        assert [each.calls for each in found.calls] == [5_000]
