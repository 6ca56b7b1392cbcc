"""What is stored and what goes over the bus while the suite runs, seen from outside of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import nats

from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.testing.metrics import total
from flowmesh.testing.suite import Suite
from flowmesh.views import event_type

TIMEOUT_S = 10.0


@asynccontextmanager
async def database(suite: Suite, of: str = "orchestrator") -> AsyncIterator[asyncpg.Connection]:
    """A connection to a service's schema in the suite's PostgreSQL that can only read."""
    only_read = {"default_transaction_read_only": "on", "search_path": of}
    connection = await asyncpg.connect(
        str(suite.about["postgres"]), timeout=TIMEOUT_S, server_settings=only_read
    )
    try:
        yield connection
    finally:
        await connection.close()


async def one_row(
    connection: asyncpg.Connection, statement: str, *arguments: object
) -> asyncpg.Record:
    """Return the first row of a query that has one."""
    row = await connection.fetchrow(statement, *arguments)
    assert row is not None, statement
    return row


async def stored(connection: asyncpg.Connection, execution_id: str) -> list[tuple[str, ...]]:
    """Types of the committed events of an execution, commit by commit."""
    rows = await connection.fetch(
        "select events from history where execution_id = $1 order by seq", execution_id
    )
    return [_types(row["events"]) for row in rows]


def _types(body: bytes) -> tuple[str, ...]:
    events = history_event_pb2.HistoryEvents.FromString(body).events
    return tuple(event_type(event) for event in events)


class Bus:
    """The events that were published since it was opened, by execution."""

    def __init__(self) -> None:
        self.events: dict[str, list[history_event_pb2.HistoryEvent]] = {}
        self._more = asyncio.Condition()

    async def until(self, execution_id: str, last: str) -> list[history_event_pb2.HistoryEvent]:
        """The events of an execution once one of the type has come."""

        def there() -> bool:
            return any(event_type(each) == last for each in self.events.get(execution_id, ()))

        async with asyncio.timeout(TIMEOUT_S), self._more:
            await self._more.wait_for(there)
        return self.events[execution_id]

    async def take(self, message: Any) -> None:
        batch = history_service_pb2.EventBatch.FromString(message.data)
        for row in batch.rows:
            events = history_event_pb2.HistoryEvents.FromString(row.events).events
            self.events.setdefault(row.execution_id, []).extend(events)
        async with self._more:
            self._more.notify_all()


@asynccontextmanager
async def bus(suite: Suite) -> AsyncIterator[Bus]:
    """Hears what the orchestrators publish on NATS."""
    heard = Bus()
    connection = await nats.connect(str(suite.about["nats"]), connect_timeout=TIMEOUT_S)
    try:
        await connection.subscribe("fm.events.>", cb=heard.take)
        await connection.flush()
        yield heard
    finally:
        await connection.close()


async def metric(suite: Suite, name: str, **labels: str) -> float:
    """The value of a metric of the suite now; 0 while it has none."""
    return total((await suite.get("/metrics")).text, name, **labels)
