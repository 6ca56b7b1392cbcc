"""The content of queues: browse, redrive, discard, purge, and their states."""

import asyncio
from typing import Any

from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.counters import BrokerMetrics, QueueCounters
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import QueueStreams, StoredMessage, micros
from flowmesh.broker.topology import Topologies
from flowmesh.errors import FlowmeshError, Invalid, Violation
from flowmesh.rpc import valid_id

ERRORS_SHOWN = 10
# A redrive ends with `remaining` after this time, below the deadline of calls.
REDRIVE_S = 7.0
# Messages whose moves run at a time; they are stored in order.
MOVED_TOGETHER = 100


class Contents:
    """Reads and changes stored messages without consuming them."""

    def __init__(
        self, *, topologies: Topologies, streams: QueueStreams, metrics: BrokerMetrics
    ) -> None:
        self._topologies = topologies
        self._streams = streams
        self._metrics = metrics

    async def browse(self, namespace: str, request: pb.BrowseRequest) -> pb.BrowseResponse:
        count = _bounded("max", request.max or limits.BROWSE_DEFAULT, limits.BROWSE_MAX)
        queue = await self._topologies.queue(namespace, request.queue)
        found = await self._page(queue, request.sequence, count)
        more = len(found) == count
        return pb.BrowseResponse(
            messages=[
                pb.BrowsedMessage(sequence=each.sequence, message=each.message) for each in found
            ],
            next_sequence=found[-1].sequence + 1 if more else 0,
        )

    async def redrive(self, namespace: str, request: pb.RedriveRequest) -> pb.RedriveResponse:
        """Move messages; a repeat after a crash moves none twice."""
        most = _bounded("max", request.max or limits.REDRIVE_MAX, limits.REDRIVE_MAX)
        _bounded("sequences", len(request.sequences), limits.BROWSE_MAX)
        if request.from_queue:
            valid_id(request.from_queue, "from_queue")
        queue = await self._topologies.queue(namespace, request.queue)
        if request.to_queue:
            await self._topologies.queue(namespace, valid_id(request.to_queue, "to_queue"))
        response = pb.RedriveResponse()
        clock = asyncio.get_running_loop().time
        started = clock()
        wanted = frozenset(request.sequences)
        page = await self._page(queue, max(1, request.sequence), limits.BROWSE_MAX)
        while page:
            at = 0
            while at < len(page):
                left = most - response.moved
                if left <= 0 or clock() - started > REDRIVE_S:
                    response.remaining, response.next_sequence = True, page[at].sequence
                    return response
                chunk = page[at : at + (1 if request.rate else min(left, MOVED_TOGETHER))]
                await asyncio.gather(
                    *(
                        self._move(queue, request, stored, response)
                        for stored in chunk
                        if _matches(request, stored, wanted)
                    )
                )
                if request.rate:
                    due = started + (response.moved + response.kept) / request.rate
                    await asyncio.sleep(max(0.0, min(due - clock(), REDRIVE_S)))
                at += len(chunk)
            page = await self._page(queue, page[-1].sequence + 1, limits.BROWSE_MAX)
        return response

    async def discard(self, namespace: str, request: pb.DiscardRequest) -> int:
        """Delete messages by their positions; return the number of those that existed."""
        _bounded("sequences", len(request.sequences), limits.BROWSE_MAX)
        queue = await self._topologies.queue(namespace, request.queue)
        removed = await asyncio.gather(
            *(self._streams.remove(queue, each) for each in set(request.sequences) if each)
        )
        return sum(removed)

    async def purge(self, namespace: str, name: str) -> int:
        queue = await self._topologies.queue(namespace, name)
        try:
            return await self._streams.purge(queue)
        except StreamMissing:
            return 0

    async def state(self, queue: StoredQueue) -> topology_pb2.QueueState:
        """Return the state of a queue; an empty one if its stream was lost."""
        state = topology_pb2.QueueState(queue=queue.config)
        state.counters.CopyFrom(_counters(self._metrics.of(queue)))
        try:
            info = await self._streams.info(queue)
            consumers = await self._streams.consumer_states(queue)
        except StreamMissing:
            return state
        held = info["state"]
        state.depth, state.bytes = held["messages"], held["bytes"]
        state.oldest_at_us = micros(held["first_ts"]) if state.depth else 0
        subjects = held.get("subjects") or {}
        for subject, depth in sorted(subjects.items(), reverse=True):
            priority = int(subject.rpartition(".")[2])
            state.priorities.add(priority=priority, depth=depth)
        state.in_flight = sum(each["num_ack_pending"] for each in consumers)
        state.ready = state.depth - min(state.depth, state.in_flight)
        # Every consumer of a queue waits at all its priorities.
        state.consumers = max((each["num_waiting"] for each in consumers), default=0)
        if queue.is_stream:
            state.ready = state.depth
            state.groups.extend(_group(each) for each in consumers)
        return state

    async def state_with_dead_letters(self, queue: StoredQueue) -> topology_pb2.QueueState:
        state = await self.state(queue)
        if name := queue.config.dead_letter_queue:
            known = (await self._topologies.of(queue.namespace)).queues.get(name)
            if known is not None:
                state.dead_letters = (await self.state(known)).depth
        return state

    async def _move(
        self,
        queue: StoredQueue,
        request: pb.RedriveRequest,
        stored: StoredMessage,
        response: pb.RedriveResponse,
    ) -> None:
        name = request.to_queue or stored.message.death.queue
        message = message_pb2.Message()
        message.CopyFrom(stored.message)
        message.ClearField("death")
        try:
            if not name:
                raise _no_origin()
            target = await self._topologies.queue(queue.namespace, name)
            msg_id = f"redrive:{queue.id}:{stored.sequence}:{stored.at_us}"
            try:
                await self._streams.put(target, message, msg_id=msg_id)
            except StreamMissing:
                await self._streams.ensure(target)
                await self._streams.put(target, message, msg_id=msg_id)
        except FlowmeshError as error:
            response.kept += 1
            response.last_error = f"{error.reason}: {error.message}"
            return
        await self._streams.remove(queue, stored.sequence)
        response.moved += 1

    async def _page(self, queue: StoredQueue, sequence: int, count: int) -> list[StoredMessage]:
        try:
            return await self._streams.page(queue, sequence, count)
        except StreamMissing:
            return []


def _matches(request: pb.RedriveRequest, stored: StoredMessage, wanted: frozenset[int]) -> bool:
    death = stored.message.death
    return (
        (not request.reason or death.reason == request.reason)
        and (not request.from_queue or death.queue == request.from_queue)
        and (not wanted or stored.sequence in wanted)
    )


def _counters(counters: QueueCounters) -> topology_pb2.QueueCounters:
    return topology_pb2.QueueCounters(
        published=counters.published,
        delivered=counters.delivered,
        acknowledged=counters.acknowledged,
        failed=counters.failed,
        expired=counters.expired,
        dead_lettered=counters.dead_lettered,
        dropped=counters.dropped,
        rejected_full=counters.rejected_full,
        errors=dict(counters.errors.most_common(ERRORS_SHOWN)),
    )


def _group(consumer: dict[str, Any]) -> topology_pb2.GroupState:
    return topology_pb2.GroupState(
        group=(consumer["config"].get("metadata") or {}).get("group", ""),
        pending=consumer["num_pending"],
        in_flight=consumer["num_ack_pending"],
        acknowledged=consumer["ack_floor"]["stream_seq"],
    )


def _no_origin() -> Invalid:
    text = "to_queue: the message is not a dead letter: name the queue that it goes to."
    return Invalid("REQUEST_INVALID", text)


def _bounded(field: str, value: int, most: int) -> int:
    if value > most:
        what = f"must be at most {most:,}, not {value:,}"
        violation = Violation(field, what, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", f"{field}: {what}.", violations=(violation,))
    return value
