"""Values to payloads and back: JSON inline, and by reference above 256 KiB.

The only place of the SDK that knows how a value is encoded.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec
import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.errors import Invalid, TooLarge
from flowmesh.jsontext import exact, not_unicode
from flowmesh.sdk import limits
from flowmesh.sdk.calls import Caller

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict with string keys."""

JSON_ENCODING = "application/json"


def encode(value: Json) -> bytes:
    """`value` as JSON; dataclasses, enums, dates and pydantic models are understood too."""
    try:
        return _encoded(value)
    except (orjson.JSONEncodeError, RecursionError, ValueError) as error:
        place = not_unicode(value, "value")
        why = f"{place} is not Unicode, it has half of a surrogate pair" if place else error
        raise Invalid("JSON_INVALID", f"the value cannot be written as JSON: {why}") from error


def _encoded(value: Json) -> bytes:
    try:
        return orjson.dumps(value, default=_plain)
    except orjson.JSONEncodeError as error:
        if "64-bit" not in str(error):
            raise
        return orjson.dumps(exact(value), default=_plain)


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def decode_bytes(data: bytes) -> Json:
    """A JSON value; integers are what they are, however large."""
    return msgspec.json.decode(data) if data else None


def decode_inline(payload: payload_pb2.Payload) -> Json:
    """The value of a payload that is not a reference; text and bytes as they are."""
    data = payload.data
    if not data:
        return None
    encoding = payload.encoding
    if not encoding or encoding == JSON_ENCODING:
        return decode_bytes(data)
    return _foreign(encoding, data)


def _foreign(encoding: str, data: bytes) -> Json:
    if encoding.startswith("text/") or encoding.endswith("xml"):
        return data.decode("utf-8", "replace")
    if "json" in encoding:
        return decode_bytes(data)
    return data


def payload_inline(data: bytes, field: str) -> payload_pb2.Payload:
    if len(data) > limits.INLINE_BYTES_MAX:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"{field} has {len(data)} bytes; inline values are limited to"
            f" {limits.INLINE_BYTES_MAX}, larger ones are stored first",
        )
    return payload_pb2.Payload(data=data)


class Payloads(Protocol):
    """Values of any size, wherever the large ones are kept."""

    async def pack(self, value: Json) -> payload_pb2.Payload: ...
    async def put(self, data: bytes, encoding: str = "") -> payload_pb2.Payload: ...
    async def unpack(self, payload: payload_pb2.Payload) -> Json: ...


class PayloadStore:
    """Reads and writes values of any size; large ones through PayloadService."""

    def __init__(self, caller: Caller, namespace: str) -> None:
        self._caller = caller
        self._namespace = namespace
        self._stub = rpc.PayloadServiceStub(caller.channel)

    async def pack(self, value: Json) -> payload_pb2.Payload:
        data = encode(value)
        if len(data) <= limits.INLINE_BYTES_MAX:
            return payload_pb2.Payload(data=data)
        return await self.put(data)

    async def unpack(self, payload: payload_pb2.Payload) -> Json:
        if not payload.HasField("reference"):
            return decode_inline(payload)
        return await self.fetch(payload.reference.digest)

    async def fetch(self, digest: str) -> Json:
        encoding, data = await self.get(digest)
        return decode_inline(payload_pb2.Payload(encoding=encoding, data=data))

    async def put(self, data: bytes, encoding: str = "") -> payload_pb2.Payload:
        if len(data) > limits.STORED_BYTES_MAX:
            raise TooLarge(
                "PAYLOAD_TOO_LARGE",
                f"the value has {len(data)} bytes; stored values are limited to"
                f" {limits.STORED_BYTES_MAX}",
            )

        async def put_once() -> pb.PutPayloadResponse:
            response: pb.PutPayloadResponse = await self._stub.PutPayload(
                self._chunks(data, encoding), timeout=limits.RETRY_BUDGET_S
            )
            return response

        response = await self._caller.retried(put_once)
        return response.payload

    async def get(self, digest: str) -> tuple[str, bytes]:
        async def get_once() -> tuple[str, bytes]:
            encoding, chunks = "", []
            request = pb.GetPayloadRequest(namespace=self._namespace, digest=digest)
            async for message in self._stub.GetPayload(request, timeout=limits.RETRY_BUDGET_S):
                encoding = encoding or message.encoding
                chunks.append(message.chunk)
            return encoding, b"".join(chunks)

        return await self._caller.retried(get_once)

    async def _chunks(self, data: bytes, encoding: str) -> AsyncIterator[pb.PutPayloadRequest]:
        step = limits.CHUNK_BYTES
        for start in range(0, len(data), step):
            yield pb.PutPayloadRequest(
                namespace=self._namespace if start == 0 else "",
                encoding=encoding if start == 0 else "",
                chunk=data[start : start + step],
            )
