"""Queues of Flowmesh and of RabbitMQ as ends of bridges, with clients in memory."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import aio_pika
import pytest

from flowmesh.connectors import messages, rabbitmq
from flowmesh.connectors.records import Batch, Context, Record, RecordsRefused
from flowmesh.errors import Overloaded, WrongState
from flowmesh.sdk.values.messages import Outgoing

BATCH = Batch((Record(b"1", "a.b", id="x" * 200), Record(b"2", "c", id="own")), "p1")


class Broker:
    """The calls of a client of Flowmesh that connectors make."""

    def __init__(self) -> None:
        self.arrived: list[Any] = []
        self.acknowledged: list[Any] = []
        self.published: list[Outgoing] = []
        self.positions: list[str] = []
        self.outcomes: list[tuple[str, str]] = []
        self.declared: list[str] = []
        self.error: Exception | None = None
        # Messages and queues are calls of one client.
        self.messages = self.broker = self

    async def receive(self, _queue: str, _count: int, **_more: Any) -> tuple[Any, ...]:
        await asyncio.sleep(0)
        return (self.arrived.pop(0),) if self.arrived else ()

    async def ack(self, *held: Any) -> None:
        if self.error is not None:
            raise self.error
        self.acknowledged += held

    async def browse(self, _queue: str, count: int) -> list[Any]:
        return [SimpleNamespace(body=each) for each in self.positions[-count:]]

    async def publish(self, body: str, _queue: str) -> None:
        self.positions.append(body)

    async def publish_many(self, sent: list[Outgoing], _exchange: str, **_more: Any) -> list[Any]:
        self.published += sent
        found = self.outcomes or [("", "")] * len(sent)
        return [
            SimpleNamespace(id=each.id, reason=reason, error=error)
            for each, (reason, error) in zip(sent, found, strict=True)
        ]

    async def declare_queue(self, name: str, **_more: Any) -> None:
        self.declared.append(name)


def context(broker: Broker) -> Context:
    return Context("b", cast("Any", broker))


def message(body: bytes, **more: Any) -> Any:
    known = {"routing_key": "a.b", "id": "m1", "content_type": "application/json", "headers": {}}
    return SimpleNamespace(data=body, **(known | more))


async def test_a_queue_is_read_and_acknowledged() -> None:
    """A message acknowledged too late is redelivered with its id; other errors are raised."""
    broker = Broker()
    broker.arrived = [message(b"1"), message(b"2", headers={"n": 1})]
    source = messages.Source({"queue": "q"}, context(broker))
    read = source.read("")
    first = await anext(read)
    assert first.records == (Record(b"1", "a.b", "m1"),)
    await source.stored(first)
    assert len(broker.acknowledged) == 1
    second = await anext(read)
    assert second.records[0].headers == {"n": 1}
    broker.error = WrongState("STALE_DELIVERY", "late")
    await source.stored(second)
    broker.error = WrongState("QUEUE_DELETED", "gone")
    with pytest.raises(WrongState):
        await source.stored(second)
    await read.aclose()
    await source.close()


async def test_records_are_published_with_their_ids_and_then_the_position() -> None:
    """A long id has a digest in its place."""
    broker = Broker()
    sink = messages.Sink({"exchange": "x"}, context(broker))
    assert await sink.position() == ""
    await sink.write(BATCH)
    first, second = broker.published
    assert (first.routing_key, len(first.id or ""), second.id) == ("a.b", 64, "own")
    assert await sink.position() == "p1"
    assert broker.declared == ["connector.b"]
    await sink.write(Batch((), "p2"))
    assert (len(broker.published), await sink.position()) == (2, "p2")
    await sink.close()


async def test_a_record_that_no_queue_takes_is_refused_by_its_place() -> None:
    """A full queue is an error that passes; the position is not stored."""
    broker = Broker()
    sink = messages.Sink({"exchange": "x", "key": "k"}, context(broker))
    broker.outcomes = [("", ""), ("QUEUE_NOT_FOUND", "no queue")]
    with pytest.raises(RecordsRefused, match="record 'own' is refused: QUEUE_NOT_FOUND") as refused:
        await sink.write(BATCH)
    assert list(refused.value.refused) == [1]
    assert [each.routing_key for each in broker.published] == ["k", "k"]
    broker.outcomes = [("OVERLOADED", "full"), ("", "")]
    with pytest.raises(Overloaded, match="full"):
        await sink.write(BATCH)
    assert broker.positions == []


class Rabbit:
    """Connection, channel, queue and exchange of RabbitMQ in one."""

    def __init__(self) -> None:
        self.default_exchange = self
        self.arrived: list[Any] = []
        self.published: list[tuple[str, bytes]] = []
        self.answers: dict[bytes, Exception] = {}
        self.acknowledged = 0
        self.closed = False

    async def connect(self, _url: str) -> "Rabbit":
        return self

    async def channel(self, **_more: Any) -> "Rabbit":
        return self

    async def set_qos(self, **_more: Any) -> None:
        """Any number is taken."""

    async def get_queue(self, _name: str, **_more: Any) -> "Rabbit":
        return self

    get_exchange = get_queue

    async def consume(self, call: Any) -> None:
        for each in self.arrived:
            await call(each)

    async def ack(self) -> None:
        self.acknowledged += 1

    async def publish(self, sent: aio_pika.Message, key: str) -> None:
        if sent.body in self.answers:
            raise self.answers[sent.body]
        self.published.append((key, sent.body))

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def rabbit(monkeypatch: pytest.MonkeyPatch) -> Rabbit:
    found = Rabbit()
    monkeypatch.setattr(aio_pika, "connect_robust", found.connect)
    monkeypatch.setattr(rabbitmq, "WITHIN_S", 0.01)
    return found


URL = {"url": "amqp://user:made-up@rabbit:5672"}
NO_CONTEXT = Context("b", cast("Any", None))


async def test_a_queue_of_rabbitmq_is_read_in_batches(rabbit: Rabbit) -> None:
    """Without the headers of its own, and those that are no plain values."""
    headers = {"x-death": [1], "n": 1, "table": {"a": 1}, "text": "t"}
    known = {"routing_key": None, "message_id": None, "content_type": None, "headers": headers}
    rabbit.arrived = [SimpleNamespace(body=b"%d" % n, ack=rabbit.ack, **known) for n in range(101)]
    source = rabbitmq.Source({**URL, "queue": "q"}, NO_CONTEXT)
    read = source.read("")
    first, second = await anext(read), await anext(read)
    assert (len(first.records), len(second.records)) == (100, 1)
    assert second.records[0] == Record(
        b"100", "", "", "application/octet-stream", {"n": 1, "text": "t"}
    )
    await source.stored(second)
    assert rabbit.acknowledged == 1
    await read.aclose()
    await source.close()
    assert rabbit.closed


@pytest.mark.parametrize("options", [{}, {"exchange": "x"}, {"key": "k"}])
async def test_records_are_published_to_rabbitmq(rabbit: Rabbit, options: dict[str, str]) -> None:
    """To the exchange of the options, by the key of the options or of the record."""
    sink = rabbitmq.Sink({**URL, **options}, NO_CONTEXT)
    assert await sink.position() == ""
    await sink.close()
    await sink.write(BATCH)
    key = options.get("key")
    assert rabbit.published == [(key or "a.b", b"1"), (key or "c", b"2")]
    await sink.close()
    assert rabbit.closed


async def test_a_record_that_rabbitmq_routes_nowhere_is_refused(rabbit: Rabbit) -> None:
    """Any other error is raised, and the batch written again."""
    sink = rabbitmq.Sink(URL, NO_CONTEXT)
    frame = cast("Any", SimpleNamespace(name="Basic.Return"))
    rabbit.answers = {b"2": aio_pika.exceptions.DeliveryError(None, frame)}
    with pytest.raises(RecordsRefused, match="leads to no queue") as refused:
        await sink.write(BATCH)
    assert list(refused.value.refused) == [1]
    rabbit.answers = {b"1": OSError("reset")}
    with pytest.raises(OSError, match="reset"):
        await sink.write(BATCH)
