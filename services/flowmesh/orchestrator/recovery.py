"""What a new owner does with the partitions it gained: adopt what still runs, send the rest.

After a crash it waits a second for worker services to come back and say what they hold; after a
planned hand-over only until those attached have answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from flowmesh.engine import DeliveryLost, Finish, State
from flowmesh.orchestrator.dispatcher import Dispatcher
from flowmesh.orchestrator.ids import partition_of, token_of
from flowmesh.orchestrator.ready import Key, key_of
from flowmesh.orchestrator.states import Found, States
from flowmesh.orchestrator.store import CONNECTION_LOST, OrchestratorStore
from flowmesh.orchestrator.works import Work

CLAIM_WAIT_S = 1.0
PAGE = 500
RETRY_S = 0.5


class Recovery:
    """Reads open work of gained partitions back from the rows."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        states: States,
        dispatcher: Dispatcher,
        epochs: Mapping[int, int],
        barrier: Callable[[], Awaitable[None]],
        log: Any,
    ) -> None:
        self._store = store
        self._states = states
        self._dispatcher = dispatcher
        self._epochs = epochs
        self._barrier = barrier
        self._log = log

    async def recover(self, partitions: Iterable[int], *, planned: bool) -> int:
        """Adopts or sends every open task of the partitions; returns how many were open."""
        mine = list(partitions)
        if not (await self._read(mine, None, rows_max=1))[0]:
            return 0
        answered = self._dispatcher.claim(mine)
        try:
            async with asyncio.timeout(CLAIM_WAIT_S):
                await answered.wait()
                if not planned:
                    await asyncio.Event().wait()
        except TimeoutError:
            pass
        return await self.scan(mine)

    async def scan(self, partitions: list[int], only: Collection[Key] = ()) -> int:
        """Queues every open task of the partitions that nobody holds; of some keys `only`."""
        found = 0
        last: Any = None
        while True:
            rows, entries = await self._read(partitions, last)
            # What is decided and not committed must not leave: look when nothing is.
            await self._barrier()
            for row in rows:
                known = self._states.get(row["id"]) or entries.get(row["id"])
                if known is not None:
                    found += self._queue(known.state, only)
            self._dispatcher.pump()
            if len(rows) < PAGE:
                return found
            last = rows[-1]

    async def _read(
        self, partitions: list[int], last: Any, rows_max: int = PAGE
    ) -> tuple[list[Any], Found]:
        """The next page and its executions, as soon as the database answers."""
        while True:
            try:
                rows = await self._page(partitions, last, rows_max)
                return rows, await self._states.fetch([row["id"] for row in rows])
            except CONNECTION_LOST as error:
                self._log.info("recovery_waits", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _page(self, partitions: list[int], last: Any, rows_max: int) -> list[Any]:
        return await self._store.rows(
            "ready_executions",
            partitions=partitions,
            after_priority=last["priority"] if last is not None else 100,
            after_since=last["ready_since"] if last is not None else 0,
            after_id=last["id"] if last is not None else "",
            rows_max=rows_max,
        )

    def _queue(self, state: State, only: Collection[Key]) -> int:
        partition = partition_of(state.execution_id)
        if partition is None or partition not in self._epochs:
            return 0
        count = 0
        for index in list(state.scope.at_workers):
            node = state.plan.nodes[index]
            attempt = state.scope.nodes[index].attempt
            if only and key_of(state.plan, node) not in only:
                continue
            count += 1
            lease = self._dispatcher.leases.get(token_of(state.execution_id, node.id, attempt))
            if lease is not None:
                self._dispatcher.watch(lease, node)
                continue
            if state.scope.nodes[index].delivery and not only:
                command = DeliveryLost(node.id, attempt, "OWNER_LOST")
                self._dispatcher.submit(Work(state.execution_id, partition, command))
            else:
                self._dispatcher.add(state, index, partition)
        return count

    async def finish_stranded(self, partitions: Iterable[int]) -> None:
        """Ends executions whose nodes have all ended but whose output was not rendered yet."""
        rows = await self._store.rows("stranded_executions", partitions=list(partitions))
        for row in rows:
            partition = partition_of(row["id"])
            if partition is not None:
                self._dispatcher.submit(Work(row["id"], partition, Finish()))
