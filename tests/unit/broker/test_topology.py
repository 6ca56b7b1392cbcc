"""The topology in memory: changes applied one by one give what a read of all rows gives."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.routing.routes import Identity, identity_of
from flowmesh.broker.store import Delta, StoredQueue, StoredTopology
from flowmesh.broker.topology import Topologies, Topology

NAMES = ("a", "b", "c")
KEYS = ("", "a", "a.b", "#", "a.*")
TYPES = (
    pb.EXCHANGE_TYPE_DIRECT,
    pb.EXCHANGE_TYPE_FANOUT,
    pb.EXCHANGE_TYPE_TOPIC,
    pb.EXCHANGE_TYPE_HEADERS,
)
SCHEMA = b'{"type": "object"}'
Step = tuple[str, str, str, str]


@dataclass
class Rows:
    """The rows of a namespace, as the database has them after each change."""

    version: int = 0
    exchanges: dict[str, pb.Exchange] = field(default_factory=dict)
    queues: dict[str, StoredQueue] = field(default_factory=dict)
    bindings: dict[Identity, pb.Binding] = field(default_factory=dict)

    def stored(self) -> StoredTopology:
        exchanges, queues = list(self.exchanges.values()), list(self.queues.values())
        return StoredTopology(self.version, "", exchanges, queues, list(self.bindings.values()))

    def change(self, step: Step) -> Delta | None:
        """Make a change if it is possible; return its announcement, as an instance gets it."""
        delta = Delta("n", self.version + 1)
        getattr(self, f"_{step[0]}")(delta, *step[1:])
        if delta.is_empty:
            return None
        self.version += 1
        return msgspec.msgpack.decode(msgspec.msgpack.encode(delta), type=Delta)

    def _exchange(self, delta: Delta, name: str, other: str, key: str) -> None:
        if name not in self.exchanges:
            made = pb.Exchange(exchange=name, type=TYPES[len(key)], alternate=other)
            self.exchanges[name] = made
            delta.exchanges.append(made.SerializeToString())

    def _queue(self, delta: Delta, name: str, other: str, key: str) -> None:
        if name not in self.queues:
            config = pb.Queue(queue=name, schema=SCHEMA if other == "a" else b"")
            self.queues[name] = StoredQueue("n", f"{name}{self.version}", config)
            delta.queues.append((self.queues[name].id, config.SerializeToString()))

    def _bind(self, delta: Delta, name: str, other: str, key: str) -> None:
        binding = pb.Binding(source=name, queue=other, key=key)
        self._add(delta, binding, found=name in self.exchanges and other in self.queues)

    def _bind_exchange(self, delta: Delta, name: str, other: str, key: str) -> None:
        binding = pb.Binding(source=name, exchange=other, key=key)
        binding.arguments["h"].CopyFrom(message_pb2.HeaderValue(text=key))
        self._add(delta, binding, found={name, other} <= self.exchanges.keys())

    def _add(self, delta: Delta, binding: pb.Binding, *, found: bool) -> None:
        identity = identity_of(binding)
        if found and identity not in self.bindings:
            self.bindings[identity] = binding
            delta.bindings.append(binding.SerializeToString())

    def _unbind(self, delta: Delta, name: str, other: str, key: str) -> None:
        binding = pb.Binding(source=name, queue=other, key=key)
        if self.bindings.pop(identity_of(binding), None) is not None:
            delta.removed_bindings.append(binding.SerializeToString())

    def _delete_exchange(self, delta: Delta, name: str, other: str, key: str) -> None:
        if self.exchanges.pop(name, None) is not None:
            self._unbind_all(lambda each: name in (each.source, each.exchange))
            delta.removed_exchanges.append(name)

    def _delete_queue(self, delta: Delta, name: str, other: str, key: str) -> None:
        if self.queues.pop(name, None) is not None:
            self._unbind_all(lambda each: each.queue == name)
            delta.removed_queues.append(name)

    def _unbind_all(self, wanted: Any) -> None:
        self.bindings = {id: each for id, each in self.bindings.items() if not wanted(each)}


WORDS = ("exchange", "queue", "bind", "bind_exchange", "unbind", "delete_exchange", "delete_queue")
STEPS = st.lists(
    st.tuples(*(st.sampled_from(each) for each in (WORDS, NAMES, NAMES, KEYS))), max_size=40
)


def seen(topology: Topology) -> dict[str, Any]:
    """All that a topology answers."""
    routes = topology.routes
    headers = {"h": ("text", "a")}
    return {
        "version": topology.version,
        "queues": {name: queue.id for name, queue in topology.queues.items()},
        "schemas": set(topology.schemas),
        "exchanges": [each.SerializeToString() for each in routes.exchanges],
        "bindings": sorted(each.SerializeToString() for each in routes.bindings()),
        "bound": {
            name: sorted(each.SerializeToString() for each in routes.bindings_of(name))
            for name in NAMES
        },
        "routes": {
            (name, key): sorted(routes.queues(name, key, headers))
            for name in NAMES
            for key in ("", "a", "a.b", "b")
        },
    }


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_followed_changes_give_what_a_read_gives(steps: list[Step]) -> None:
    """After every change: queues, schemas, exchanges, bindings and routes."""
    rows = Rows()
    followed = Topology(rows.stored())
    for step in steps:
        delta = rows.change(step)
        if delta is not None:
            assert followed.follow(delta)
        assert seen(followed) == seen(Topology(rows.stored()))


class Store:
    """The rows, behind reads that a test can hold."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.reads = 0
        self.reading = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def version(self, namespace: str) -> int:
        return self.rows.version

    async def load(self, namespace: str) -> StoredTopology:
        self.reads += 1
        stored = self.rows.stored()
        self.reading.set()
        await self.free.wait()
        return stored


def topologies_of(store: Store) -> Topologies:
    given_store: Any = store
    return Topologies(store=given_store)


def changed(store: Store, *names: str) -> list[Delta]:
    """The announcements of declared queues."""
    return [delta for name in names if (delta := store.rows.change(("queue", name, "", "")))]


async def test_announced_changes_are_not_read_again() -> None:
    """One read of the namespace, however many changes follow it; an old one changes nothing."""
    store = Store()
    topologies = topologies_of(store)
    await topologies.of("n")
    for delta in changed(store, "a", "b", "c"):
        topologies.apply(delta)
        topologies.apply(delta)
    assert (await topologies.of("n", version=3)).version == 3
    assert (await topologies.queue("n", "c")).name == "c"
    assert store.reads == 1


async def test_a_missed_change_is_read() -> None:
    """After a gap, after a reconnection, and for a client that saw a newer version."""
    store = Store()
    topologies = topologies_of(store)
    await topologies.of("n")
    _, second = changed(store, "a", "b")
    topologies.apply(second)
    assert set((await topologies.of("n")).queues) == {"a", "b"}
    changed(store, "c")
    assert "c" not in (await topologies.of("n")).queues
    assert "c" in (await topologies.of("n", version=3)).queues
    changed(store, "d")
    await topologies.on_reconnect()
    assert "d" in (await topologies.of("n")).queues
    changed(store, "e")
    assert (await topologies.queue("n", "e")).name == "e"
    assert store.reads == 5


async def test_a_change_during_a_read_is_not_lost() -> None:
    """The read began before it was committed."""
    store = Store()
    topologies = topologies_of(store)
    store.free.clear()
    reader = asyncio.create_task(topologies.of("n"))
    await store.reading.wait()
    for delta in changed(store, "a", "b"):
        topologies.apply(delta)
    store.free.set()
    assert set((await reader).queues) == {"a", "b"}
    assert set((await topologies.of("n")).queues) == {"a", "b"}
    assert store.reads == 1
