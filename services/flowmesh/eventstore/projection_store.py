"""Projections and their states as rows."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.eventstore.v1 import projection_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg


class ProjectionStore:
    """Queries and changes of projections."""

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

    async def count(self, namespace: str) -> int:
        return int(await self._sql.count_projections(self._pool, namespace=namespace))

    async def add(self, namespace: str, name: str, chosen: stored_event_pb2.EventFilter) -> bool:
        """Return False if the projection exists."""
        return bool(
            await self._sql.add_projection(
                self._pool,
                namespace=namespace,
                projection=name,
                filter=chosen.SerializeToString(deterministic=True),
            )
        )

    async def named(self, namespace: str, name: str) -> pb.Projection | None:
        row = await self._sql.projection_named(self._pool, namespace=namespace, projection=name)
        return None if row is None else _projection(row)

    async def all(self, namespace: str) -> list[pb.Projection]:
        rows = self._sql.projections_of(self._pool, namespace=namespace)
        return [_projection(row) async for row in rows]

    async def states(
        self, namespace: str, name: str, generation: int, keys: Sequence[str]
    ) -> list[pb.ProjectionState]:
        rows = self._sql.states_named(
            self._pool, namespace=namespace, projection=name, generation=generation, keys=keys
        )
        return [pb.ProjectionState(key=row["key"], state=row["state"]) async for row in rows]

    async def states_after(
        self, namespace: str, name: str, generation: int, after: str, count: int
    ) -> list[pb.ProjectionState]:
        rows = self._sql.states_after(
            self._pool,
            namespace=namespace,
            projection=name,
            generation=generation,
            after=after,
            count=count,
        )
        return [pb.ProjectionState(key=row["key"], state=row["state"]) async for row in rows]

    @asynccontextmanager
    async def changing(self, namespace: str, name: str) -> AsyncIterator["ProjectionChange"]:
        """Open a transaction that changes one projection; one runs at a time."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await self._sql.lock_projection(connection, namespace=namespace, projection=name)
            found = None if row is None else _projection(row)
            yield ProjectionChange(self._sql, connection, namespace, name, found)


class ProjectionChange:
    """The changes of a transaction. `projection` is None if it does not exist."""

    def __init__(
        self, sql: Any, connection: Any, namespace: str, name: str, projection: pb.Projection | None
    ) -> None:
        self._sql = sql
        self._connection = connection
        self._key = {"namespace": namespace, "projection": name}
        self.projection = projection

    async def advance(self, generation: int, before: int, after: int) -> bool:
        """Move the checkpoint of a generation; return False if it is elsewhere."""
        return bool(
            await self._sql.advance_projection(
                self._connection, generation=generation, before=before, after=after, **self._key
            )
        )

    async def write(self, generation: int, states: Sequence[pb.ProjectionState]) -> None:
        """Store states; an empty one deletes its key."""
        kept = [each for each in states if each.state]
        gone = [each.key for each in states if not each.state]
        if kept:
            await self._sql.put_states(
                self._connection,
                generation=generation,
                keys=[each.key for each in kept],
                states=[each.state for each in kept],
                **self._key,
            )
        if gone:
            await self._sql.drop_states(
                self._connection, generation=generation, keys=gone, **self._key
            )

    async def begin_rebuild(self) -> None:
        await self._sql.begin_rebuild(self._connection, **self._key)

    async def swap(self) -> None:
        await self._sql.swap_projection(self._connection, **self._key)

    async def delete(self) -> None:
        await self._sql.delete_projection(self._connection, **self._key)

    async def keep(self, *generations: int) -> None:
        """Delete the states of all other generations."""
        await self._sql.drop_generations(self._connection, kept=generations, **self._key)

    async def note(self, **after: object) -> None:
        """Write the operation into the audit log, if it is audited."""
        await self._sql.note_operation(
            self._connection,
            namespace=self._key["namespace"],
            target=self._key["projection"],
            after=orjson.dumps(after).decode(),
        )


def _projection(row: Any) -> pb.Projection:
    return pb.Projection(
        projection=row["projection"],
        filter=stored_event_pb2.EventFilter.FromString(row["filter"]),
        generation=row["generation"],
        checkpoint=row["checkpoint"],
        shadow_generation=row["shadow_generation"],
        shadow_checkpoint=row["shadow_checkpoint"],
        head=row.get("head") or 0,
    )
