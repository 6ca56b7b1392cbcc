"""The external scaler of KEDA: replicas by the tasks that a queue has, waiting and running."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from flowmesh.api.execution.v1 import limits_service_pb2
from flowmesh.errors import FlowmeshError
from flowmesh.keda import externalscaler_pb2 as pb
from flowmesh.keda import externalscaler_pb2_grpc
from flowmesh.operator.limits import SCALER_STREAM_S
from flowmesh.operator.objects import Objects

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceAsyncStub

METRIC = "tasks"
TARGET = 5
"""Tasks for each replica, unless the trigger names `tasksPerReplica`."""
KEYS = ("queue", "taskType", "tasksPerReplica")
# Members of the trigger that KEDA reads itself, and may pass on.
OF_KEDA = frozenset(
    {"scalerAddress", "tlsCertFile", "caCert", "tlsClientCert", "tlsClientKey", "enableTLS"}
    | {"unsafeSsl"}
)


class Scaler(externalscaler_pb2_grpc.ExternalScalerServicer):
    """Answers KEDA from the queues of all engines."""

    def __init__(self, *, limits: "LimitServiceAsyncStub", objects: Objects) -> None:
        self._limits = limits
        self._objects = objects

    async def IsActive(self, request: pb.ScaledObjectRef, context: Any) -> pb.IsActiveResponse:
        return pb.IsActiveResponse(result=await self._tasks(request, context) > 0)

    async def StreamIsActive(
        self, request: pb.ScaledObjectRef, context: Any
    ) -> AsyncIterator[pb.IsActiveResponse]:
        told: bool | None = None
        while True:
            active = await self._tasks(request, context) > 0
            if active is not told:
                told = active
                yield pb.IsActiveResponse(result=active)
            await asyncio.sleep(SCALER_STREAM_S)

    async def GetMetricSpec(
        self, request: pb.ScaledObjectRef, context: Any
    ) -> pb.GetMetricSpecResponse:
        target = await _target(request, context)
        spec = pb.MetricSpec(metricName=METRIC, targetSize=target, targetSizeFloat=target)
        return pb.GetMetricSpecResponse(metricSpecs=[spec])

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: Any
    ) -> pb.GetMetricsResponse:
        tasks = await self._tasks(request.scaledObjectRef, context)
        value = pb.MetricValue(metricName=METRIC, metricValue=tasks, metricValueFloat=tasks)
        return pb.GetMetricsResponse(metricValues=[value])

    async def _tasks(self, request: pb.ScaledObjectRef, context: Any) -> int:
        """Return the tasks of a queue; UNAVAILABLE unless all engines answer.

        A part of them would remove replicas; KEDA keeps the number on an error.
        """
        await _target(request, context)
        wanted = request.scalerMetadata
        namespace = self._objects.suite_namespace(request.namespace)
        try:
            answer = await self._limits.ListQueues(
                limits_service_pb2.ListQueuesRequest(namespace=namespace)
            )
        except FlowmeshError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, error.message)
        if answer.unreachable:
            text = f"engines do not answer: {', '.join(answer.unreachable)}"
            await context.abort(grpc.StatusCode.UNAVAILABLE, text)
        return sum(
            each.ready + each.running
            for each in answer.queues
            if each.queue == wanted["queue"]
            and each.task_type == (wanted.get("taskType") or each.task_type)
        )


async def _target(request: pb.ScaledObjectRef, context: Any) -> int:
    """Return the tasks for each replica; INVALID_ARGUMENT for metadata that are not understood."""
    metadata = request.scalerMetadata
    text = metadata.get("tasksPerReplica") or str(TARGET)
    problem = ""
    if unknown := sorted(metadata.keys() - set(KEYS) - OF_KEDA):
        problem = f"{unknown[0]} is not one of {', '.join(KEYS)}"
    elif "queue" not in metadata:
        problem = "queue is missing: the queue whose tasks are counted"
    elif not re.fullmatch("[1-9][0-9]{0,7}", text):
        problem = f"tasksPerReplica {text[:20]!r} is no number above 0"
    if problem:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, problem)
    return int(text)


class ScalerServer:
    """The gRPC server of the scaler, on a port of its own: KEDA has no credential of a suite."""

    def __init__(self, scaler: Scaler, *, host: str, port: int) -> None:
        self._server = grpc.aio.server()
        externalscaler_pb2_grpc.add_ExternalScalerServicer_to_server(scaler, self._server)
        self._server.add_insecure_port(f"{host}:{port}")

    async def start(self) -> None:
        await self._server.start()

    async def close(self) -> None:
        await self._server.stop(1.0)
