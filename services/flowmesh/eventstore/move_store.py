"""Rows of the event store of a project that moves to another cell."""

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.eventstore.v1 import event_move_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.eventstore.checks import category_of
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg


class MoveStore:
    """Streams and deliveries, read and written whole."""

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

    async def streams(self, namespace: str, after: str, count: int) -> list[pb.MovedStream]:
        """Return streams by name, also deleted ones."""
        rows = self._sql.streams_to_move(self._pool, namespace=namespace, after=after, count=count)
        return [_stream(row) async for row in rows]

    async def take_streams(self, namespace: str, streams: Sequence[pb.MovedStream]) -> None:
        """Store streams as they are, and delete what they do not have."""
        infos = [each.info for each in streams]
        names = [each.stream for each in infos]
        firsts = [each.first_version for each in infos]
        gone = [each.info.stream for each in streams if each.deleted]
        async with self._pool.acquire() as connection, connection.transaction():
            await self._sql.take_streams(
                connection,
                namespace=namespace,
                streams=names,
                categories=[category_of(each) for each in names],
                versions=[each.version for each in infos],
                first_versions=firsts,
                first_positions=[each.first_position for each in streams],
                last_positions=[each.last_position for each in streams],
                created_at=[each.created_at_us for each in infos],
                changed_at=[each.changed_at_us for each in infos],
                max_events=[each.retention.max_events for each in infos],
                max_age_ms=[each.retention.max_age_ms for each in infos],
                deleted=[each.deleted for each in streams],
            )
            await self._sql.trim_streams(
                connection, namespace=namespace, streams=names, first_versions=firsts
            )
            await self._sql.delete_snapshots(connection, namespace=namespace, streams=gone)

    async def deliveries(
        self, namespace: str, group: str, after: int, count: int
    ) -> list[pb.MovedDelivery]:
        """Return the unsettled deliveries of a group by position."""
        rows = self._sql.deliveries_after(
            self._pool, namespace=namespace, event_group=group, after=after, count=count
        )
        return [
            pb.MovedDelivery(
                position=row["position"],
                attempt=row["attempt"],
                due_at_us=row["due_at"],
                error=row["error"],
            )
            async for row in rows
        ]

    async def take_deliveries(
        self, namespace: str, group: str, deliveries: Sequence[pb.MovedDelivery]
    ) -> None:
        await self._sql.take_deliveries(
            self._pool,
            namespace=namespace,
            event_group=group,
            positions=[each.position for each in deliveries],
            attempts=[each.attempt for each in deliveries],
            due_at=[each.due_at_us if each.HasField("due_at_us") else None for each in deliveries],
            errors=[each.error for each in deliveries],
        )

    async def note(self, namespace: str, target: str, **after: object) -> None:
        """Write the operation into the audit log, if it is audited."""
        await self._sql.note_operation(
            self._pool, namespace=namespace, target=target, after=orjson.dumps(after).decode()
        )


def _stream(row: Any) -> pb.MovedStream:
    return pb.MovedStream(
        info=stored_event_pb2.StreamInfo(
            stream=row["stream"],
            version=row["version"],
            first_version=row["first_version"],
            created_at_us=row["created_at"],
            changed_at_us=row["changed_at"],
            retention=stored_event_pb2.StreamRetention(
                max_events=row["max_events"], max_age_ms=row["max_age_ms"]
            ),
        ),
        first_position=row["first_position"],
        last_position=row["last_position"],
        deleted=row["deleted"],
    )
