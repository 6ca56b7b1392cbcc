"""Bugs that are planted on purpose: each takes away one thing that the guarantees rest on.

A test plants them one by one and expects that some seed fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import Journal, Record, Scope
from flowmesh.engine.decisions import attempts, durable
from flowmesh.engine.decisions.step import Step
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.commit.committer import Committer
from flowmesh.orchestrator.commit.effects import CommitEffects
from flowmesh.orchestrator.commit.messenger import Messenger
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.dispatch.dispatch_limiter import DispatchLimiter
from flowmesh.orchestrator.model.errors import StatementRefused
from flowmesh.orchestrator.operations.deliveries import Deliveries
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.commit_connection import CommitConnection, Committed
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.plan import PlanNode
from tests.simulation.servers.loop import elapsed
from tests.simulation.servers.tables import Tables

REREAD_AFTER_S = 0.01


@contextmanager
def replaced(owner: Any, name: str, made: Callable[[Any], Any]) -> Iterator[None]:
    """An attribute of a class or a module, replaced by what `made` makes of it."""
    before = getattr(owner, name)
    setattr(owner, name, made(before))
    try:
        yield
    finally:
        setattr(owner, name, before)


def no_epoch_check() -> AbstractContextManager[None]:
    """A commit applies to every partition it names, with any owner."""

    def fence(self: Tables, incarnation: int, partitions: list[int], epochs: list[int]) -> set[int]:
        return set(partitions)

    return replaced(Tables, "fence", lambda before: fence)


def acknowledged_before_the_commit() -> AbstractContextManager[None]:
    """Callers and workers are answered when their command is decided."""

    def made(before: Any) -> Any:
        def fill(self: Committer, batch: CommitBatch, one: BatchedExecution, now_us: int) -> None:
            before(self, batch, one, now_us)
            self._answer(one)

        return fill

    return replaced(Committer, "_add_rows", made)


def outbox_forgotten() -> AbstractContextManager[None]:
    """Reads of the outbox return nothing."""

    async def read(self: Outbox, incarnation: int, after: int, positions_max: int) -> list[Any]:
        return []

    return replaced(Outbox, "read", lambda before: read)


def stale_attempt_applied() -> AbstractContextManager[None]:
    """A result counts whichever attempt of the node it is of."""

    def made(before: Any) -> Any:
        def current(step: Step, node_id: str, attempt: int) -> Any:
            node = step.state.at_workers.get(node_id)
            return before(step, node_id, node.attempt if node is not None else attempt)

        return current

    return replaced(attempts, "current", made)


def position_read_again() -> AbstractContextManager[None]:
    """After a lost answer the position decides; where it has not moved the batch is given up."""

    async def commit(
        self: CommitConnection, batch: CommitBatch, epochs: Mapping[int, int]
    ) -> Committed:
        arguments = batch.arguments(self.incarnation, self.position, epochs)
        try:
            row = await (await self._statement(batch.parts)).fetchrow(*arguments)
            if row["applied"]:
                self.position += 1
                return Committed(
                    frozenset(row["partitions"]), frozenset(row["started"]), row["now_us"]
                )
        except CONNECTION_LOST:
            await self._drop()
        while True:
            try:
                position = await self._outbox.last_position(self.incarnation)
                if position == self.position + 1:
                    return await self._applied_before(batch, 0)
                raise StatementRefused("not committed", by_content=False)
            except CONNECTION_LOST:
                await elapsed(REREAD_AFTER_S)

    return replaced(CommitConnection, "commit", lambda before: commit)


def messages_forgotten() -> AbstractContextManager[None]:
    """A new owner does not tell what executions had to say to others."""

    async def load(self: Messenger, partitions: Iterable[int]) -> None:
        return None

    return replaced(Messenger, "load", lambda before: load)


def attempts_begin_anew() -> AbstractContextManager[None]:
    """The nodes of a body that begins anew have the attempts that they had before."""

    def next_attempt(self: Scope, planned: PlanNode) -> int:
        node = self.nodes.get(planned.index)
        return (node.attempt if node is not None else 0) + 1

    return replaced(Scope, "next_attempt", lambda before: next_attempt)


def stopped_forgotten() -> AbstractContextManager[None]:
    """The end of a stop does not release the held tasks."""

    def made(before: Any) -> Any:
        def changed(self: DispatchLimiter, *what: Any) -> None:
            self._stopped.clear()
            before(self, *what)

        return changed

    return replaced(DispatchLimiter, "changed", made)


@contextmanager
def take_over_unordered() -> Iterator[None]:
    """A new owner neither says which events come before its own nor brings them back first."""

    def take_after(self: Ownership) -> None:
        self._after = {}

    def made(before: Any) -> Any:
        async def resync(self: Publisher) -> None:
            self._former.clear()
            await before(self)

        return resync

    with (
        replaced(Ownership, "take_after", lambda before: take_after),
        replaced(Publisher, "_resync", made),
    ):
        yield


def lines_forgotten() -> AbstractContextManager[None]:
    """A new owner does not know who has begun and who waits."""

    def starts_of(self: Tables, partitions: list[int], now_us: int) -> list[Any]:
        return []

    return replaced(Tables, "starts_of", lambda before: starts_of)


def ends_untold() -> AbstractContextManager[None]:
    """Joined nodes do not get the outcome."""

    async def told(self: Deliveries, message: pb.ExecutionMessage) -> None:
        return None

    return replaced(Deliveries, "_tell_joined", lambda before: told)


def ahead_anywhere() -> AbstractContextManager[None]:
    """Outputs that ran ahead are added after records that their worker did not know."""

    def made(before: Any) -> Any:
        def new(journal: Journal | None, command: Record) -> Any:
            count = len(journal.records) if journal is not None else 0
            return before(journal, replace(command, known=count))

        return new

    return replaced(durable, "_new", made)


def everything_ahead() -> AbstractContextManager[None]:
    """Every task is sent before the commit of what made it ready."""

    def made(before: Any) -> Any:
        def ahead(self: CommitEffects, execution: BatchedExecution) -> None:
            for node in execution.transition.dispatch:
                node.planned.repeatable = True
            before(self, execution)

        return ahead

    return replaced(CommitEffects, "ahead", made)


PLANTED: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "the epoch check is gone": no_epoch_check,
    "acknowledged before the commit": acknowledged_before_the_commit,
    "the outbox is forgotten": outbox_forgotten,
    "a stale attempt is applied": stale_attempt_applied,
    "the position is read again instead of sending again": position_read_again,
    "messages are forgotten": messages_forgotten,
    "take-overs have no order": take_over_unordered,
    "lines of starts are forgotten": lines_forgotten,
    "ends are not reported to joined nodes": ends_untold,
    "attempts begin anew": attempts_begin_anew,
    "what was stopped is forgotten": stopped_forgotten,
    "outputs that ran ahead are added anywhere": ahead_anywhere,
    "tasks that are not repeatable are sent ahead": everything_ahead,
}
