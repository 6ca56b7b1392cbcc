"""The limits of messages, declarations and requests of consumers, at their documented values."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.broker import changes, contents, limits
from flowmesh.broker.consuming import receiving
from flowmesh.broker.declarations import declared_binding, declared_queue
from flowmesh.broker.messages import check_message
from flowmesh.broker.storing.cipher import BodyCipher
from flowmesh.broker.storing.delays import Delays
from flowmesh.broker.watching import Watching
from flowmesh.definitions.formats.triggers import read_triggers
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.reading.reader import Reader
from flowmesh.definitions.triggers import BATCH_WITHIN_MS_MAX, MESSAGES_BATCH_MAX
from flowmesh.errors import Invalid, Overloaded, TooLarge
from flowmesh.runtime import Clock

HEADER = message_pb2.HeaderValue(text="x")
# The member that a message exceeds, and the message with the value of a limit.
MESSAGES: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "body": (limits.BODY_BYTES_MAX, lambda n: {"body": b"x" * n}),
    "key": (limits.KEY_BYTES_MAX, lambda n: {"routing_key": "x" * n}),
    "text": (limits.TEXT_CHARACTERS_MAX, lambda n: {"correlation_id": "x" * n}),
    "priority": (limits.PRIORITY_MAX, lambda n: {"priority": n}),
    "time to live": (limits.TTL_MS_MAX, lambda n: {"ttl_ms": n}),
    "delay": (limits.TTL_MS_MAX, lambda n: {"delay_ms": n}),
    "stored body": (
        limits.REFERENCED_BYTES_MAX,
        lambda n: {"reference": {"digest": "0" * 64, "size_bytes": n}},
    ),
    "headers": (
        limits.HEADERS_MAX,
        lambda n: {"headers": {f"h{each}": HEADER for each in range(n)}},
    ),
}
QUEUES: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "size": (limits.SIZE_MAX, lambda n: {"max_size": n}),
    "bytes": (limits.BYTES_MAX, lambda n: {"max_bytes": n}),
    "attempts": (limits.ATTEMPTS_MAX, lambda n: {"retry": {"max_attempts": n}}),
    "factor": (int(limits.FACTOR_MAX), lambda n: {"retry": {"factor": n}}),
    "delay": (limits.DELAY_MS_MAX, lambda n: {"retry": {"max_delay_ms": n}}),
    "visibility": (limits.VISIBILITY_MAX_MS, lambda n: {"visibility_timeout_ms": n}),
    "schema": (limits.SCHEMA_BYTES_MAX, lambda n: {"schema": b"{}".ljust(n)}),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_bounded(name: str) -> None:
    """Accepted at the limit, refused one above it."""
    most, members = MESSAGES[name]
    check_message(message_pb2.Message(**members(most)))
    with pytest.raises((Invalid, TooLarge)) as refused:
        check_message(message_pb2.Message(**members(most + 1)))
    assert refused.value.reason in {"MESSAGE_INVALID", "PAYLOAD_TOO_LARGE"}


def test_headers_are_bounded_together() -> None:
    """Names and values of all headers."""

    def headers(size: int) -> dict[str, message_pb2.HeaderValue]:
        value = message_pb2.HeaderValue(text="")
        overhead = len("h") + message_pb2.HeaderValue(text="x" * (size - 10)).ByteSize() - size + 10
        value.text = "x" * (size - overhead)
        return {"h": value}

    check_message(message_pb2.Message(headers=headers(limits.HEADERS_BYTES_MAX)))
    for above in (limits.HEADERS_BYTES_MAX + 1, 100 * limits.HEADERS_BYTES_MAX):
        with pytest.raises(Invalid, match=r"16,384"):
            check_message(message_pb2.Message(headers=headers(above)))


@pytest.mark.parametrize("name", QUEUES)
def test_declarations_are_bounded(name: str) -> None:
    """Accepted at the limit, refused one above it."""
    most, members = QUEUES[name]
    declared_queue(topology_pb2.Queue(queue="q", **members(most)))
    with pytest.raises(Invalid) as refused:
        declared_queue(topology_pb2.Queue(queue="q", **members(most + 1)))
    assert refused.value.reason == "TOPOLOGY_INVALID"
    binding = topology_pb2.Binding(source="x", queue="q", key="x" * (limits.KEY_BYTES_MAX + 1))
    with pytest.raises(Invalid):
        declared_binding(binding)


@pytest.mark.parametrize("most", [limits.QUEUES_MAX, limits.EXCHANGES_MAX, limits.BINDINGS_MAX])
def test_namespaces_are_bounded(most: int) -> None:
    """The last one fits, one more does not."""
    changes._check_room("entries", most - 1, most)
    with pytest.raises(TooLarge) as refused:
        changes._check_room("entries", most, most)
    assert refused.value.reason == "TOPOLOGY_TOO_LARGE"


@pytest.mark.parametrize(
    "most",
    [limits.RECEIVE_MAX, limits.RECEIVE_WAIT_MS_MAX, limits.BROWSE_MAX, limits.REDRIVE_MAX],
)
def test_requests_are_bounded(most: int) -> None:
    """Counts and waits of consumers, and of those who look at messages."""
    for check in (receiving._check_range, contents._bounded):
        check("max", most, most)
        with pytest.raises(Invalid) as refused:
            check("max", most + 1, most)
        assert refused.value.reason == "REQUEST_INVALID"


class JetStream:
    """Storage that holds as many delayed messages as there may be."""

    async def api(self, path: str, body: Any) -> dict[str, Any]:
        return {"state": {"messages": limits.DELAYED_MAX}}


async def test_delayed_messages_are_bounded() -> None:
    """One more than the limit is refused as one for a full queue."""
    cipher = BodyCipher(open_key=bytes(32), installation_key=None)
    jetstream: Any = JetStream()
    delays = Delays(jetstream=jetstream, prefix="flowmesh", replicas=1, cipher=cipher)
    assert await delays.held() == limits.DELAYED_MAX
    with pytest.raises(Overloaded) as refused:
        await delays.put("default", "", message_pb2.Message(message_id="m"), 0)
    assert refused.value.reason == "QUEUE_FULL"


class Nothing:
    """A namespace with no queue."""

    async def of(self, namespace: str) -> Any:
        return self

    async def queue(self, namespace: str, name: str) -> None:
        return None

    queues: ClassVar[dict[str, Any]] = {}


async def test_watches_are_bounded() -> None:
    """Names of one stream, and streams."""
    nothing: Any = Nothing()
    watching = Watching(topologies=nothing, contents=nothing, clock=Clock())
    names = ["q"] * (limits.WATCHED_MAX + 1)
    with pytest.raises(Invalid):
        await anext(watching.watch("default", names))
    streams = [watching.watch("default", names[1:]) for _ in range(limits.WATCHERS_MAX)]
    for stream in streams:
        assert (await anext(stream)).snapshot
    with pytest.raises(Overloaded):
        await anext(watching.watch("default", []))
    for stream in streams:
        await stream.aclose()
    assert (await anext(watching.watch("default", []))).snapshot


@pytest.mark.parametrize(
    ("member", "most"),
    [("batch", MESSAGES_BATCH_MAX), ("batchWithinMs", BATCH_WITHIN_MS_MAX)],
)
def test_batches_of_triggers_are_bounded(member: str, most: int) -> None:
    """Accepted at the limit, refused one above it."""
    for value, found in ((most, 0), (most + 1, 1)):
        problems = Problems()
        body = {"queue": "q", "batch": 1, member: value}
        spec = {"triggers": [{"id": "t", "queue": body}]}
        read_triggers(Reader(spec, (), problems), "w")
        assert len(problems.found) == found
