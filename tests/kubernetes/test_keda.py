"""The external scaler, asked as KEDA does, and a Deployment that follows it."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_port
from flowmesh.keda import externalscaler_pb2 as pb
from flowmesh.keda.externalscaler_pb2_grpc import ExternalScalerStub
from flowmesh.sdk import Worker
from flowmesh.testing.polling import until
from tests.kubernetes.conftest import Place, start_operator
from tests.kubernetes.test_operator import task, workflow

pytestmark = pytest.mark.kubernetes


@pytest.fixture
async def scaler(place: Place, tmp_path: Path) -> AsyncIterator[Any]:
    """A client of the scaler of an operator that follows the first one."""
    port = free_port()
    operator = await start_operator(
        place.cluster, place.suite, tmp_path, FLOWMESH_SCALER_PORT=str(port)
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            async with asyncio.timeout(30):
                await channel.channel_ready()
            yield ExternalScalerStub(channel)
    finally:
        operator.kill()


def reference(namespace: str, **metadata: str) -> pb.ScaledObjectRef:
    return pb.ScaledObjectRef(name="video", namespace=namespace, scalerMetadata=metadata)


async def scale(place: Place, scaler: Any, found: pb.ScaledObjectRef) -> int:
    """Scale the Deployment as KEDA and its autoscaler do; return the number of its pods."""
    active = (await scaler.IsActive(found)).result
    (spec,) = (await scaler.GetMetricSpec(found)).metricSpecs
    wanted = pb.GetMetricsRequest(scaledObjectRef=found, metricName=spec.metricName)
    (value,) = (await scaler.GetMetrics(wanted)).metricValues
    replicas = math.ceil(value.metricValueFloat / spec.targetSizeFloat) if active else 0
    namespace = ("-n", found.namespace)
    await place.kubectl("scale", "deployment", "video", f"--replicas={replicas}", *namespace)
    pods = await place.kubectl("get", "pods", "-l", "app=video", "-o", "name", *namespace)
    return len(pods.split())


@pytest.mark.feature("S1-166")
async def test_load_on_a_queue_changes_the_replicas(
    place: Place, namespace: str, scaler: Any
) -> None:
    """Waiting tasks add pods, five for each by the trigger; without tasks there are none."""
    await place.kubectl("create", "deployment", "video", "--image=video", "-n", namespace)
    film = workflow("film", {"id": "cut", "taskRef": "cut", "queue": "video"})
    await place.apply(namespace, task("cut"), film)
    await place.until_ready(namespace, "workflow", "film")
    found = reference(namespace, queue="video", tasksPerReplica="5")
    stream = scaler.StreamIsActive(found)
    assert not (await stream.read()).result
    headers = {"Flowmesh-Namespace": namespace}
    for _ in range(12):
        answer = await place.suite.request(
            "POST", "/api/v1/workflows/film/start", {"input": {}}, headers=headers
        )
        assert answer.status < 300, answer.text
    async with asyncio.timeout(20):
        assert (await stream.read()).result, "KEDA is told without asking"

    async def has(pods: int) -> bool:
        return await scale(place, scaler, found) == pods

    await until("three pods", lambda: has(3), within_s=30, poll_s=0.3)

    async def cut(_task: Any) -> Json:
        return {}

    worker = Worker(
        place.suite.grpc_address, {"type-of-cut": cut}, queues=["video"], namespace=namespace
    )
    async with worker:
        await until("no pod", lambda: has(0), within_s=60, poll_s=0.3)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "queue is missing"),
        ({"queue": "video", "tasksPerReplica": "0"}, "no number above 0"),
        ({"queue": "video", "depth": "5"}, "depth is not one of queue"),
    ],
)
async def test_wrong_metadata_are_named(
    namespace: str, scaler: Any, metadata: dict[str, str], said: str
) -> None:
    """KEDA shows the answer as a condition of the ScaledObject."""
    with pytest.raises(grpc.aio.AioRpcError, match=said) as refused:
        await scaler.IsActive(reference(namespace, **metadata))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
