"""Callers that wait for the end of an execution; in memory, a lost owner makes them repeat."""

import asyncio
from collections.abc import Callable, Iterable

from flowmesh.engine import State
from flowmesh.orchestrator.model.errors import Moved
from flowmesh.orchestrator.model.ids import partition_of

Ended = Callable[[State | None], None]
"""Called with the ended state, or with None if another owner must be asked."""


class Waiters:
    """Futures and callbacks by execution."""

    def __init__(self) -> None:
        self._futures: dict[str, list[asyncio.Future[State]]] = {}
        self._callbacks: dict[str, list[Ended]] = {}

    def future(self, execution_id: str) -> asyncio.Future[State]:
        """Return a future of the ended state; it fails with Moved if the partition is lost."""
        future: asyncio.Future[State] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(execution_id, []).append(future)
        future.add_done_callback(lambda done: self._forget(execution_id, done))
        return future

    def call(self, execution_id: str, ended: Ended) -> None:
        """Call `ended` once at the end; for streams that wait for many executions."""
        self._callbacks.setdefault(execution_id, []).append(ended)

    def forget(self, execution_id: str, ended: Ended) -> None:
        """Remove a callback whose caller has left."""
        waiting = self._callbacks.get(execution_id, [])
        if ended in waiting:
            waiting.remove(ended)
        if not waiting:
            self._callbacks.pop(execution_id, None)

    def __len__(self) -> int:
        return len(self._futures) + len(self._callbacks)

    def ended(self, state: State) -> None:
        for future in self._futures.pop(state.execution_id, ()):
            if not future.done():
                future.set_result(state)
        for ended in self._callbacks.pop(state.execution_id, ()):
            ended(state)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        for execution_id in [i for i in self._futures if partition_of(i) in gone]:
            for future in self._futures.pop(execution_id, ()):
                if not future.done():
                    future.set_exception(Moved(partition_of(execution_id) or 0))
        for execution_id in [i for i in self._callbacks if partition_of(i) in gone]:
            for ended in self._callbacks.pop(execution_id, ()):
                ended(None)

    def _forget(self, execution_id: str, future: "asyncio.Future[State]") -> None:
        waiting = self._futures.get(execution_id)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._futures[execution_id]
