"""Large inputs and outputs: a value above 256 KiB is stored and sent as a reference."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Protocol

import grpc

from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.execution.v1.execution_service_pb2 import (
    GetPayloadRequest,
    GetPayloadResponse,
    PutPayloadRequest,
    PutPayloadResponse,
)
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.errors import FlowmeshError
from flowmesh.executors.failures import NETWORK, TaskFailure, invalid
from flowmesh.worker import limits


class PayloadCalls(Protocol):
    """The calls of PayloadService."""

    async def PutPayload(
        self, requests: AsyncIterator[PutPayloadRequest]
    ) -> PutPayloadResponse: ...

    def GetPayload(self, request: GetPayloadRequest) -> AsyncIterator[GetPayloadResponse]: ...


class Payloads:
    """Reads and stores values."""

    def __init__(self, calls: PayloadCalls) -> None:
        self._calls = calls

    async def read(self, namespace: str, payload: Payload) -> bytes:
        """Return the bytes of a payload; fetch them if it is a reference."""
        if not payload.HasField("reference"):
            return payload.data
        try:
            return await self._fetch(namespace, payload.reference.digest)
        except (grpc.RpcError, FlowmeshError) as error:
            raise TaskFailure(NETWORK, "the task's stored input could not be read") from error

    async def write(self, namespace: str, data: bytes) -> Payload:
        """Return a payload of these bytes; store them first if they are too large to be sent
        inline.
        """
        if len(data) <= INLINE_BYTES_MAX:
            return Payload(data=data)
        if len(data) > limits.STORED_PAYLOAD_BYTES_MAX:
            limit = limits.STORED_PAYLOAD_BYTES_MAX
            raise invalid(f"the output has {len(data)} bytes, the limit is {limit}")
        for tries in range(1, limits.PAYLOAD_TRIES + 1):
            try:
                answer = await self._calls.PutPayload(_chunks(namespace, data))
                return answer.payload
            except (grpc.RpcError, FlowmeshError) as error:
                if tries == limits.PAYLOAD_TRIES:
                    raise TaskFailure(NETWORK, "the output could not be stored") from error
                await asyncio.sleep(limits.PAYLOAD_RETRY_MS * tries / 1000)
        raise AssertionError("the loop returns or raises")

    async def _fetch(self, namespace: str, digest: str) -> bytes:
        request = GetPayloadRequest(namespace=namespace, digest=digest)
        parts: list[bytes] = []
        size = 0
        async for response in self._calls.GetPayload(request):
            size += len(response.chunk)
            if size > limits.STORED_PAYLOAD_BYTES_MAX:
                raise invalid("the task's stored input is over the limit")
            parts.append(response.chunk)
        data = b"".join(parts)
        if hashlib.sha256(data).hexdigest() != digest:
            raise TaskFailure(NETWORK, "the task's stored input arrived damaged")
        return data


async def _chunks(namespace: str, data: bytes) -> AsyncIterator[PutPayloadRequest]:
    for start in range(0, len(data), limits.CHUNK_BYTES):
        chunk = data[start : start + limits.CHUNK_BYTES]
        if start == 0:
            yield PutPayloadRequest(namespace=namespace, chunk=chunk)
        else:
            yield PutPayloadRequest(chunk=chunk)
