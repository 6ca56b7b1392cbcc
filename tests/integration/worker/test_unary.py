"""`grpc.call` against a real server: what goes out, what comes back, how it fails."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from flowmesh.contract.json_value import Json
from flowmesh.egress import OPEN, PUBLIC, Egress
from flowmesh.executors.base import Attempt, Output, Step
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.rpc import Channels, descriptors
from flowmesh.executors.rpc.channels import CHANNEL_LIFE_S
from flowmesh.executors.unary import unary_executor
from tests.integration.worker.orchestrator import spec_of, task_of
from tests.integration.worker.payments import CHARGE, SERVICE, Payments, files, serving


class Unary:
    """Runs one attempt of a configuration."""

    def __init__(self, channels: Channels) -> None:
        self._executor = unary_executor(channels, lambda: 0)

    async def __call__(
        self, payments: Payments, value: Json = None, *, timeout_ms: int = 5_000, **config: Json
    ) -> Output:
        config = {"target": payments.address, "method": CHARGE, "tls": False, **config}
        spec = spec_of("grpc.call", config)
        step = self._executor(spec, config)
        assert isinstance(step, Step)
        task = task_of("t", spec, value, idempotency_key="e/n")
        return await step.run(Attempt(task, orjson.dumps(value), timeout_ms))

    async def fails(self, *arguments: Any, **keywords: Any) -> TaskFailure:
        with pytest.raises(TaskFailure) as failed:
            await self(*arguments, **keywords)
        return failed.value


@pytest.fixture
async def unary() -> AsyncIterator[Unary]:
    async with Egress(OPEN) as egress, Channels(egress) as channels:
        yield Unary(channels)


@pytest.fixture
async def payments() -> AsyncIterator[Payments]:
    async with serving() as running:
        yield running


REQUEST = {"orderId": "{{input.id}}", "cents": "{{input.cents}}"}
ANSWER = {"paymentId": "pay-o1", "cents": "700", "at": "2024-05-06T07:08:09Z", "note": ""}


async def test_a_method_is_called_by_what_the_server_tells_of_itself(
    unary: Unary, payments: Payments
) -> None:
    """JSON in and out, well-known types and 64-bit numbers as protobuf's JSON has them."""
    for _ in range(2):
        output = await unary(payments, {"id": "o1", "cents": 700}, request=REQUEST)
        assert orjson.loads(output.data) == ANSWER
    shown = orjson.loads(output.metadata)["grpc"]
    assert (shown["code"], shown["metadata"]["served-by"]) == ("OK", "stub")
    assert (payments.calls[0][0].order_id, payments.calls[0][0].cents) == ("o1", 700)


async def test_a_descriptor_set_does_without_reflection(unary: Unary) -> None:
    """And without it, the message says what to do."""
    request = {"orderId": "o1", "cents": 700}
    async with serving(reflects=False) as payments:
        data = b64encode(files().SerializeToString()).decode()
        assert (
            orjson.loads((await unary(payments, descriptors=data, request=request)).data) == ANSWER
        )
        refused = await unary.fails(payments, request=request)
    assert "descriptors" in refused.message


async def test_reflection_is_requested_until_an_answer_arrives(
    unary: Unary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grpc.aio loses it where it writes into a call that has just been refused."""
    lost = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        "Internal error from Core",
    )
    asked, left = descriptors._asked, [lost, lost]

    async def losing(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return await asked(*arguments)

    monkeypatch.setattr(descriptors, "_asked", losing)
    async with serving(reflects=False) as payments:
        refused = await unary.fails(payments, request={"orderId": "o1", "cents": 700})
    assert "descriptors" in refused.message
    assert not left


async def test_metadata_goes_out_with_a_key_and_no_more_than_may(
    unary: Unary, payments: Payments
) -> None:
    """The key is the same on all attempts; names and values that would change the call fail."""
    await unary(payments, metadata={"x-tenant": "{{input.t}}", "X-N": 1}, value={"t": "acme"})
    sent = payments.calls[0][1]
    assert (sent["x-tenant"], sent["x-n"], sent["idempotency-key"]) == ("acme", "1", "e/n")
    hostile: list[dict[str, str]] = [
        {"a": "x\r\ny: z"}, {"a b": "x"}, {":path": "/x"}, {"grpc-timeout": "1n"}, {"te": "x"},
        {"a-bin": "x"}, {"a": "\u2028"}, {"a": "x\0"}, {"host": "x"}, {"": "x"},
    ]  # fmt: skip
    for metadata in hostile:
        refused = await unary.fails(payments, metadata=metadata)
        assert refused.details["reason"] == "HEADER_INVALID", metadata
    assert len(payments.calls) == 1


@pytest.mark.parametrize(
    ("code", "class_"),
    [
        ("INVALID_ARGUMENT", "ClientError"),
        ("NOT_FOUND", "ClientError"),
        ("FAILED_PRECONDITION", "ClientError"),
        ("UNIMPLEMENTED", "ClientError"),
        ("PERMISSION_DENIED", "AuthenticationError"),
        ("UNAUTHENTICATED", "AuthenticationError"),
        ("RESOURCE_EXHAUSTED", "RateLimitError"),
        ("UNAVAILABLE", "NetworkError"),
        ("ABORTED", "ServerError"),
        ("INTERNAL", "ServerError"),
        ("UNKNOWN", "ServerError"),
        ("DATA_LOSS", "ServerError"),
        ("DEADLINE_EXCEEDED", "Timeout"),
    ],
)
async def test_a_status_is_a_class_of_failure(
    unary: Unary, payments: Payments, code: str, class_: str
) -> None:
    """With the code and the words of the service, and how long it asks to wait."""
    payments.failures, payments.retry_after_s = [grpc.StatusCode[code]], 7
    failed = await unary.fails(payments, method=f"{SERVICE}/Fail")
    assert (failed.class_, failed.retry_after_ms) == (class_, 7_000)
    assert failed.details["grpc"] == {"code": code, "message": "no luck"}


async def test_a_call_ends_with_its_attempt(unary: Unary, payments: Payments) -> None:
    """The deadline is what is left of the attempt's time."""
    failed = await unary.fails(payments, method=f"{SERVICE}/Hang", timeout_ms=200)
    assert failed.class_ == "Timeout"


async def test_a_connection_is_replaced_when_its_calls_have_ended(payments: Payments) -> None:
    """A call is let end however old its connection is; the calls that follow have a new one."""
    now_s = 0.0
    async with Egress(OPEN) as egress, Channels(egress, lambda: now_s) as channels:
        unary = Unary(channels)
        slow = asyncio.create_task(unary(payments, method=f"{SERVICE}/Hang"))
        await payments.hanging.acquire()
        now_s += CHANNEL_LIFE_S
        await unary(payments, request={"orderId": "o1"})
        payments.let_go.set()
        assert orjson.loads((await slow).data)["paymentId"] == "late"
        await unary(payments, request={"orderId": "o2"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"method": f"{SERVICE}/Chrage"}, "it has Charge, Fail, Hang, Watch"),
        ({"method": f"{SERVICE}/Watch"}, "is a stream"),
        ({"method": "shop.v1.Nobody/Charge"}, "shop.v1.Nobody"),
        ({"request": {"orderId": 7}}, "orderId"),
        ({"request": {"nothing": 7}}, "nothing"),
        ({"request": [1]}, "object"),
        ({"request": {"cents": "9" * 30}}, "cents"),
        ({"target": "nohost"}, "host:port"),
        ({"target": "unix:/tmp/x:1"}, "host"),
        ({"target": "a,b:1"}, "host"),
        ({"target": "127.0.0.1:99999"}, "host:port"),
        ({"target": "127.0.0.1:" + "9" * 5_000}, "host:port"),
        ({"descriptors": b64encode(b"\xff\xff").decode()}, "FileDescriptorSet"),
    ],
)
async def test_what_does_not_fit_fails_before_it_is_sent(
    unary: Unary, payments: Payments, config: Json, said: str
) -> None:
    """A ValidationError with what would be right."""
    failed = await unary.fails(payments, **config)
    assert (failed.class_, said in failed.message) == ("ValidationError", True), failed.message
    assert payments.calls == []


async def test_a_request_without_what_it_must_have_is_refused(
    unary: Unary, payments: Payments
) -> None:
    """Messages of proto2 have fields that must be there."""
    set_ = files()
    set_.file[0].syntax = "proto2"
    set_.file[0].message_type[0].field[0].label = FieldDescriptorProto.LABEL_REQUIRED
    data = b64encode(set_.SerializeToString()).decode()
    failed = await unary.fails(payments, descriptors=data, request={"cents": 1})
    assert (failed.class_, "order_id" in failed.message) == ("ValidationError", True)


async def test_a_request_that_is_nested_without_end_is_refused(
    unary: Unary, payments: Payments
) -> None:
    """Neither a recursion error nor a hang."""
    deep: Json = {}
    for _ in range(200):
        deep = {"inner": deep}
    assert (await unary.fails(payments, request=deep)).class_ == "ValidationError"


async def test_hostile_descriptors_are_refused(unary: Unary, payments: Payments) -> None:
    """Circles, missing imports, wrong types, and too many bytes."""
    base = files()
    circle = files()
    circle.file[0].dependency.append("shop/v1/payments.proto")
    missing = files()
    missing.file[1].dependency[0] = "nowhere.proto"
    wrong = files()
    wrong.file[1].service[0].method[0].input_type = ".shop.v1.Nothing"
    large = files()
    large.file[0].message_type.add(name="Large").field.add(name="x" * 1_100_000)
    for hostile in (circle, missing, wrong, large):
        data = b64encode(hostile.SerializeToString()).decode()
        assert (await unary.fails(payments, descriptors=data)).class_ == "ValidationError"
    data = b64encode(base.SerializeToString()).decode()
    assert orjson.loads((await unary(payments, descriptors=data)).data)["cents"] == "0"


async def test_only_admitted_addresses_are_connected_to(payments: Payments) -> None:
    """Whatever form the address has, and whatever name leads to it; the server sees nothing."""
    port = payments.address.rpartition(":")[2]
    async with Egress(PUBLIC) as egress, Channels(egress) as channels:
        unary = Unary(channels)
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]"):
            failed = await unary.fails(payments, target=f"{host}:{port}")
            assert failed.class_ == "EgressBlocked", host
    assert payments.calls == []


async def test_an_address_without_server_is_retried(unary: Unary, payments: Payments) -> None:
    """And the message does not tell where the name led to."""
    failed = await unary.fails(payments, target="localhost:1")
    assert failed.class_ == "NetworkError"
    assert "127.0.0.1" not in failed.message
    assert (await unary.fails(payments, target="no.such.host.invalid:1")).class_ == "NetworkError"


async def test_a_server_without_tls_is_not_talked_to_in_the_clear(
    unary: Unary, payments: Payments
) -> None:
    """TLS is what is meant unless the task says otherwise."""
    assert (await unary.fails(payments, tls=True)).class_ == "NetworkError"


async def test_the_server_is_authenticated(unary: Unary) -> None:
    """By a certificate that is trusted, for the name that is asked for."""
    pem = Path(__file__).with_name("pay.test.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([(pem, pem)])
    trusted: dict[str, Any] = {"tls": True, "ca": pem.decode()}
    async with serving(credentials=credentials) as payments:
        output = await unary(payments, request={"orderId": "o1"}, serverName="pay.test", **trusted)
        assert orjson.loads(output.data)["paymentId"] == "pay-o1"
        for wrong in ({**trusted, "serverName": "other.test"}, {"tls": True}, {"tls": False}):
            assert (await unary.fails(payments, **wrong)).class_ == "NetworkError"
