"""Projections: states by key computed from events, with checkpoints and rebuilds."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, overload

from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound, WrongState
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.values.event_streams import ProjectionInfo, StoredEvent
from flowmesh.sdk.workflows.declarations import name_of

Reducer = Callable[[Json, StoredEvent], Json]
"""`reduce(state, event)` returns the new state of the key; None deletes it."""
PAGE_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Projection:
    """The declaration of a projection: which events change which states, and how."""

    name: str
    reduce: Reducer
    key: Callable[[StoredEvent], str | None]
    stream: str = ""
    category: str = ""
    types: tuple[str, ...] = ()


def _stream_of(event: StoredEvent) -> str:
    return event.stream


@overload
def projection(name: Reducer, /) -> Projection: ...
@overload
def projection(
    name: str = "",
    *,
    key: Callable[[StoredEvent], str | None] = _stream_of,
    stream: str = "",
    category: str = "",
    types: Iterable[str] = (),
) -> Callable[[Reducer], Projection]: ...
def projection(
    name: str | Reducer = "",
    *,
    key: Callable[[StoredEvent], str | None] = _stream_of,
    stream: str = "",
    category: str = "",
    types: Iterable[str] = (),
) -> Callable[[Reducer], Projection] | Projection:
    """Return a decorator that makes a projection of `reduce(state, event)`.

    Its name is by default that of the function, also as `@projection` without parentheses. `key`
    names the state that an event changes, by default that of its stream; None skips the event. A
    new key has the state None.
    """
    if not isinstance(name, str):
        return projection()(name)

    def declare(reduce: Reducer) -> Projection:
        return Projection(name or name_of(reduce), reduce, key, stream, category, tuple(types))

    return declare


class Projector:
    """Runs a projection whose states the event store keeps.

    States and checkpoint are committed together, so that each event is applied exactly once, also
    across crashes and with several projectors.
    """

    def __init__(self, client: Client, projection: Projection) -> None:
        self._client = client
        self._projection = projection
        self._calls = client.projections

    async def info(self) -> ProjectionInfo:
        """Return the projection; create it if it does not exist."""
        declared = self._projection
        return await self._calls.put(
            declared.name,
            stream=declared.stream,
            category=declared.category,
            types=declared.types,
        )

    async def catch_up(self) -> int:
        """Apply all stored events; return their number."""
        applied = 0
        info = await self.info()
        generation, checkpoint = info.generation, info.checkpoint
        while True:
            try:
                count, checkpoint, end = await self._step(generation, checkpoint)
            except WrongState as error:
                if error.reason != "PROJECTION_MOVED":
                    raise
                info = await self.info()
                generation, checkpoint = info.generation, info.checkpoint
                continue
            applied += count
            if end:
                return applied

    async def run(self) -> None:
        """Apply stored events, then those appended later, until canceled."""
        declared = self._projection
        while True:
            await self.catch_up()
            info = await self._calls.get(declared.name)
            async for _ in self._client.event_store.subscribe(
                stream=declared.stream,
                category=declared.category,
                types=declared.types,
                after=info.checkpoint,
            ):
                break

    async def rebuild(self) -> int:
        """Compute all states again from the first event; return the number of events.

        The former states are read until the new ones replace them.
        """
        await self.info()
        shadow = (await self._calls.begin_rebuild(self._projection.name)).shadow_generation
        applied = checkpoint = 0
        while True:
            count, checkpoint, end = await self._step(shadow, checkpoint)
            applied += count
            if not end:
                continue
            try:
                await self._calls.swap(self._projection.name, shadow)
            except WrongState as error:
                info = await self._calls.get(self._projection.name)
                if error.reason != "PROJECTION_MOVED" or info.shadow_generation != shadow:
                    raise
                continue  # the live states have advanced meanwhile
            return applied

    async def _step(self, generation: int, checkpoint: int) -> tuple[int, int, bool]:
        """Apply a page of events; return their number, the checkpoint, and True at the end."""
        declared = self._projection
        page = await self._client.event_store.read_all(
            after=checkpoint,
            stream=declared.stream,
            category=declared.category,
            types=declared.types,
            count=PAGE_EVENTS,
        )
        if page.next_after == checkpoint:
            return 0, checkpoint, page.end
        keyed = [(declared.key(event), event) for event in page.events]
        keys = tuple(dict.fromkeys(key for key, _ in keyed if key is not None))
        states: dict[str, Json] = {}
        if keys:
            states = await self._calls.states(declared.name, keys, generation=generation)
        for key, event in keyed:
            if key is not None:
                states[key] = declared.reduce(states.get(key), event)
        await self._calls.commit(
            declared.name,
            generation=generation,
            from_checkpoint=checkpoint,
            to_checkpoint=page.next_after,
            states={key: state for key, state in states.items() if state is not None},
            deleted=[key for key, state in states.items() if state is None],
        )
        return len(page.events), page.next_after, page.end


class SqlProjector:
    """Runs a projection whose states are tables of your own PostgreSQL.

    `handle(connection, event)` changes them in the transaction that stores the checkpoint, in the
    table `flowmesh_checkpoints`; `pool` is an asyncpg pool.
    """

    def __init__(
        self,
        client: Client,
        pool: Any,
        name: str,
        handle: Callable[[Any, StoredEvent], Awaitable[None]],
        *,
        stream: str = "",
        category: str = "",
        types: Iterable[str] = (),
    ) -> None:
        self._client = client
        self._pool = pool
        self._name = name
        self._handle = handle
        self._filter: dict[str, Any] = {
            "stream": stream,
            "category": category,
            "types": tuple(types),
        }

    async def prepare(self) -> None:
        """Create the table of checkpoints, and the row of this projection."""
        async with self._pool.acquire() as connection:
            await connection.execute(
                "create table if not exists flowmesh_checkpoints"
                " (projection text primary key, position bigint not null)"
            )
            await connection.execute(
                "insert into flowmesh_checkpoints values ($1, 0) on conflict do nothing", self._name
            )

    async def catch_up(self) -> int:
        """Apply all stored events, a page per transaction; return their number."""
        applied, end = 0, False
        while not end:
            count, end = await self._step()
            applied += count
        return applied

    async def rebuild(self, reset: Callable[[Any], Awaitable[None]]) -> int:
        """Call `reset(connection)`, which empties the tables, and apply all events again."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "update flowmesh_checkpoints set position = 0 where projection = $1", self._name
            )
            await reset(connection)
        return await self.catch_up()

    async def _step(self) -> tuple[int, bool]:
        async with self._pool.acquire() as connection, connection.transaction():
            position = await connection.fetchval(
                "select position from flowmesh_checkpoints where projection = $1 for update",
                self._name,
            )
            if position is None:
                raise NotFound(
                    "PROJECTION_NOT_FOUND", f"{self._name}: call `prepare` before `catch_up`"
                )
            page = await self._client.event_store.read_all(
                after=position, count=PAGE_EVENTS, **self._filter
            )
            for event in page.events:
                await self._handle(connection, event)
            await connection.execute(
                "update flowmesh_checkpoints set position = $2 where projection = $1",
                self._name,
                page.next_after,
            )
            return len(page.events), page.end
