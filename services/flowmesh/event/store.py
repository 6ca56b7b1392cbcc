"""Positions and deliveries as rows. Times are those of the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.event.callbacks import Callback
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

MIGRATIONS: Final = files("flowmesh.event").joinpath("migrations")
# Longer than the retention of the stream and of outboxes, which may redeliver an event.
DELIVERIES_KEPT_DAYS: Final = 14
POSITIONS_KEPT_DAYS: Final = 60
ORDINAL_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """A message of a stream; `made_us` distinguishes a stream from a recreated one."""

    stream: str
    made_us: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Due:
    """A claimed delivery."""

    ordinal: int
    id: str
    namespace: str
    execution_id: str
    workflow_id: str
    kind: str
    url: str
    host: str
    secret: str
    event: bytes
    attempts: int


class DeliveryStore:
    """Positions in the event stream, and deliveries of callbacks."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, keys: DataKeys = NO_KEYS) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.event").joinpath("sql"), keys=keys)

    async def positions(self) -> dict[int, int]:
        rows = [row async for row in self._sql.load_positions(self._pool)]
        return {row["incarnation"]: row["position"] for row in rows}

    async def place(self, stream: str) -> StreamPosition | None:
        row = await self._sql.load_place(self._pool, stream=stream)
        return StreamPosition(stream, row["made_us"], row["sequence"]) if row else None

    async def take_in(
        self,
        positions: Mapping[int, int],
        place: StreamPosition,
        callbacks: Sequence[Callback],
        audit: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """Store positions, callbacks and entries of the audit log in one statement.

        Return the number of new deliveries.
        """
        new: int = await self._sql.take_in(
            self._pool,
            incarnations=list(positions),
            reached=list(positions.values()),
            stream=place.stream,
            made_us=place.made_us,
            sequence=place.sequence,
            ids=[each.id for each in callbacks],
            namespaces=[each.namespace for each in callbacks],
            execution_ids=[each.execution_id for each in callbacks],
            workflow_ids=[each.workflow_id for each in callbacks],
            kinds=[each.kind for each in callbacks],
            sequences=[each.sequence for each in callbacks],
            urls=[each.url for each in callbacks],
            hosts=[each.host for each in callbacks],
            secrets=[each.secret for each in callbacks],
            events=[each.event for each in callbacks],
            happened=[each.happened_us for each in callbacks],
            audit=orjson.dumps(audit).decode() if audit else None,
        )
        return new

    async def add_delivery(self, callback: Callback) -> None:
        """Store a delivery that does not follow from a commit, unless it already exists."""
        await self._sql.add_delivery(
            self._pool,
            id=callback.id,
            namespace=callback.namespace,
            execution_id=callback.execution_id,
            workflow_id=callback.workflow_id,
            kind=callback.kind,
            sequence=callback.sequence,
            url=callback.url,
            host=callback.host,
            secret=callback.secret,
            event=callback.event,
            happened_us=callback.happened_us,
        )

    async def claim(
        self, *, busy_hosts: Sequence[str], free: int, per_host: int, lease_ms: int
    ) -> list[Due]:
        """Claim due deliveries for the duration of the lease."""
        rows = self._sql.claim(
            self._pool, busy_hosts=busy_hosts, free=free, per_host=per_host, lease_ms=lease_ms
        )
        return [Due(**row) async for row in rows]

    async def next_due_ms(self, *, busy_hosts: Sequence[str]) -> int | None:
        """Return the time until the next delivery is due, or None if none is pending."""
        wait_ms = await self._sql.next_due(self._pool, busy_hosts=busy_hosts)
        return None if wait_ms is None else max(0, wait_ms)

    async def end(self, ordinal: int, *, status: str, attempts: int, last_error: str) -> None:
        await self._sql.end_delivery(
            self._pool, ordinal=ordinal, status=status, attempts=attempts, last_error=last_error
        )

    async def postpone(
        self, ordinal: int, *, attempts: int, last_error: str, delay_ms: int
    ) -> None:
        await self._sql.postpone(
            self._pool,
            ordinal=ordinal,
            attempts=attempts,
            last_error=last_error,
            delay_ms=delay_ms,
        )

    async def deliveries(
        self, namespace: str, *, execution_id: str, before: int, page_size: int
    ) -> list[Mapping[str, Any]]:
        rows = self._sql.list_deliveries(
            self._pool,
            namespace=namespace,
            execution_id=execution_id,
            before=before,
            page_size=page_size,
        )
        return [row async for row in rows]

    async def delete_expired(self) -> None:
        """Delete rows past their retention."""
        await self._sql.delete_expired_deliveries(self._pool, days=DELIVERIES_KEPT_DAYS)
        await self._sql.delete_expired_positions(self._pool, days=POSITIONS_KEPT_DAYS)
