"""What a client of any language sees on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from flowmesh.errors import Invalid, Violation
from flowmesh.rpc import error_of, status_of
from flowmesh.rpc.limits import MESSAGE_BYTES_MAX, STATUS_BYTES_MAX
from flowmesh.rpc.status import DETAILS_KEY
from tests.unit.rpc.conftest import Service

REGISTRY = "/flowmesh.api.registry.v1.RegistryService"
EXECUTION = "/flowmesh.api.execution.v1.ExecutionService"
GARBAGE = b"\xff\xff\xff\xff"

pytestmark = pytest.mark.parametrize("service", ["remote", "forwarded"], indirect=True)


def raw(service: Service) -> Any:
    """A channel that sends bytes as they are."""
    return grpc.aio.insecure_channel(service.address)


async def _failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_bytes_that_are_no_message_are_refused(service: Service) -> None:
    """Garbage is INVALID_ARGUMENT with MESSAGE_MALFORMED, never INTERNAL."""
    async with raw(service) as channel:
        error = await _failure(channel.unary_unary(f"{REGISTRY}/GetInstance")(GARBAGE))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_of(error).reason == "MESSAGE_MALFORMED"


async def test_garbage_in_a_stream_is_refused(service: Service) -> None:
    """The same holds for a message inside a stream, and for a streamed answer's request."""

    async def garbage() -> AsyncIterator[bytes]:
        yield GARBAGE

    async with raw(service) as channel:
        for call in (
            channel.stream_stream(f"{EXECUTION}/Session")(garbage()),
            channel.unary_stream(f"{REGISTRY}/WatchInstances")(GARBAGE),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in call:
                    pass
            assert error_of(caught.value).reason == "MESSAGE_MALFORMED"


async def test_a_refusal_is_a_rich_status(service: Service) -> None:
    """The trailer holds a google.rpc.Status with ErrorInfo of the domain flowmesh."""
    async with raw(service) as channel:
        error = await _failure(channel.unary_unary(f"{REGISTRY}/GetInstance")(b"\x12\x06absent"))
    trailer = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailer[DETAILS_KEY])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("INSTANCE_NOT_FOUND", "flowmesh")


async def test_a_message_over_the_limit_is_refused(service: Service) -> None:
    """What is over the size limit is RESOURCE_EXHAUSTED with a reason."""
    async with raw(service) as channel:
        call = channel.unary_unary(f"{REGISTRY}/GetInstance")
        error = await _failure(call(bytes(MESSAGE_BYTES_MAX + 1)))
    assert error_of(error).reason == "PAYLOAD_TOO_LARGE"


def test_many_violations_are_cut_to_what_a_trailer_holds(service: Service) -> None:
    """A status with a thousand violations still fits; the first ones are kept."""
    violations = tuple(Violation(f"tasks[{n}]", "x" * 100, "CODE") for n in range(1_000))
    status = status_of(Invalid("WORKFLOW_INVALID", "m" * 10_000, violations=violations))
    assert status.ByteSize() <= STATUS_BYTES_MAX
    assert len(status.details) == 2
