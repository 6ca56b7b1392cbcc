"""Calls about executions of another project, and the values that travel with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

import grpc.aio

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import (
    ExecutionServiceStub,
    PayloadServiceStub,
)
from flowmesh.api.identity.v1.secret_service_pb2 import SecretRef
from flowmesh.errors import Misdirected, Overloaded, Timeout, Unavailable
from flowmesh.expressions.secrets import SCHEME, split_key
from flowmesh.orchestrator.outward.routes import Routes
from flowmesh.orchestrator.storage.payloads import Payloads

TRANSIENT = (Unavailable, Overloaded, Timeout, Misdirected)
"""Failures after which a call is repeated; the directory of a gateway may be old for a time."""

CALL_TIMEOUT_S = 10.0
CHUNK_BYTES = 1024 * 1024

Answer = TypeVar("Answer")
Metadata = tuple[tuple[str, str], ...]
MakeCall = Callable[[grpc.aio.Channel, Metadata], Awaitable[Answer]]


class ProjectCalls(Protocol):
    """The part of `flowmesh.runtime.projects.calls.ProjectCalls` that messages use."""

    async def call(self, source: str, key: str | SecretRef, make: MakeCall[Answer]) -> Answer: ...


class NoGateway:
    """The calls of an orchestrator without a gateway: none is answered."""

    async def call(self, source: str, key: str | SecretRef, make: MakeCall[Answer]) -> Answer:
        raise Unavailable("SERVICE_UNAVAILABLE", "no gateway service is available")


NO_GATEWAY = NoGateway()


class Project:
    """The executions of another project, as an execution of this one may call them."""

    def __init__(
        self,
        *,
        calls: ProjectCalls,
        routes: Routes,
        payloads: Payloads,
        source: str,
        at: pb.OtherProject,
    ) -> None:
        self._calls = calls
        self._payloads = payloads
        self._source = source
        self._namespace = at.namespace
        self._key = _key(at.credential)
        self.route = routes.of(source, at.namespace)

    async def start(self, given: pb.StartExecutionRequest) -> execution_pb2.Execution:
        """Start a child, or return the execution that the first try started."""
        request = pb.StartExecutionRequest(
            namespace=self._namespace,
            workflow_id=given.workflow_id,
            version=given.version,
            version_label=given.version_label,
            input=await self._sent(given.input),
            request_id=given.request_id,
        )

        async def start(channel: grpc.aio.Channel, metadata: Metadata) -> pb.StartExecutionResponse:
            stub = ExecutionServiceStub(channel)
            return await stub.StartExecution(request, timeout=CALL_TIMEOUT_S, metadata=metadata)

        return await self.execution((await self._call(start)).execution_id)

    async def execution(self, execution_id: str) -> execution_pb2.Execution:
        """Return an execution."""
        request = pb.GetExecutionRequest(namespace=self._namespace, execution_id=execution_id)

        async def get(channel: grpc.aio.Channel, metadata: Metadata) -> pb.GetExecutionResponse:
            stub = ExecutionServiceStub(channel)
            return await stub.GetExecution(request, timeout=CALL_TIMEOUT_S, metadata=metadata)

        return (await self._call(get)).execution

    async def ended(self, execution_id: str, timeout_ms: int) -> execution_pb2.Execution | None:
        """Wait for the end of the last run of an execution; None if it runs on."""
        request = pb.WaitExecutionRequest(
            namespace=self._namespace,
            execution_id=execution_id,
            timeout_ms=timeout_ms,
            without_nodes=True,
        )
        timeout_s = timeout_ms / 1000 + CALL_TIMEOUT_S

        async def wait(channel: grpc.aio.Channel, metadata: Metadata) -> pb.WaitExecutionResponse:
            stub = ExecutionServiceStub(channel)
            return await stub.WaitExecution(request, timeout=timeout_s, metadata=metadata)

        found = await self._call(wait, waits=True)
        if not found.ended:
            return None
        execution = found.execution
        if execution.HasField("output"):
            execution.output.CopyFrom(await self._received(execution.output))
        return execution

    async def stop(self, execution_id: str, by: str, reason: str, *, terminate: bool) -> None:
        """Cancel or terminate an execution."""
        namespace, request_id = self._namespace, f"{by}/stop"
        cancel = pb.CancelExecutionRequest(
            namespace=namespace, execution_id=execution_id, reason=reason, request_id=request_id
        )
        end = pb.TerminateExecutionRequest(
            namespace=namespace, execution_id=execution_id, reason=reason, request_id=request_id
        )

        async def stop(channel: grpc.aio.Channel, metadata: Metadata) -> object:
            stub = ExecutionServiceStub(channel)
            if terminate:
                return await stub.TerminateExecution(end, timeout=CALL_TIMEOUT_S, metadata=metadata)
            return await stub.CancelExecution(cancel, timeout=CALL_TIMEOUT_S, metadata=metadata)

        await self._call(stop)

    async def _call(self, make: MakeCall[Answer], *, waits: bool = False) -> Answer:
        async with self.route.taken(waits=waits):
            try:
                return await self._calls.call(self._source, self._key, make)
            except TRANSIENT:
                self.route.pause()
                raise

    async def _sent(self, value: payload_pb2.Payload) -> payload_pb2.Payload:
        """Return a value as the other project has it: a stored one is copied."""
        if not value.HasField("reference"):
            return value
        data = await self._payloads.content(self._source, value)

        async def chunks() -> AsyncIterator[pb.PutPayloadRequest]:
            for start in range(0, len(data), CHUNK_BYTES):
                chunk = data[start : start + CHUNK_BYTES]
                yield pb.PutPayloadRequest(
                    namespace=self._namespace, encoding=value.encoding, chunk=chunk
                )

        async def put(channel: grpc.aio.Channel, metadata: Metadata) -> pb.PutPayloadResponse:
            stub = PayloadServiceStub(channel)
            return await stub.PutPayload(chunks(), timeout=CALL_TIMEOUT_S, metadata=metadata)

        return (await self._call(put)).payload

    async def _received(self, value: payload_pb2.Payload) -> payload_pb2.Payload:
        """Return a value of the other project as this one has it."""
        if not value.HasField("reference"):
            return value
        request = pb.GetPayloadRequest(namespace=self._namespace, digest=value.reference.digest)

        async def get(channel: grpc.aio.Channel, metadata: Metadata) -> bytes:
            stub = PayloadServiceStub(channel)
            stream = stub.GetPayload(request, timeout=CALL_TIMEOUT_S, metadata=metadata)
            return b"".join([each.chunk async for each in stream])

        return await self._payloads.put(self._source, value.encoding, await self._call(get))


def _key(credential: str) -> str | SecretRef:
    if not credential:
        return ""
    name, version = split_key(credential.removeprefix(SCHEME))
    return SecretRef(name=name, version=version)
