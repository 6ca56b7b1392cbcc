"""The client: registers workflows, starts executions, finds them again. Talks gRPC only."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import orjson

from flowmesh import errors
from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as definition_rpc
from flowmesh.api.event.v1 import event_service_pb2_grpc as event_rpc
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.sdk import limits
from flowmesh.sdk.calls import Caller
from flowmesh.sdk.executions import Execution, StoredValue, execution_of
from flowmesh.sdk.handle import Handle
from flowmesh.sdk.payloads import Json, PayloadStore, decode_bytes
from flowmesh.sdk.session import Session, new_request_id


@runtime_checkable
class Compilable(Protocol):
    """Anything that writes itself as a definition: the Workflow builder."""

    def source(self) -> bytes: ...


Definition = dict[str, Any] | str | bytes | Compilable
"""A definition as JSON object, as YAML or JSON text, or built in code."""


class Client:
    """`async with Client("127.0.0.1:7450") as client: ...`; one channel for its whole life."""

    def __init__(
        self,
        address: str = limits.DEFAULT_ADDRESS,
        namespace: str = limits.DEFAULT_NAMESPACE,
        *,
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        self.address = address
        self.namespace = namespace
        self.new_id = new_id
        self.caller = Caller(address)
        self.payloads = PayloadStore(self.caller, namespace)
        self.executions = rpc.ExecutionServiceStub(self.caller.channel)
        self.definitions = definition_rpc.DefinitionServiceStub(self.caller.channel)
        self.event_service = event_rpc.EventServiceStub(self.caller.channel)

    @classmethod
    async def connect(
        cls,
        address: str = limits.DEFAULT_ADDRESS,
        namespace: str = limits.DEFAULT_NAMESPACE,
        *,
        timeout: float = limits.CONNECT_TIMEOUT_S,
    ) -> Self:
        """A client whose server answers; Unavailable if it does not within `timeout` seconds."""
        client = cls(address, namespace)
        try:
            async with asyncio.timeout(timeout):
                await client.caller.channel.channel_ready()
        except TimeoutError as error:
            await client.close()
            raise errors.Unavailable(
                "SERVICE_UNAVAILABLE",
                f"nothing answers at {address} within {timeout:g} s; is the suite running?"
                " `flowmesh dev` starts it",
            ) from error
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.caller.close()

    def session(self) -> Session:
        """One stream for many starts and their results."""
        return Session(
            caller=self.caller,
            payloads=self.payloads,
            namespace=self.namespace,
            new_id=self.new_id,
        )

    # Executions -----------------------------------------------------------------------------

    async def start(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: int = 0,
        wait: float = 0,
    ) -> Handle:
        """Starts one execution; it survives any crash once this returns.

        Again with the same `request_id` answers the same execution. With `wait` (seconds) the
        call itself waits for the end, at most so long; the handle then knows the result.
        """
        wait_ms = int(wait * 1000)
        request = pb.StartExecutionRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            version=version,
            input=await self.payloads.pack(input),
            request_id=request_id or self.new_id(),
            wait_ms=wait_ms,
        )
        response = await self.caller.call(
            self.executions.StartExecution, request, timeout_s=wait + limits.CALL_TIMEOUT_S
        )
        return Handle(
            self,
            response.execution_id,
            created=response.created,
            ended=response if response.HasField("execution") else None,
        )

    async def run(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: int = 0,
        timeout: float = 30.0,
    ) -> Json:
        """Starts, waits for the end and returns the output; ExecutionFailed if it failed."""
        handle = await self.start(
            workflow_id, input, request_id=request_id, version=version, wait=timeout
        )
        return await handle.result(timeout=0.001)

    def handle(self, execution_id: str) -> Handle:
        """An execution that was started elsewhere; asks nothing yet."""
        return Handle(self, execution_id)

    async def get_execution(self, execution_id: str) -> Execution:
        request = pb.GetExecutionRequest(namespace=self.namespace, execution_id=execution_id)
        response = await self.caller.call(self.executions.GetExecution, request)
        return execution_of(response.execution)

    async def fetch(self, value: StoredValue) -> Json:
        """The value behind a reference."""
        encoding, data = await self.payloads.get(value.digest)
        return decode_bytes(data) if not encoding else data

    # Definitions ----------------------------------------------------------------------------

    async def register(
        self, definition: Definition, *, request_id: str = ""
    ) -> definition_pb.RegisterWorkflowResponse:
        source, content_type = source_of(definition)
        request = definition_pb.RegisterWorkflowRequest(
            namespace=self.namespace,
            source=source,
            content_type=content_type,
            request_id=request_id or self.new_id(),
        )
        return await self.caller.call(self.definitions.RegisterWorkflow, request)

    async def apply(
        self, definition: Definition, *, request_id: str = ""
    ) -> definition_pb.ApplyResponse:
        source, content_type = source_of(definition)
        request = definition_pb.ApplyRequest(
            namespace=self.namespace,
            source=source,
            content_type=content_type,
            request_id=request_id or self.new_id(),
        )
        return await self.caller.call(self.definitions.Apply, request)


def source_of(definition: Definition) -> tuple[bytes, str]:
    """The definition as text, and its media type."""
    if isinstance(definition, dict):
        return orjson.dumps(definition), "application/json"
    if isinstance(definition, bytes):
        return definition, ""
    if isinstance(definition, str):
        return definition.encode(), ""
    return definition.source(), "application/yaml"
