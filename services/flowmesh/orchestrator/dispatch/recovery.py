"""Open tasks read back from the rows, by a new owner or when the ready queues have run dry.

A new owner of partitions adopts what still runs there and sends the rest.

After a crash it waits for the workers of the former owner to come back and say what they hold, for
a second at most; after a planned hand-over only until the worker services attached have answered.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from flowmesh.engine import DeliveryLost, Finish, NodeState, State
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.limits.ready_queues import Key, key_of
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import partition_of, token_of
from flowmesh.orchestrator.storage.database import until_answered
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.orchestrator.storage.stores.schedule_store import Lane, ReadyExecution, ScheduleStore

CLAIM_WAIT_S = 1.0
PAGE = 500


class Recovery:
    """Reads open tasks of owned partitions back from the rows."""

    def __init__(
        self,
        *,
        store: ScheduleStore,
        states: States,
        epochs: Mapping[int, int],
        barrier: Callable[[], Awaitable[None]],
        submit: Callable[[PendingCommand], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._store = store
        self._states = states
        self._epochs = epochs
        self._barrier = barrier
        self._submit = submit
        self._spawn = spawn
        # Kinds and priorities with more tasks in the rows than there was room for.
        self._wanted: set[tuple[Key, int]] = set()
        self._refilling = False
        # Partitions whose open tasks are all known, at these epochs; and kinds that were read again
        # while those of others were not.
        self._recovered: dict[int, int] = {}
        self._passed_over: set[tuple[Key, int]] = set()
        # Executions to be looked at once that is so of their partitions.
        self._early: set[str] = set()

    async def recover(
        self,
        dispatcher: Dispatcher,
        partitions: Mapping[int, int],
        awaited: frozenset[str] | None,
    ) -> int:
        """Adopts or sends every open task of partitions that are ours at these epochs; returns how
        many were open. One that is lost meanwhile is left alone, though it may be ours again.

        `awaited` are workers that may hold some; None where nobody knows who does.
        """
        found = await self._found(dispatcher, partitions, awaited)
        mine = self.still_ours(partitions)
        dispatcher.limiter.permits.recovered(mine)
        self._recovered.update((partition, partitions[partition]) for partition in mine)
        dispatcher.ready.left_to_rows(self._passed_over)
        self._passed_over.clear()
        dispatcher.pump()
        early, self._early = self._early, set()
        if early:
            await self._look_again(dispatcher, early)
        return found

    def still_ours(self, partitions: Mapping[int, int]) -> list[int]:
        """Those that are ours at these epochs."""
        return [p for p, epoch in partitions.items() if self._epochs.get(p) == epoch]

    async def _found(
        self,
        dispatcher: Dispatcher,
        partitions: Mapping[int, int],
        awaited: frozenset[str] | None,
    ) -> int:
        mine = list(partitions)
        waits = bool(await self._lanes(mine))
        # What runs of executions that have ended is heard of too, and stopped.
        claim = dispatcher.services.claim(self.still_ours(partitions), awaited)
        try:
            async with asyncio.timeout(CLAIM_WAIT_S):
                if waits:
                    await claim.settled.wait()
        except TimeoutError:
            pass
        finally:
            dispatcher.services.end_claim(claim)
        if not waits:
            return 0
        # An execution may have several lanes, and others by the time they are read.
        seen: set[str] = set()
        found = 0
        for lane in await self._lanes(mine):
            async for states in self._executions(mine, lane):
                new = [state for state in states if state.execution_id not in seen]
                seen.update(state.execution_id for state in new)
                found += sum(self._recover(dispatcher, state, partitions) for state in new)
                dispatcher.pump()
        return found

    # --- what dispatchers ask for ---

    def fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Load executions whose tasks were adopted by their tokens: some may not be open."""
        self._spawn(self._fetch_adopted(dispatcher, execution_ids))

    async def _fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        dispatcher.adoption.fetched(await self._settled(execution_ids))

    def requeue(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Queue tasks without a lease of executions that were not in memory as stored."""
        self._spawn(self._look_again(dispatcher, execution_ids))

    def refill(self, dispatcher: Dispatcher, kinds: set[tuple[Key, int]]) -> None:
        """Queue tasks for which there was no room, one kind and priority at a time."""
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

    async def _look_again(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Queue open tasks without a lease once nothing about their executions is uncommitted."""
        found = await self._settled(execution_ids)
        for execution_id in execution_ids:
            entry, partition = found.get(execution_id), partition_of(execution_id)
            epoch = self._epochs.get(partition if partition is not None else -1)
            if epoch is not None and self._recovered.get(partition or 0) != epoch:
                self._early.add(execution_id)
            elif entry is not None and not entry.state.paused:
                self._queue(dispatcher, entry.state, list(entry.state.at_workers.values()))
        dispatcher.pump()

    async def refill_kind(self, dispatcher: Dispatcher, key: Key, priority: int) -> None:
        """Queues tasks of one kind that nobody holds, as many as there is room for.

        Who holds those of a partition that is being taken over is not known yet.
        """
        partitions = self.still_ours(self._recovered)
        if len(partitions) < len(self._epochs):
            self._passed_over.add((key, priority))
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
        """Executions with open tasks in a lane, by pages, when nothing about them is on its way."""
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

    async def _settled(self, execution_ids: Iterable[str]) -> dict[str, Entry]:
        """Executions as they are when nothing about them is decided and not committed.

        What was decided while they were read, and came to nothing, was in what was read.
        """
        ids = sorted(execution_ids)
        while True:
            discarded = self._states.discarded
            found = await until_answered(partial(self._states.fetch, ids))
            await self._barrier()
            if self._states.discarded == discarded:
                return {i: self._states.get(i) or entry for i, entry in found.items()}

    def _partition(self, state: State, partitions: Mapping[int, int]) -> int | None:
        """That of an execution, if it is ours as it was when these were."""
        partition = partition_of(state.execution_id)
        if partition is None or self._epochs.get(partition, -1) != partitions.get(partition):
            return None
        return partition

    def _recover(self, dispatcher: Dispatcher, state: State, partitions: Mapping[int, int]) -> int:
        """Adopts what workers hold of an execution's open tasks, sends the rest; counts them."""
        partition = self._partition(state, partitions)
        if partition is None:
            return 0
        for node in state.at_workers.values():
            token = token_of(state.execution_id, node.id, node.attempt)
            lease = dispatcher.leases.get(token)
            if lease is not None:
                dispatcher.adoption.recognize(lease, state, node)
            elif node.delivery:
                command = DeliveryLost(node.id, node.attempt, "OWNER_LOST")
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
        """Those of an execution's open tasks that nobody holds."""
        partition = self._partition(state, self._recovered)
        if partition is None:
            return
        for node in nodes:
            token = token_of(state.execution_id, node.id, node.attempt)
            if dispatcher.leases.get(token) is None:
                dispatcher.add(state, node, partition)

    async def finish_stranded(self, partitions: Iterable[int]) -> None:
        """Ends executions whose nodes have all ended but whose output was not rendered yet."""
        for execution_id in await self._store.stranded_executions(list(partitions)):
            partition = partition_of(execution_id)
            if partition is not None:
                self._submit(PendingCommand(execution_id, partition, Finish()))
