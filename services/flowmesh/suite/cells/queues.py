"""Exchanges and queues of a project with their messages, taken to another cell.

While the project is switched, nothing leaves its queues in either cell: the messages of the source
are imported at the target, and removed at the source when the target is the home. Those of streams
keep their positions, and are copied before that.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import message_service_pb2 as messages_pb
from flowmesh.api.broker.v1 import queue_move_service_pb2 as move_pb
from flowmesh.api.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from flowmesh.api.broker.v1.message_service_pb2_grpc import MessageServiceStub
from flowmesh.api.broker.v1.queue_move_service_pb2_grpc import QueueMoveServiceStub
from flowmesh.api.broker.v1.topology_pb2 import (
    Binding,
    Exchange,
    Queue,
    QueueKind,
    QueueState,
)
from flowmesh.cells import COPYING, SWITCHING, Move
from flowmesh.errors import NotFound, WrongState
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import CannotMove, Part, Route

SWITCHED_MAX = 10_000
"""Messages that are copied within the seconds of the switch; the others follow it."""

QUIET_S = 1.0
"""Time for settlements that began before the queues were suspended."""

DELAYED = ""
"""The name of the delayed messages in calls of moves."""

LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class _Topology:
    """The exchanges and queues of a project in one cell by name, and its bindings."""

    exchanges: dict[str, Exchange]
    queues: dict[str, Queue]
    bindings: dict[bytes, Binding]


class _Broker:
    """The queues of a project in one cell."""

    def __init__(self, calls: CellCalls) -> None:
        self._calls = calls
        self._stub = BrokerServiceStub(calls.channel)
        self._messages = MessageServiceStub(calls.channel)
        self._moves = QueueMoveServiceStub(calls.channel)

    async def states(self) -> list[QueueState]:
        request = pb.ListQueuesRequest()
        found: list[QueueState] = await self._calls.listed(self._stub.ListQueues, request, "queues")
        return found

    async def topology(self) -> _Topology:
        call, stub = self._calls.call, self._stub
        exchanges = await call(stub.ListExchanges, pb.ListExchangesRequest())
        bindings = await call(stub.ListBindings, pb.ListBindingsRequest())
        return _Topology(
            {each.exchange: each for each in exchanges.exchanges},
            {each.queue.queue: each.queue for each in await self.states()},
            {each.SerializeToString(deterministic=True): each for each in bindings.bindings},
        )

    async def declare_exchange(self, exchange: Exchange) -> None:
        request = pb.DeclareExchangeRequest(exchange=exchange)
        await self._calls.call(self._stub.DeclareExchange, request)

    async def declare_queue(self, queue: Queue) -> None:
        request = pb.DeclareQueueRequest(queue=queue)
        await self._calls.call(self._stub.DeclareQueue, request)

    async def bind(self, binding: Binding) -> None:
        await self._calls.call(self._stub.Bind, pb.BindRequest(binding=binding))

    async def unbind(self, binding: Binding) -> None:
        await self._calls.call(self._stub.Unbind, pb.UnbindRequest(binding=binding))

    async def delete_exchange(self, name: str) -> None:
        request = pb.DeleteExchangeRequest(exchange=name)
        await self._calls.call(self._stub.DeleteExchange, request)

    async def delete_queue(self, name: str, *, if_empty: bool) -> None:
        request = pb.DeleteQueueRequest(queue=name, if_empty=if_empty)
        await self._calls.call(self._stub.DeleteQueue, request)

    async def delete_all(self) -> None:
        """Delete all exchanges and queues with their messages, also the delayed ones."""
        await self.remove(DELAYED, LAST)
        present = await self.topology()
        for exchange in present.exchanges:
            await self.delete_exchange(exchange)
        for queue in present.queues:
            await self.delete_queue(queue, if_empty=False)

    async def suspend(self, *, suspended: bool) -> None:
        request = move_pb.SuspendQueuesRequest(suspended=suspended)
        await self._calls.call(self._moves.SuspendQueues, request)

    async def page(self, queue: str, sequence: int) -> move_pb.ExportMessagesResponse:
        request = move_pb.ExportMessagesRequest(queue=queue, sequence=sequence)
        return await self._calls.call(self._moves.ExportMessages, request)

    async def take(
        self, queue: str, page: move_pb.ExportMessagesResponse, last_sequence: int = 0
    ) -> int:
        """Store a page, with its positions up to a last one; return the position that is known."""
        request = move_pb.ImportMessagesRequest(
            queue=queue, origin=page.origin, messages=page.messages, last_sequence=last_sequence
        )
        return (await self._calls.call(self._moves.ImportMessages, request)).sequence

    async def seek(self, stream: str, group: str, sequence: int) -> None:
        """Give a group of a stream a position."""
        request = messages_pb.SeekGroupRequest(
            queue=stream, group=group, position=messages_pb.Position(sequence=sequence)
        )
        await self._calls.call(self._messages.SeekGroup, request)

    async def remove(self, queue: str, last: int) -> None:
        """Remove the messages up to a position."""
        request = move_pb.RemoveMessagesRequest(queue=queue, sequence=last)
        await self._calls.call(self._moves.RemoveMessages, request)


class Queues(Part):
    """The exchanges, queues and messages of a project."""

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._here, self._there = _Broker(route.source), _Broker(route.target)

    async def problems(self, move: Move) -> list[str]:
        """Return the queues of the target with messages that are not those of the source."""
        streams = {each.queue.queue for each in await self._here.states() if _is_stream(each.queue)}
        if move.step != COPYING:
            return []
        return [
            f"messages in queue {each.queue.queue} of cell {self._target.cell.name} already"
            for each in await self._there.states()
            if each.depth
            and not (each.queue.queue in streams and await self._is_copy(each.queue.queue))
        ]

    async def copy(self) -> None:
        """Give the target the topology of the source, and no other, and the messages of streams."""
        for name, queue in (await self._copy_topology()).items():
            if _is_stream(queue):
                await self._copy_stream(name)

    async def _copy_topology(self) -> dict[str, Queue]:
        """Declare what the source has at the target, and no more; return the queues by name."""
        here, there = await self._here.topology(), await self._there.topology()
        await self._remove_others(here, there)
        for name, exchange in _ordered(here.exchanges, "alternate"):
            if there.exchanges.get(name) != exchange:
                await self._there.declare_exchange(exchange)
        for name, queue in _ordered(here.queues, "dead_letter_queue"):
            if there.queues.get(name) != queue:
                await self._there.declare_queue(queue)
        for key in here.bindings.keys() - there.bindings.keys():
            await self._there.bind(here.bindings[key])
        return here.queues

    async def switch(self, move: Move) -> None:
        """Copy the last changes and the messages; both cells keep them to themselves."""
        await self._copy_topology()
        await self._there.suspend(suspended=True)
        await self._here.suspend(suspended=True)
        await asyncio.sleep(QUIET_S)
        left = SWITCHED_MAX
        for each in await self._here.states():
            if _is_stream(each.queue):
                await self._copy_stream(each.queue.queue)
                for group in each.groups:
                    after = group.acknowledged + 1
                    await self._there.seek(each.queue.queue, group.group, after)
            elif each.depth:
                left -= await self._transfer(each.queue.queue, most=left)
        await self._transfer(DELAYED, most=left)

    async def start(self, move: Move) -> None:
        """Deliver at the target."""
        await self._there.suspend(suspended=False)

    async def follow(self) -> None:
        """Take what is left at the source, and what executions publish there."""
        names = [each.queue.queue for each in await self._here.states() if each.depth]
        for queue in [*names, DELAYED]:
            try:
                await self._transfer(queue, removes=True)
            except NotFound:
                # It was deleted at the target.
                await self._here.remove(queue, LAST)

    async def end(self) -> None:
        """Delete the queues of the source, which are empty."""
        await self._here.delete_all()
        await self._here.suspend(suspended=False)

    async def cancel(self, move: Move) -> None:
        """Delete what the target has got, and serve the queues at the source again."""
        if move.step == SWITCHING:
            await self._there.delete_all()
            await self._there.suspend(suspended=False)
            await self._here.suspend(suspended=False)

    async def _is_copy(self, stream: str) -> bool:
        """Return whether the target has messages of a stream of the source."""
        none = await self._here.page(stream, LAST)
        return await self._there.take(stream, none) > 0

    async def _copy_stream(self, name: str) -> None:
        """Make the target have the messages of a stream at their positions. Raises CannotMove."""
        page = await self._page(name, 0)
        first = page.messages[0].sequence if page.messages else page.last_sequence + 1
        if first > 1:
            # What the source has no more.
            await self._there.remove(name, first - 1)
        while True:
            reached = 0
            while reached < page.last_sequence:
                reached = await self._there.take(name, page, page.last_sequence)
            if not page.next_sequence:
                break
            page = await self._page(name, max(page.next_sequence, reached + 1))
        if reached > page.last_sequence:
            raise CannotMove(f"another stream {name} in cell {self._target.cell.name}")

    async def _transfer(self, queue: str, *, removes: bool = False, most: int = LAST) -> int:
        """Import messages of a queue at the target, which leaves out those that it has.

        Return their number, which is above `most` by a page at most. Raises CannotMove.
        """
        sequence = count = reached = 0
        while count < most:
            page = await self._page(queue, sequence)
            if page.messages:
                reached = await self._there.take(queue, page)
                if removes:
                    await self._here.remove(queue, reached)
                count += len(page.messages)
            if not page.next_sequence:
                break
            sequence = max(page.next_sequence, reached + 1)
        return count

    async def _page(self, queue: str, sequence: int) -> move_pb.ExportMessagesResponse:
        """Return messages of the source. Raises CannotMove."""
        page = await self._here.page(queue, sequence)
        if any(each.message.HasField("reference") for each in page.messages):
            raise CannotMove(f"messages with stored bodies in queue {queue}")
        return page

    async def _remove_others(self, here: _Topology, there: _Topology) -> None:
        """Delete at the target what the source has not, or has in another way."""
        for key in there.bindings.keys() - here.bindings.keys():
            await self._there.unbind(there.bindings[key])
        for name, exchange in there.exchanges.items():
            if here.exchanges.get(name) != exchange:
                await self._there.delete_exchange(name)
        for name, queue in there.queues.items():
            if here.queues.get(name) != queue:
                try:
                    # Messages of a stream are copies.
                    await self._there.delete_queue(name, if_empty=not _is_stream(queue))
                except WrongState as error:
                    text = f"another queue {name} in cell {self._target.cell.name}, with messages"
                    raise CannotMove(text) from error


def _is_stream(queue: Queue) -> bool:
    return queue.kind == QueueKind.QUEUE_KIND_STREAM


def _ordered(declared: dict[str, Any], before: str) -> list[tuple[str, Any]]:
    """Return declarations so that one comes behind the other that it names in a field.

    Raises CannotMove for those that name each other in a ring, or one that does not exist.
    """
    found: dict[str, Any] = {}
    left = dict(declared)
    while left:
        ready = [
            name
            for name, each in left.items()
            if (other := getattr(each, before)) in ("", name) or other in found
        ]
        if not ready:
            names = ", ".join(sorted(left)[:5])
            text = f"{names}, whose {before.replace('_', ' ')} was deleted or made again"
            raise CannotMove(text)
        for name in ready:
            found[name] = left.pop(name)
    return list(found.items())
