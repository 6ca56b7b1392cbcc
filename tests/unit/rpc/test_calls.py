"""Calls by socket and in process behave the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from flowmesh.access.service_tokens import PEER
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.api.registry.v1 import registry_service_pb2 as registry
from flowmesh.errors import FlowmeshError, NotFound, Timeout, Unavailable, Unimplemented
from flowmesh.rpc import EOF, error_of
from flowmesh.telemetry import child_traceparent, trace
from tests.unit.rpc.conftest import Service
from tests.unit.rpc.servicers import SECRET, STORAGE_FAULTS


async def test_a_call_is_answered(service: Service) -> None:
    """A unary call returns what the servicer returns."""
    answer = await service.instances.GetInstance(registry.GetInstanceRequest(id="a"))
    assert answer.instance.id == "a"


async def test_a_refusal_keeps_all_its_details(service: Service) -> None:
    """Class, reason, message, violations with their places and the retry delay arrive."""
    with pytest.raises(NotFound) as caught:
        await service.instances.GetInstance(registry.GetInstanceRequest(id="absent"))
    error = caught.value
    assert (error.reason, error.message) == ("INSTANCE_NOT_FOUND", "no 'absent'")
    (violation,) = error.violations
    assert (violation.field, violation.code) == ("id", "INSTANCE_NOT_FOUND")
    assert (violation.line, violation.column) == (3, 7)
    assert violation.schema_path == "#/a/b"
    assert error.retry_after_ms == 250


async def test_the_text_of_an_unforeseen_exception_never_gets_out(service: Service) -> None:
    """A fault of ours is INTERNAL with a fixed text."""
    with pytest.raises(FlowmeshError) as caught:
        await service.instances.GetInstance(registry.GetInstanceRequest(id="broken"))
    assert caught.value.reason == "INTERNAL"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("fault", STORAGE_FAULTS)
async def test_an_unavailable_database_is_reported_with_a_delay(
    service: Service, fault: str
) -> None:
    """Away, starting, or several of which none is the primary now: the call may be sent again."""
    with pytest.raises(Unavailable) as caught:
        await service.instances.GetInstance(registry.GetInstanceRequest(id=fault))
    assert caught.value.reason == "STORAGE_UNAVAILABLE"
    assert caught.value.retry_after_ms
    assert SECRET not in str(caught.value)


def test_a_write_into_a_call_just_ended_may_be_tried_again() -> None:
    """The client's library says INTERNAL there, whatever the server had said."""
    none = grpc.aio.Metadata()
    late = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, none, none, details="Internal error from Core"
    )
    assert isinstance(error_of(late), Unavailable)


async def test_a_deadline_ends_the_call_on_both_sides(service: Service) -> None:
    """The caller gets DEADLINE_EXCEEDED and the servicer is cancelled."""
    with pytest.raises(Timeout) as caught:
        await service.instances.GetInstance(registry.GetInstanceRequest(id="slow"), timeout=0.1)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    await service.registry.cancelled.wait()


async def test_a_cancelled_caller_cancels_the_servicer(service: Service) -> None:
    """Nobody works for a caller that has left."""
    call = asyncio.ensure_future(
        service.instances.GetInstance(registry.GetInstanceRequest(id="slow"))
    )
    await service.registry.waiting.wait()
    call.cancel()
    await service.registry.cancelled.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_carries_the_trace_of_its_caller(service: Service) -> None:
    """The servicer works under the caller's trace id."""
    traceparent = child_traceparent()
    with trace(traceparent):
        await service.instances.GetInstance(registry.GetInstanceRequest(id="a"))
    assert service.registry.traces == [traceparent]


async def test_a_call_carries_the_metadata_of_its_caller(service: Service) -> None:
    """What a caller adds arrives, text and bytes, and the trace context once."""
    given = (("extra", "text"), ("extra-bin", b"\x00\xff"))
    request = registry.GetInstanceRequest(id="a")
    with trace(child_traceparent()):
        await service.instances.GetInstance(request, metadata=given)
    (arrived,) = service.registry.metadata
    assert dict(given).items() <= arrived.items()
    assert "traceparent" in arrived


@pytest.mark.parametrize("service", ["forwarded"], indirect=True)
async def test_a_forwarded_call_carries_the_address_of_its_caller(service: Service) -> None:
    """Whatever the caller itself says of that."""
    forged = ((PEER, "ipv4:192.0.2.1:1"),)
    await service.instances.GetInstance(registry.GetInstanceRequest(id="a"), metadata=forged)
    (arrived,) = service.registry.metadata
    assert str(arrived[PEER]).startswith("ipv4:127.0.0.1:")


async def test_a_unary_call_has_a_deadline_by_default(service: Service) -> None:
    """No call waits for ever because somebody forgot to say how long."""
    await service.instances.GetInstance(registry.GetInstanceRequest(id="a"))
    (left,) = service.registry.seconds_left
    assert left is not None
    assert 5 < left < 11


async def test_responses_stream_to_their_end(service: Service) -> None:
    """A stream yields every response, then ends."""
    call = service.instances.WatchInstances(registry.WatchInstancesRequest())
    assert [message.instances[0].id async for message in call] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "INSTANCE_NOT_FOUND"), ("broken", "INTERNAL")]
)
async def test_a_stream_that_fails_says_why_after_what_it_sent(
    service: Service, name: str, reason: str
) -> None:
    """Responses before a failure arrive, then the failure."""
    call = service.instances.WatchInstances(registry.WatchInstancesRequest(name=name))
    seen = [await call.read() for _ in range(3)]
    with pytest.raises(FlowmeshError) as caught:
        await call.read()
    assert (seen[-1].instances[0].id, caught.value.reason) == ("2", reason)
    assert SECRET not in str(caught.value)


async def test_cancelling_a_stream_ends_the_servicer(service: Service) -> None:
    """A reader that cancels frees the other side."""
    call = service.instances.WatchInstances(registry.WatchInstancesRequest(name="endless"))
    await call.read()
    await service.registry.waiting.wait()
    call.cancel()
    await service.registry.cancelled.wait()
    with pytest.raises(asyncio.CancelledError):
        await _last(call)
    assert call.done()


async def _last(call: Any) -> None:
    while await call.read() is not EOF:
        pass


async def test_dropping_a_stream_ends_the_servicer(service: Service) -> None:
    """A call that nobody holds any more is over."""
    call = service.instances.WatchInstances(registry.WatchInstancesRequest(name="endless"))
    await call.read()
    await service.registry.waiting.wait()
    del call
    await service.registry.cancelled.wait()


async def test_a_stream_has_a_deadline_where_one_is_given(service: Service) -> None:
    """A timeout on a stream ends it with DEADLINE_EXCEEDED."""
    request = registry.WatchInstancesRequest(name="endless")
    with pytest.raises(Timeout):
        async for _ in service.instances.WatchInstances(request, timeout=0.1):
            pass


async def test_both_sides_of_a_stream_talk_in_turn(service: Service) -> None:
    """What is written is answered; done_writing ends the stream."""
    call = service.executions.Session()
    for count in (1, 2, 0):
        await call.write(execution.SessionRequest(starts=[execution.SessionStart()] * count))
        assert len((await call.read()).started) == count
    await call.done_writing()
    assert await call.read() is EOF


async def test_a_stream_takes_its_requests_from_an_iterator(service: Service) -> None:
    """Requests may come from an async iterator given to the call."""

    async def requests() -> AsyncIterator[execution.SessionRequest]:
        for count in (1, 2):
            yield execution.SessionRequest(starts=[execution.SessionStart()] * count)

    answers = [answer async for answer in service.executions.Session(requests())]
    assert [len(answer.started) for answer in answers] == [1, 2]


async def test_a_stream_both_ways_fails_with_the_reason(service: Service) -> None:
    """A refusal ends the stream, and writing to it afterwards tells the same."""
    call = service.executions.Session()
    await call.write(execution.SessionRequest(starts=[execution.SessionStart()] * 3))
    with pytest.raises(NotFound):
        await call.read()
    with pytest.raises(FlowmeshError):
        await call.write(execution.SessionRequest())


async def test_a_stream_of_requests_has_one_response(service: Service) -> None:
    """All chunks arrive in order before the answer is given."""

    async def chunks() -> AsyncIterator[execution.PutPayloadRequest]:
        for number in range(200):
            yield execution.PutPayloadRequest(chunk=bytes([number]))

    answer = await service.payloads.PutPayload(chunks())
    assert answer.payload.data == bytes(range(200))


async def test_a_method_that_is_not_there_says_so(service: Service) -> None:
    """Methods a servicer leaves out answer UNIMPLEMENTED, streams too."""
    with pytest.raises(Unimplemented):
        await service.instances.ListInstances(registry.ListInstancesRequest())
    with pytest.raises(Unimplemented):
        async for _ in service.payloads.GetPayload(execution.GetPayloadRequest()):
            pass


async def test_calls_are_counted_by_outcome(service: Service) -> None:
    """Metrics tell served from refused calls."""
    await service.instances.GetInstance(registry.GetInstanceRequest(id="a"))
    with pytest.raises(NotFound):
        await service.instances.GetInstance(registry.GetInstanceRequest(id="absent"))
    text = service.metrics.exposition()[0].decode()
    counted = 'flowmesh_rpc_total{{code="{}",method="GetInstance",service="RegistryService"}} 1.0'
    assert counted.format("OK") in text
    assert counted.format("NOT_FOUND") in text
