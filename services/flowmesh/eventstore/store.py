"""Streams of events as rows."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.eventstore.v1 import stored_event_pb2 as pb
from flowmesh.eventstore import limits
from flowmesh.eventstore.checks import category_of
from flowmesh.eventstore.decisions import Appended, Known, Place
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

SCHEMA: Final = "eventstore"
MIGRATIONS: Final = files("flowmesh.eventstore").joinpath("migrations")
# Held while a partition of the table of events is created.
_PARTITION_LOCK: Final = 7_041_041


@dataclass(frozen=True, slots=True)
class Scanned:
    """Places of events in the order of positions, and the last place that was examined."""

    places: list[Place]
    reached: int
    end: bool


class StreamStore:
    """Queries and changes of streams."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        call: Callable[[], str] = audited_call,
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(
            files("flowmesh.eventstore").joinpath("sql"), call=call, keys=keys
        )

    @asynccontextmanager
    async def appending(self, namespace: str) -> AsyncIterator["Appending"]:
        """Open a transaction that appends to a namespace; one runs at a time."""
        async with self._pool.acquire() as connection, connection.transaction():
            head = await self._sql.lock_head(connection, namespace=namespace)
            if head is None:
                await self._sql.add_namespace(connection, namespace=namespace)
                head = await self._sql.lock_head(connection, namespace=namespace)
            yield Appending(self._sql, connection, namespace, head)

    async def analyze(self, number: int) -> None:
        """Gather the statistics of a partition, by which its indexes are chosen."""
        await self._pool.execute(f"analyze events_{number:d}")

    async def head(self, namespace: str, *, on: Any = None) -> int:
        """Return the position of the last event; `on` is the connection of a transaction."""
        return int(await self._sql.head_of(on or self._pool, namespace=namespace) or 0)

    async def info(self, namespace: str, stream: str, *, on: Any = None) -> Any:
        """Return the row of a stream with the version of its snapshot, or None."""
        return await self._sql.stream_info(on or self._pool, namespace=namespace, stream=stream)

    async def streams(self, namespace: str, category: str, after: str, count: int) -> list[Any]:
        return [
            row
            async for row in self._sql.streams_after(
                self._pool, namespace=namespace, category=category, after=after, count=count
            )
        ]

    async def page(
        self, namespace: str, info: Any, version: int, count: int, *, backwards: bool = False
    ) -> list[Place]:
        """Return places of a stream from a version on."""
        query = self._sql.places_backwards if backwards else self._sql.places_forwards
        rows = query(
            self._pool,
            namespace=namespace,
            stream=info["stream"],
            version=version,
            first=info["first_position"],
            last=info["last_position"],
            count=count,
        )
        return [_place(row) async for row in rows]

    async def scan(
        self, namespace: str, chosen: pb.EventFilter, after: int, *, on: Any = None
    ) -> Scanned:
        """Examine a bounded number of events after a position."""
        head = await self.head(namespace, on=on)
        rows = await self._places(namespace, chosen, after, on or self._pool)
        places = [_place(row) async for row in rows]
        end = len(places) < limits.SCANNED_MAX
        last = places[-1].position if places else after
        # All events up to the head were visible to the query that followed.
        reached = max(head, last) if end else last
        types = frozenset(chosen.types)
        found = [each for each in places if not types or each.type in types]
        return Scanned(found, reached, end)

    async def _places(self, namespace: str, chosen: pb.EventFilter, after: int, on: Any) -> Any:
        same = {"namespace": namespace, "after": after, "count": limits.SCANNED_MAX}
        if chosen.category:
            return self._sql.places_of_category(on, category=chosen.category, **same)
        if not chosen.stream:
            return self._sql.places_of_all(on, **same)
        info = await self.info(namespace, chosen.stream, on=on)
        first, last = (info["first_position"], info["last_position"]) if info else (0, -1)
        return self._sql.places_of_stream(on, stream=chosen.stream, first=first, last=last, **same)

    async def events(
        self, namespace: str, positions: Sequence[int], *, on: Any = None
    ) -> list[pb.StoredEvent]:
        """Return the events at positions, in the order of positions."""
        if not positions:
            return []
        rows = self._sql.events_at(on or self._pool, namespace=namespace, positions=positions)
        return [_event(row) async for row in rows]

    async def snapshot(self, namespace: str, stream: str) -> pb.Snapshot | None:
        row = await self._sql.snapshot_of(self._pool, namespace=namespace, stream=stream)
        if row is None:
            return None
        return pb.Snapshot(version=row["version"], state=row["state"], at_us=row["at"])

    async def put_snapshot(
        self, namespace: str, stream: str, snapshot: pb.Snapshot, now_us: int
    ) -> bool:
        """Return False if a snapshot of the same or a later version is stored."""
        stored = await self._sql.put_snapshot(
            self._pool,
            namespace=namespace,
            stream=stream,
            version=snapshot.version,
            state=snapshot.state,
            at=now_us,
        )
        return bool(stored)

    async def bounded(self) -> list[tuple[str, str]]:
        """Return the streams with a retention, of all namespaces."""
        rows = self._sql.bounded_streams(self._pool)
        return [(row["namespace"], row["stream"]) async for row in rows]

    @asynccontextmanager
    async def changing(self, namespace: str, stream: str) -> AsyncIterator["StreamChange | None"]:
        """Open a transaction that changes one stream; yields None if there is none."""
        async with self._pool.acquire() as connection, connection.transaction():
            # Appends lock the positions first, too.
            await self._sql.lock_head(connection, namespace=namespace)
            row = await self._sql.lock_stream(connection, namespace=namespace, stream=stream)
            yield None if row is None else StreamChange(self._sql, connection, row)


class Appending:
    """The appends of a transaction."""

    def __init__(self, sql: Any, connection: Any, namespace: str, head: int) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace
        self.head = head

    async def known(self, streams: Sequence[str], ids: Sequence[tuple[str, str]]) -> Known:
        """Return the streams, and those of the events that are stored."""
        known = Known()
        bounds = {}
        async for row in self._sql.streams_named(
            self._connection, namespace=self._namespace, streams=streams
        ):
            known.add_stream(row["stream"], row["version"], deleted=row["deleted"])
            bounds[row["stream"]] = (row["first_position"], row["last_position"])
        stored = [(stream, id) for stream, id in ids if stream in bounds]
        if not stored:
            return known
        async for row in self._sql.events_with_ids(
            self._connection,
            namespace=self._namespace,
            streams=[stream for stream, _ in stored],
            ids=[id for _, id in stored],
            firsts=[bounds[stream][0] for stream, _ in stored],
            lasts=[bounds[stream][1] for stream, _ in stored],
        ):
            known.add_event(row["stream"], row["id"], row["version"], row["position"])
        return known

    async def add_partition(self, number: int) -> None:
        """Create the partition of a range of positions, unless it exists."""
        first = number * limits.PARTITION_EVENTS
        connection = self._connection
        await connection.execute(f"select pg_advisory_xact_lock({_PARTITION_LOCK})")
        name = f"events_{number:d}"
        if await connection.fetchval("select to_regclass($1)", name) is not None:
            return
        # Attaching a table locks out neither reads nor appends.
        await connection.execute(
            f"create table {name} (like events including defaults including constraints)"
        )
        await connection.execute(
            f"alter table events attach partition {name}"
            f" for values from ({first:d}) to ({first + limits.PARTITION_EVENTS:d})"
        )

    async def store(self, appended: Appended, now_us: int) -> None:
        """Store events and their streams."""
        rows = list(appended.streams().items())
        await self._sql.add_events(
            self._connection,
            namespace=self._namespace,
            head=self.head + len(appended.events),
            positions=[each.position for each in appended.events],
            streams=[each.stream for each in appended.events],
            versions=[each.version for each in appended.events],
            categories=[each.category for each in appended.events],
            ids=[each.id for each in appended.events],
            types=[each.type for each in appended.events],
            data=[each.data for each in appended.events],
            metadata=[each.metadata for each in appended.events],
            changed=[stream for stream, _ in rows],
            of=[span.category for _, span in rows],
            last_versions=[span.version for _, span in rows],
            firsts=[span.first for _, span in rows],
            lasts=[span.last for _, span in rows],
            at=now_us,
        )

    async def take(self, events: Sequence[pb.StoredEvent], head: int) -> None:
        """Store events of another cell at their positions, and set the head."""
        await self._sql.take_events(
            self._connection,
            namespace=self._namespace,
            head=head,
            positions=[each.position for each in events],
            streams=[each.stream for each in events],
            versions=[each.version for each in events],
            categories=[category_of(each.stream) for each in events],
            ids=[each.event_id for each in events],
            types=[each.type for each in events],
            data=[each.data for each in events],
            metadata=[each.metadata for each in events],
            at=[each.at_us for each in events],
        )


class StreamChange:
    """The changes of one stream in a transaction."""

    def __init__(self, sql: Any, connection: Any, row: Any) -> None:
        self._sql = sql
        self._connection = connection
        self.row = row
        self._key = {"namespace": row["namespace"], "stream": row["stream"]}
        self._span = {"first": row["first_position"], "last": row["last_position"]}

    async def bury(self, now_us: int) -> int:
        """Delete the events and the snapshot; return the number of events."""
        deleted = await self._delete(self.row["version"] + 1)
        await self._sql.delete_snapshot(self._connection, **self._key)
        await self._sql.bury_stream(self._connection, at=now_us, **self._key)
        await self.note(deleted=deleted)
        return deleted

    async def set_retention(self, retention: pb.StreamRetention) -> None:
        await self._sql.set_retention(
            self._connection,
            max_events=retention.max_events,
            max_age_ms=retention.max_age_ms,
            **self._key,
        )
        await self.note(maxEvents=retention.max_events, maxAgeMs=retention.max_age_ms)

    async def first_kept(self, now_us: int) -> int:
        """Return the version of the first event within the bounds."""
        row, first = self.row, 1
        if row["max_events"]:
            first = max(first, row["version"] - row["max_events"] + 1)
        if row["max_age_ms"]:
            since = now_us - row["max_age_ms"] * 1_000
            kept = await self._sql.first_kept(
                self._connection, since=since, **self._key, **self._span
            )
            first = max(first, row["version"] + 1 if kept is None else kept)
        return first

    async def trim(self, first: int) -> int:
        """Delete the events before a version; return their number."""
        deleted = await self._delete(first)
        await self._sql.set_first_version(self._connection, version=first, **self._key)
        return deleted

    async def note(self, **after: object) -> None:
        """Write the operation into the audit log, if it is audited."""
        await self._sql.note_operation(
            self._connection,
            namespace=self._key["namespace"],
            target=self._key["stream"],
            after=orjson.dumps(after).decode(),
        )

    async def _delete(self, before: int) -> int:
        result = await self._sql.delete_events(
            self._connection, before=before, **self._key, **self._span
        )
        return int(str(result).rpartition(" ")[2])


def _place(row: Any) -> Place:
    return Place(row["position"], row["version"], row["type"], row["size"])


def _event(row: Any) -> pb.StoredEvent:
    return pb.StoredEvent(
        stream=row["stream"],
        version=row["version"],
        position=row["position"],
        event_id=row["id"],
        type=row["type"],
        data=row["data"],
        metadata=row["metadata"],
        at_us=row["at"],
    )
