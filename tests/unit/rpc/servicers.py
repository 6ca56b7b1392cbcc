"""Small servicers that answer, refuse, fail and stream, to call by socket and in process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.registry.v1 import registry_service_pb2 as registry
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as registry_grpc
from flowmesh.errors import NotFound, Violation
from flowmesh.rpc import EOF
from flowmesh.telemetry import current_traceparent

SECRET = "the password is hunter2"
STORAGE_FAULTS: Mapping[str, Exception] = {
    "database-refuses": ConnectionRefusedError(SECRET),
    "database-starts": asyncpg.CannotConnectNowError(SECRET),
    "no-primary": asyncpg.TargetServerAttributeNotMatched(SECRET),
}


class Registry(registry_grpc.RegistryServiceServicer):
    """Unary calls and a stream of responses; the id or name asked for picks what happens."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.traces: list[str] = []
        self.seconds_left: list[float | None] = []
        self.metadata: list[dict[str, str | bytes]] = []

    async def GetInstance(
        self, request: registry.GetInstanceRequest, context: Any
    ) -> registry.GetInstanceResponse:
        self.traces.append(current_traceparent())
        self.seconds_left.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))
        if request.id == "absent":
            violation = Violation("id", "no such instance", "INSTANCE_NOT_FOUND", 3, 7, "#/a/b")
            raise NotFound(
                "INSTANCE_NOT_FOUND", "no 'absent'", violations=(violation,), retry_after_ms=250
            )
        if request.id == "broken":
            raise ValueError(SECRET)
        if request.id in STORAGE_FAULTS:
            raise STORAGE_FAULTS[request.id]
        if request.id == "slow":
            await self._until_cancelled()
        return registry.GetInstanceResponse(instance=registry.Instance(id=request.id))

    async def WatchInstances(
        self, request: registry.WatchInstancesRequest, context: Any
    ) -> AsyncIterator[registry.WatchInstancesResponse]:
        for number in range(3):
            instance = registry.Instance(id=str(number))
            yield registry.WatchInstancesResponse(instances=[instance])
        if request.name == "absent":
            raise NotFound("INSTANCE_NOT_FOUND", "gone")
        if request.name == "broken":
            raise ValueError(SECRET)
        if request.name == "endless":
            await self._until_cancelled()

    async def _until_cancelled(self) -> None:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


class Execution(execution_grpc.ExecutionServiceServicer):
    """A stream both ways that answers each message with its count of starts."""

    async def Session(
        self, requests: AsyncIterator[execution.SessionRequest], context: Any
    ) -> AsyncIterator[execution.SessionResponse]:
        async for request in requests:
            if len(request.starts) > 2:
                raise NotFound("WORKFLOW_NOT_FOUND", "too many")
            started = [execution.SessionStarted()] * len(request.starts)
            yield execution.SessionResponse(started=started)


class Payload(execution_grpc.PayloadServiceServicer):
    """A stream of requests with one response: the chunks, joined."""

    async def PutPayload(
        self, requests: AsyncIterator[execution.PutPayloadRequest], context: Any
    ) -> execution.PutPayloadResponse:
        data = b"".join([request.chunk async for request in requests])
        return execution.PutPayloadResponse(payload=payload_pb2.Payload(data=data))


class CoroutineRegistry(Registry):
    """The same, with a coroutine that writes its responses to the context."""

    async def WatchInstances(self, request: Any, context: Any) -> None:  # type: ignore[override]
        async for response in super().WatchInstances(request, context):
            await context.write(response)


class CoroutineExecution(Execution):
    """The same, with a coroutine that reads and writes through the context."""

    async def Session(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        async for response in super().Session(_read(context), context):
            await context.write(response)


class CoroutinePayload(Payload):
    """The same, reading the requests through the context."""

    async def PutPayload(self, requests: Any, context: Any) -> execution.PutPayloadResponse:
        return await super().PutPayload(_read(context), context)


async def _read(context: Any) -> AsyncIterator[Any]:
    while (request := await context.read()) is not EOF:
        yield request
