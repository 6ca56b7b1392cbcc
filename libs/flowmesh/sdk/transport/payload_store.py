"""Storage of values of any size: large ones go through PayloadService."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeVar

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, TooLarge
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import UNSET, decode_bytes, decode_inline, encode, is_json
from flowmesh.sdk.values.sealing import Codec
from flowmesh.views.masking import payloads_in

T = TypeVar("T")


class Payloads(ABC):
    """Values as payloads, of any size: large ones are stored. A codec seals and opens them."""

    def __init__(self, codec: Codec | None = None) -> None:
        self._codec = codec

    def encode(self, value: Json) -> bytes:
        """Return the JSON of a value as it leaves this process."""
        return self.sealed(encode(value))

    def sealed(self, data: bytes) -> bytes:
        """Return JSON as it leaves this process."""
        return data if self._codec is None else self._codec.encode(data)

    def decode(self, payload: payload_pb2.Payload) -> Json:
        """Return the value of an inline payload."""
        if self._codec is not None and is_json(payload):
            return decode_bytes(self._codec.decode(payload.data))
        return decode_inline(payload)

    def opened(self, message: T) -> T:
        """Open the inline payloads of a message; those that cannot be opened stay as they are."""
        if self._codec is not None:
            arrived: Any = message
            for each in payloads_in(arrived):
                if is_json(each):
                    with suppress(FlowmeshError):
                        each.data = self._codec.decode(each.data)
        return message

    async def pack(self, value: Json) -> payload_pb2.Payload:
        data = self.encode(value)
        if len(data) <= INLINE_BYTES_MAX:
            return payload_pb2.Payload(data=data)
        return await self.put(data)

    async def pack_given(self, value: Json) -> payload_pb2.Payload | None:
        """Return the payload of a value; None for UNSET."""
        return None if value is UNSET else await self.pack(value)

    async def unpack(self, payload: payload_pb2.Payload) -> Json:
        if not payload.HasField("reference"):
            return self.decode(payload)
        return await self.fetch(payload.reference.digest)

    async def fetch(self, digest: str) -> Json:
        encoding, data = await self.get(digest)
        return self.decode(payload_pb2.Payload(encoding=encoding, data=data))

    @abstractmethod
    async def put(self, data: bytes, encoding: str = "") -> payload_pb2.Payload:
        """Store bytes as they are."""

    @abstractmethod
    async def get(self, digest: str) -> tuple[str, bytes]:
        """Return the encoding and the bytes of a stored value."""


class PayloadStore(Payloads):
    """Reads and writes values of any size; large ones go through PayloadService."""

    def __init__(self, caller: Caller, namespace: str, codec: Codec | None = None) -> None:
        super().__init__(codec)
        self._caller = caller
        self._namespace = namespace
        self._stub = rpc.PayloadServiceStub(caller.channel)

    async def put(self, data: bytes, encoding: str = "") -> payload_pb2.Payload:
        if len(data) > limits.STORED_BYTES_MAX:
            raise TooLarge(
                "PAYLOAD_TOO_LARGE",
                f"the value has {len(data)} bytes; stored values are limited to"
                f" {limits.STORED_BYTES_MAX}",
            )

        async def put_once() -> pb.PutPayloadResponse:
            response: pb.PutPayloadResponse = await self._stub.PutPayload(
                self._chunks(data, encoding), timeout=limits.RETRY_TOTAL_S
            )
            return response

        response = await self._caller.retried(put_once)
        _check_digest(data, response.payload.reference.digest)
        return response.payload

    async def get(self, digest: str) -> tuple[str, bytes]:
        async def get_once() -> tuple[str, bytes]:
            encoding, chunks = "", []
            request = pb.GetPayloadRequest(namespace=self._namespace, digest=digest)
            async for message in self._stub.GetPayload(request, timeout=limits.RETRY_TOTAL_S):
                encoding = encoding or message.encoding
                chunks.append(message.chunk)
            return encoding, b"".join(chunks)

        encoding, data = await self._caller.retried(get_once)
        _check_digest(data, digest)
        return encoding, data

    async def _chunks(self, data: bytes, encoding: str) -> AsyncIterator[pb.PutPayloadRequest]:
        step = limits.CHUNK_BYTES
        for start in range(0, len(data), step):
            yield pb.PutPayloadRequest(
                namespace=self._namespace if start == 0 else "",
                encoding=encoding if start == 0 else "",
                chunk=data[start : start + step],
            )


def _check_digest(data: bytes, digest: str) -> None:
    if hashlib.sha256(data).hexdigest() != digest:
        raise FlowmeshError(
            "PAYLOAD_CORRUPT",
            f"the bytes of the payload {digest[:64]} have another digest; they were changed on the"
            " way or in the store",
        )
