"""The scaler of KEDA over gRPC: tasks of a queue, and refusals."""

from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from flowmesh.api.execution.v1 import limits_service_pb2 as limits
from flowmesh.embedded.ports import free_port
from flowmesh.errors import Unavailable
from flowmesh.keda import externalscaler_pb2 as pb
from flowmesh.keda.externalscaler_pb2_grpc import ExternalScalerStub
from flowmesh.operator import scaler
from flowmesh.operator.kinds import NAMESPACE
from flowmesh.operator.objects import Objects
from flowmesh.operator.scaler import METRIC, Scaler, ScalerServer
from tests.stubs import Stub

HOST = "127.0.0.1"


def queue(name: str, task_type: str, ready: int, running: int = 0) -> limits.QueueStats:
    return limits.QueueStats(queue=name, task_type=task_type, ready=ready, running=running)


QUEUES = limits.ListQueuesResponse(
    queues=[
        queue("parcels", "pack", 3, 4),
        queue("parcels", "ship", 10),
        queue("letters", "pack", 100),
    ]
)


class Served:
    """A running scaler, its client, and the engines behind it."""

    def __init__(self, address: str) -> None:
        self.engines = Stub(ListQueues=QUEUES)
        self.objects = Objects()
        self.channel = grpc.aio.insecure_channel(address)
        self.keda: Any = ExternalScalerStub(self.channel)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    port = free_port()
    found = Served(f"{HOST}:{port}")
    servicer = Scaler(limits=cast("Any", found.engines), objects=found.objects)
    server = ScalerServer(servicer, host=HOST, port=port)
    await server.start()
    yield found
    await found.channel.close()
    await server.close()


def scaled(**metadata: str) -> pb.ScaledObjectRef:
    return pb.ScaledObjectRef(name="packers", namespace="shop", scalerMetadata=metadata)


@pytest.mark.parametrize(
    ("metadata", "tasks"),
    [
        ({"queue": "parcels"}, 17),
        ({"queue": "parcels", "taskType": "pack"}, 7),
        ({"queue": "none"}, 0),
        ({"queue": "letters", "scalerAddress": "x:1"}, 100),
    ],
)
async def test_the_metric_is_the_tasks_of_a_queue(
    served: Served, metadata: dict[str, str], tasks: int
) -> None:
    """Waiting and running, in the namespace of the suite; without any it is not active."""
    served.objects.put_namespace("shop", {"annotations": {NAMESPACE: "labs"}}, ending=False)
    request = pb.GetMetricsRequest(scaledObjectRef=scaled(**metadata), metricName=METRIC)
    (value,) = (await served.keda.GetMetrics(request)).metricValues
    assert (value.metricName, value.metricValue, value.metricValueFloat) == (METRIC, tasks, tasks)
    assert served.engines.last("ListQueues").namespace == "labs"
    assert (await served.keda.IsActive(scaled(**metadata))).result is (tasks > 0)


@pytest.mark.parametrize(("text", "target"), [({}, 5), ({"tasksPerReplica": "20"}, 20)])
async def test_the_target_is_that_of_the_trigger(
    served: Served, text: dict[str, str], target: int
) -> None:
    """Or five tasks for each replica."""
    answer = await served.keda.GetMetricSpec(scaled(queue="parcels", **text))
    (spec,) = answer.metricSpecs
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == (METRIC, target, target)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "queue is missing"),
        ({"queue": "q", "tasks": "5"}, "tasks is not one of queue, taskType, tasksPerReplica"),
        ({"queue": "q", "tasksPerReplica": "0"}, "'0' is no number above 0"),
        ({"queue": "q", "tasksPerReplica": "5.5"}, "'5.5' is no number above 0"),
    ],
)
async def test_a_trigger_that_is_not_understood_is_refused(
    served: Served, metadata: dict[str, str], said: str
) -> None:
    """By each call, before the engines are asked."""
    for call in (served.keda.IsActive, served.keda.GetMetricSpec):
        with pytest.raises(grpc.aio.AioRpcError, match=said) as refused:
            await call(scaled(**metadata))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not served.engines.calls


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Unavailable("SERVICE_UNAVAILABLE", "no engine"), "no engine"),
        (limits.ListQueuesResponse(unreachable=["e2", "e3"]), "engines do not answer: e2, e3"),
    ],
)
async def test_a_part_of_the_engines_is_no_answer(served: Served, answer: Any, said: str) -> None:
    """It would remove replicas."""
    served.engines.answers["ListQueues"] = answer
    with pytest.raises(grpc.aio.AioRpcError, match=said) as refused:
        await served.keda.IsActive(scaled(queue="parcels"))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_stream_tells_changes_only(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first answer on."""
    monkeypatch.setattr(scaler, "SCALER_STREAM_S", 0.0)
    none = limits.ListQueuesResponse()
    served.engines.answers["ListQueues"] = [QUEUES, QUEUES, none, none, QUEUES]
    stream = served.keda.StreamIsActive(scaled(queue="parcels"))
    assert [(await stream.read()).result for _ in range(3)] == [True, False, True]
    stream.cancel()
