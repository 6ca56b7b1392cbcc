"""Messages between executions, and executions that wait for signals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from flowmesh.access.encryption import message_place
from flowmesh.errors import WrongState
from flowmesh.orchestrator.storage.database import Queries


class PendingMessage(NamedTuple):
    """A message to another execution that is committed and not known to be delivered."""

    partition: int
    id: str
    target: str
    command: bytes


class Listening(NamedTuple):
    """An execution that waits for events of a type; `name` ends with a space and the signal."""

    namespace: str
    type: str
    name: str
    execution_id: str


class SentSignal(NamedTuple):
    """The name of a signal with key, and the executions that it was sent to."""

    name: str
    execution_ids: list[str]


class MessageStore:
    """Reads pending messages and waits; stores signals that were sent by key."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def pending(self, partitions: Sequence[int], rows_max: int) -> list[PendingMessage]:
        """Return undelivered messages in the order of their commits."""
        rows = await self._queries.records(
            PendingMessage, "pending_messages", partitions=list(partitions), rows_max=rows_max
        )
        return list(self._readable(rows))

    async def pending_outward(
        self, partitions: Sequence[int], rows_max: int, each_max: int
    ) -> list[PendingMessage]:
        """Return undelivered messages to other projects, at most `each_max` of a namespace."""
        rows = await self._queries.records(
            PendingMessage,
            "pending_outward",
            partitions=list(partitions),
            rows_max=rows_max,
            each_max=each_max,
        )
        return list(self._readable(rows))

    def _readable(self, rows: Sequence[PendingMessage]) -> Iterator[PendingMessage]:
        """Yield the messages that can be opened; others stay until their execution is deleted."""
        for row in rows:
            with suppress(WrongState):
                command = self._queries.keys.open(row.command, message_place(row.id))
                yield row._replace(command=command)

    async def waiting_for(self, namespace: str, signal: str, rows_max: int) -> list[str]:
        """Return executions that wait for a signal with key."""
        rows = await self._queries.rows(
            "waiting_under", namespace=namespace, signal=signal, rows_max=rows_max
        )
        return [row["execution_id"] for row in rows]

    async def listening(
        self,
        *,
        namespaces: Sequence[str],
        types: Sequence[str],
        names: Sequence[str],
        rows_max: int,
    ) -> list[Listening]:
        """Return executions that wait for events, at most `rows_max` for each type."""
        return await self._queries.records(
            Listening,
            "listening",
            namespaces=list(namespaces),
            types=list(types),
            names=list(names),
            rows_max=rows_max,
        )

    async def send_keyed_signal(
        self, namespace: str, request_id: str, signal: str, rows_max: int
    ) -> SentSignal | None:
        """Store the receivers of a signal; a repeated request returns those stored first.

        Returns None, and stores nothing, if no execution waits for the signal.
        """
        return await self._queries.record(
            SentSignal,
            "send_keyed_signal",
            namespace=namespace,
            request_id=request_id,
            signal=signal,
            rows_max=rows_max,
        )

    async def delete_keyed_signals(self) -> None:
        """Delete the receivers of signals that were sent more than a day ago."""
        await self._queries.one("delete_keyed_signals")

    async def awaiting_approval(
        self, namespace: str, names: Sequence[str] | None, *, after: str, rows_max: int
    ) -> list[str]:
        """Return executions that wait for approvals with one of these names, None for any."""
        if names is None:
            rows = await self._queries.rows(
                "all_executions_that_ask", namespace=namespace, after=after, rows_max=rows_max
            )
        else:
            rows = await self._queries.rows(
                "executions_that_ask",
                namespace=namespace,
                names=list(names),
                after=after,
                rows_max=rows_max,
            )
        return [row["execution_id"] for row in rows]
