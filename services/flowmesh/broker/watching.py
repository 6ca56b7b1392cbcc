"""Streams of the states of queues."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.broker import limits
from flowmesh.broker.contents import Contents
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.topology import Topologies
from flowmesh.errors import Invalid, Overloaded, Violation
from flowmesh.runtime import Clock

INTERVAL_S: Final = 1.0
# With more queues the interval grows, so that a second has so many requests at most.
QUEUES_PER_INTERVAL: Final = 100
FRESH_MS: Final = 500
STATES_MAX: Final = 10_000
RETRY_MS: Final = 5_000


class Watching:
    """Reads the states of watched queues in turns, and sends those that changed."""

    def __init__(self, *, topologies: Topologies, contents: Contents, clock: Clock) -> None:
        self._topologies = topologies
        self._contents = contents
        self._clock = clock
        self._open = 0
        # States that several streams share, with the instant of their read.
        self._states: dict[str, tuple[float, topology_pb2.QueueState]] = {}

    async def watch(
        self, namespace: str, names: Sequence[str]
    ) -> AsyncGenerator[pb.WatchQueuesResponse, None]:
        """Yield all states, then those that changed, without end.

        Raises NotFound for an unknown queue, Overloaded for too many streams.
        """
        if len(names) > limits.WATCHED_MAX:
            what = f"names {len(names):,} queues; at most {limits.WATCHED_MAX:,}"
            violation = Violation("queues", what, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", f"queues: {what}.", violations=(violation,))
        if self._open >= limits.WATCHERS_MAX:
            text = f"{limits.WATCHERS_MAX} streams watch queues here; close some"
            raise Overloaded("OVERLOADED", text, retry_after_ms=RETRY_MS)
        for name in names:
            await self._topologies.queue(namespace, name)
        self._open += 1
        try:
            async for response in self._responses(namespace, frozenset(names)):
                yield response
        finally:
            self._open -= 1
            if not self._open:
                self._states.clear()

    async def _responses(
        self, namespace: str, names: frozenset[str]
    ) -> AsyncGenerator[pb.WatchQueuesResponse, None]:
        sent: dict[str, topology_pb2.QueueState] = {}
        snapshot = True
        while True:
            found = await self._read(namespace, names)
            response = pb.WatchQueuesResponse(snapshot=snapshot)
            response.queues.extend(
                state for name, state in found.items() if _shown(state) != sent.get(name)
            )
            response.removed.extend(sorted(sent.keys() - found.keys()))
            if snapshot or response.queues or response.removed:
                yield response
            snapshot = False
            sent = {name: _shown(state) for name, state in found.items()}
            await asyncio.sleep(INTERVAL_S * max(1.0, len(found) / QUEUES_PER_INTERVAL))

    async def _read(
        self, namespace: str, names: frozenset[str]
    ) -> dict[str, topology_pb2.QueueState]:
        if len(self._states) > STATES_MAX:
            self._states.clear()
        topology = await self._topologies.of(namespace)
        wanted = [
            queue for name, queue in sorted(topology.queues.items()) if not names or name in names
        ]
        states = await asyncio.gather(*(self._state(queue) for queue in wanted))
        return {queue.name: state for queue, state in zip(wanted, states, strict=True)}

    async def _state(self, queue: StoredQueue) -> topology_pb2.QueueState:
        now_ms = self._clock.monotonic_ms()
        known = self._states.get(queue.id)
        if known is None or known[0] < now_ms - FRESH_MS:
            known = (now_ms, await self._contents.state(queue))
            self._states[queue.id] = known
        return known[1]


def _shown(state: topology_pb2.QueueState) -> topology_pb2.QueueState:
    """Return the part of a state whose change is reported: counters are those of one instance."""
    shown = topology_pb2.QueueState()
    shown.CopyFrom(state)
    shown.ClearField("counters")
    return shown
