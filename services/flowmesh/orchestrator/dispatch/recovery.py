"""Recovery of open tasks from the rows, by a new owner or when the ready queues are empty.

A new owner of partitions adopts tasks that still run and sends the others. After a crash it waits
up to a second for the workers of the former owner to reconnect and report their tasks. After a
planned hand-over it waits for the answers of the attached worker services only.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from flowmesh.engine import DELIVERIES_MAX, DeliveryLost, Finish, NodeState, State
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.limits.ready_queues import Key, key_of
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import partition_of, token_of
from flowmesh.orchestrator.storage.database import until_answered
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.orchestrator.storage.stores.schedule_store import Lane, ReadyExecution, ScheduleStore

CLAIM_WAIT_S = 1.0
# Executions of a lane that are read before those of the next one.
PAGE = 100


class Recovery:
    """Reads open tasks of owned partitions from the rows."""

    def __init__(
        self,
        *,
        store: ScheduleStore,
        states: States,
        epochs: Mapping[int, int],
        barrier: Callable[[], Awaitable[None]],
        submit: Callable[[PendingCommand], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        deliveries_max: int = DELIVERIES_MAX,
    ) -> None:
        self._store = store
        self._states = states
        self._epochs = epochs
        self._barrier = barrier
        self._submit = submit
        self._spawn = spawn
        self._deliveries_max = deliveries_max
        # Kinds and priorities that left tasks in the rows for lack of room.
        self._wanted: set[tuple[Key, int]] = set()
        self._refilling = False
        # Epochs of partitions whose open tasks are all known; kinds that were read again while
        # other partitions were not recovered.
        self._recovered: dict[int, int] = {}
        self._incomplete: set[tuple[Key, int]] = set()
        # Executions to queue once their partitions are recovered.
        self._deferred: set[str] = set()

    async def recover(
        self,
        dispatcher: Dispatcher,
        partitions: Mapping[int, int],
        awaited: frozenset[str] | None,
    ) -> int:
        """Adopt or send every open task of partitions owned at these epochs; return their number.

        A partition that is lost meanwhile is skipped, even if it is gained again. `awaited` are
        workers that may hold tasks; None if they are unknown.
        """
        found = await self._recover_all(dispatcher, partitions, awaited)
        mine = self.still_ours(partitions)
        dispatcher.limiter.permits.recovered(mine)
        self._recovered.update((partition, partitions[partition]) for partition in mine)
        dispatcher.ready.left_to_rows(self._incomplete)
        self._incomplete.clear()
        dispatcher.pump()
        deferred, self._deferred = self._deferred, set()
        if deferred:
            await self._requeue(dispatcher, deferred)
        return found

    def still_ours(self, partitions: Mapping[int, int]) -> list[int]:
        """Return the partitions that this process owns at these epochs."""
        return [p for p, epoch in partitions.items() if self._epochs.get(p) == epoch]

    async def _recover_all(
        self,
        dispatcher: Dispatcher,
        partitions: Mapping[int, int],
        awaited: frozenset[str] | None,
    ) -> int:
        mine = list(partitions)
        has_open_tasks = bool(await self._lanes(mine))
        # Running tasks of ended executions are reported too, and canceled.
        claim = dispatcher.services.claim(self.still_ours(partitions), awaited)
        try:
            async with asyncio.timeout(CLAIM_WAIT_S):
                if has_open_tasks:
                    await claim.settled.wait()
        except TimeoutError:
            pass
        finally:
            dispatcher.services.end_claim(claim)
        if not has_open_tasks:
            return 0
        # An execution may be in several lanes, and in other ones by the time they are read.
        seen: set[str] = set()
        found = 0
        async for states in self._in_turn(mine, await self._lanes(mine)):
            new = [state for state in states if state.execution_id not in seen]
            seen.update(state.execution_id for state in new)
            found += sum(self._recover(dispatcher, state, partitions) for state in new)
            dispatcher.pump()
        return found

    # --- requests of dispatchers ---

    def fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Load executions whose tasks were adopted by their tokens; some may have ended."""
        self._spawn(self._fetch_adopted(dispatcher, execution_ids))

    async def _fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        dispatcher.adoption.fetched(await self._settled(execution_ids))

    def requeue(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Queue tasks without a lease of executions that are not in memory as stored."""
        self._spawn(self._requeue(dispatcher, execution_ids))

    def refill(self, dispatcher: Dispatcher, kinds: set[tuple[Key, int]]) -> None:
        """Queue tasks that had no room, one kind and priority at a time."""
        self._wanted |= kinds
        if not self._refilling:
            self._refilling = True
            self._spawn(self._refill_wanted(dispatcher))

    async def _refill_wanted(self, dispatcher: Dispatcher) -> None:
        try:
            while self._wanted:
                key, priority = self._wanted.pop()
                await self.refill_kind(dispatcher, key, priority)
        finally:
            self._refilling = False

    async def _requeue(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Queue open tasks without a lease once no decision about them is uncommitted."""
        found = await self._settled(execution_ids)
        for execution_id in execution_ids:
            entry, partition = found.get(execution_id), partition_of(execution_id)
            epoch = self._epochs.get(partition if partition is not None else -1)
            if epoch is not None and self._recovered.get(partition or 0) != epoch:
                self._deferred.add(execution_id)
            elif entry is not None and not entry.state.paused:
                self._queue(dispatcher, entry.state, list(entry.state.at_workers.values()))
        dispatcher.pump()

    async def refill_kind(self, dispatcher: Dispatcher, key: Key, priority: int) -> None:
        """Queue tasks of one kind without a lease, as many as there is room for.

        Partitions that are being taken over are skipped: their leases are not known yet.
        """
        partitions = self.still_ours(self._recovered)
        if len(partitions) < len(self._epochs):
            self._incomplete.add((key, priority))
        namespace, queue, *_ = key
        lane = Lane(namespace, queue, priority)
        async for states in self._executions(partitions, lane):
            for state in states:
                self._refill(dispatcher, state, key, priority)
            dispatcher.pump()
            if not dispatcher.ready.has_room(key, priority):
                return

    async def _lanes(self, partitions: list[int]) -> list[Lane]:
        return await until_answered(partial(self._store.ready_lanes, partitions))

    async def _executions(self, partitions: list[int], lane: Lane) -> AsyncIterator[list[State]]:
        """Read executions with open tasks in a lane, by pages, without uncommitted decisions."""
        last = ReadyExecution("", 0)
        while True:
            rows = await until_answered(
                partial(self._store.ready_executions, partitions, lane, after=last, rows_max=PAGE)
            )
            ids = [row.id for row in rows]
            found = await self._settled(ids)
            yield [found[one].state for one in ids if one in found]
            if len(rows) < PAGE:
                return
            last = rows[-1]

    async def _in_turn(
        self, partitions: list[int], lanes: Iterable[Lane]
    ) -> AsyncIterator[list[State]]:
        """Read a page of each lane in turn, so that a long backlog delays no other namespace."""
        waiting = deque(self._executions(partitions, lane) for lane in lanes)
        while waiting:
            pages = waiting.popleft()
            states = await anext(pages, None)
            if states is not None:
                waiting.append(pages)
                yield states

    async def _settled(self, execution_ids: Iterable[str]) -> dict[str, Entry]:
        """Load executions in a state without uncommitted decisions.

        A decision that is discarded during the read may be part of the result: read it again.
        """
        ids = sorted(execution_ids)
        while True:
            discarded = self._states.discarded
            found = await until_answered(partial(self._states.fetch, ids))
            await self._barrier()
            if self._states.discarded == discarded:
                return {i: self._states.get(i) or entry for i, entry in found.items()}

    def _partition(self, state: State, partitions: Mapping[int, int]) -> int | None:
        """Return an execution's partition if it is owned at the epoch in `partitions`."""
        partition = partition_of(state.execution_id)
        if partition is None or self._epochs.get(partition, -1) != partitions.get(partition):
            return None
        return partition

    def _recover(self, dispatcher: Dispatcher, state: State, partitions: Mapping[int, int]) -> int:
        """Adopt or queue an execution's open tasks; return their number."""
        partition = self._partition(state, partitions)
        if partition is None:
            return 0
        for node in state.at_workers.values():
            token = token_of(state.execution_id, node.id, node.attempt)
            lease = dispatcher.leases.get(token)
            if lease is not None and not lease.is_within_scope(key_of(state.plan, node.planned)):
                dispatcher.leases.pop(token)
                lease = None
            if lease is not None:
                dispatcher.adoption.recognize(lease, state, node)
            elif node.delivery:
                command = DeliveryLost(node.id, node.attempt, "OWNER_LOST", self._deliveries_max)
                self._submit(PendingCommand(state.execution_id, partition, command))
            else:
                dispatcher.add(state, node, partition)
        return len(state.at_workers)

    def _refill(self, dispatcher: Dispatcher, state: State, key: Key, priority: int) -> None:
        nodes = [
            node
            for node in state.at_workers.values()
            if node.planned.priority == priority and key_of(state.plan, node.planned) == key
        ]
        self._queue(dispatcher, state, nodes)

    def _queue(self, dispatcher: Dispatcher, state: State, nodes: Iterable[NodeState]) -> None:
        """Queue those of an execution's open tasks that have no lease."""
        partition = self._partition(state, self._recovered)
        if partition is None:
            return
        for node in nodes:
            token = token_of(state.execution_id, node.id, node.attempt)
            if dispatcher.leases.get(token) is None:
                dispatcher.add(state, node, partition)

    async def finish_stranded(self, partitions: Iterable[int]) -> None:
        """End executions whose nodes have all ended but whose output is not rendered."""
        for execution_id in await self._store.stranded_executions(list(partitions)):
            partition = partition_of(execution_id)
            if partition is not None:
                self._submit(PendingCommand(execution_id, partition, Finish()))
