"""Suspension of queues, and messages that are exported and imported once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import queue_move_service_pb2 as pb
from flowmesh.api.broker.v1.queue_move_service_pb2_grpc import QueueMoveServiceStub
from flowmesh.errors import FlowmeshError, Invalid, TooLarge, Unavailable, WrongState
from flowmesh.sdk import Client, MessageBroker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.broker.test_broker import PATIENCE_S

pytestmark = pytest.mark.long

COUNT = 20


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    """A client of a project of its own, which is suspended."""
    async with Client(suite.grpc_address, namespace="leaving") as opened:
        await opened.broker.declare_queue("work", max_attempts=3)
        yield opened
        await suspend(suite, suspended=False)
        await opened.broker.delete_queue("work")


def moves(suite: Suite) -> Any:
    return QueueMoveServiceStub(suite.channel)


async def suspend(suite: Suite, *, suspended: bool = True) -> None:
    request = pb.SuspendQueuesRequest(namespace="leaving", suspended=suspended)
    await moves(suite).SuspendQueues(request)


async def test_nothing_leaves_a_suspended_queue(suite: Suite, client: Client) -> None:
    """Its consumer receives again when it is resumed, and messages are stored meanwhile."""
    got: list[Any] = []
    broker = MessageBroker(client)
    await broker.subscribe("work", got.append).ready()
    await suspend(suite)
    await client.messages.publish("kept", "work")
    await client.messages.publish("later", "work", delay=0.5)
    with pytest.raises(Unavailable, match="move to another cell"):
        await client.messages.receive("work")
    page = await moves(suite).ExportMessages(
        pb.ExportMessagesRequest(namespace="leaving", queue="work")
    )
    assert [each.message.body for each in page.messages] == [b'"kept"']
    assert got == []
    await suspend(suite, suspended=False)

    async def came() -> bool:
        return len(got) == 2

    await until("both messages came", came, within_s=PATIENCE_S)
    assert sorted(got) == ["kept", "later"]
    await broker.close()


async def test_a_page_is_imported_once(suite: Suite, client: Client) -> None:
    """Also if the ids of its messages are no longer known; deliveries are counted on."""
    for number in range(COUNT):
        await client.messages.publish(number, "work")
    await client.messages.receive("work")
    await suspend(suite)
    page = await moves(suite).ExportMessages(
        pb.ExportMessagesRequest(namespace="leaving", queue="work")
    )
    assert [each.attempts for each in page.messages] == [1] + [0] * (COUNT - 1)
    assert all(each.key for each in page.messages)
    async with Client(suite.grpc_address, namespace="arriving") as other:
        await other.broker.declare_queue("work")
        stored = []
        for key in ("first", "second"):
            for each in page.messages:
                each.key = f"{key}-{each.sequence}"
            request = pb.ImportMessagesRequest(
                namespace="arriving", queue="work", origin=page.origin, messages=page.messages
            )
            stored.append((await moves(suite).ImportMessages(request)).stored)
        assert stored == [COUNT, 0]
        messages = await other.messages.receive("work", 100)
        assert [each.body for each in messages] == list(range(COUNT))
        assert [each.attempt for each in messages] == [2] + [1] * (COUNT - 1)
        await other.broker.delete_queue("work")


@pytest.mark.parametrize(
    ("messages", "kind", "problem"),
    [
        ([pb.ExportedMessage(sequence=1)], Invalid, "message_id: is missing"),
        (
            [
                pb.ExportedMessage(sequence=2, message=message_pb2.Message(message_id=each))
                for each in ("a", "b")
            ],
            Invalid,
            "in the order of their positions",
        ),
        (
            [pb.ExportedMessage(sequence=each + 1) for each in range(501)],
            TooLarge,
            "at most 500",
        ),
    ],
)
async def test_wrong_pages_are_refused(
    suite: Suite,
    client: Client,
    messages: list[pb.ExportedMessage],
    kind: type[FlowmeshError],
    problem: str,
) -> None:
    """With the field and what would be right."""
    request = pb.ImportMessagesRequest(
        namespace="leaving", queue="work", origin="here", messages=messages
    )
    with pytest.raises(kind, match=problem):
        await moves(suite).ImportMessages(request)


async def test_queues_in_use_are_not_exported(suite: Suite, client: Client) -> None:
    """They could deliver what is exported."""
    request = pb.ExportMessagesRequest(namespace="leaving", queue="work")
    with pytest.raises(WrongState, match="suspend them first"):
        await moves(suite).ExportMessages(request)


async def test_positions_are_those_of_streams(suite: Suite, client: Client) -> None:
    """Positions without a message are used up; a queue has none, and a stream in use others."""

    def request(queue: str, *sequences: int) -> pb.ImportMessagesRequest:
        messages = [
            pb.ExportedMessage(
                sequence=each, message=message_pb2.Message(message_id=f"m-{each}", body=b"1")
            )
            for each in sequences
        ]
        return pb.ImportMessagesRequest(
            namespace="leaving", queue=queue, origin="here", messages=messages, last_sequence=9
        )

    await client.broker.declare_queue("log", stream=True)
    for _ in range(2):
        assert (await moves(suite).ImportMessages(request("log", 1, 2, 5))).sequence == 9
    await client.messages.publish(1, "log")
    assert [each.sequence for each in await client.messages.browse("log")] == [1, 2, 5, 10]
    with pytest.raises(Invalid, match="only messages of a stream"):
        await moves(suite).ImportMessages(request("work", 1))
    await client.broker.delete_queue("log")
