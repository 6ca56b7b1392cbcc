"""Groups of consumers and their deliveries as rows."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.eventstore.v1 import event_group_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.eventstore import limits
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg


class GroupStore:
    """Queries and changes of groups."""

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

    async def groups(self, namespace: str) -> list[pb.EventGroup]:
        """Return the groups by name, with their numbers of deliveries."""
        return [
            _group(row, in_flight=row["in_flight"], parked=row["parked"])
            async for row in self._sql.groups_of(self._pool, namespace=namespace)
        ]

    async def next_due(self, namespace: str, name: str) -> int | None:
        """Return the instant of the next delivery of a leased event in microseconds, or None."""
        due: int | None = await self._sql.next_due(
            self._pool, namespace=namespace, event_group=name
        )
        return due

    async def parked(
        self, namespace: str, name: str, after: int, count: int
    ) -> dict[int, tuple[int, str]]:
        """Return attempts and the last error of parked events by position."""
        rows = self._sql.parked_of(
            self._pool, namespace=namespace, event_group=name, after=after, count=count
        )
        return {row["position"]: (row["attempt"], row["error"]) async for row in rows}

    @asynccontextmanager
    async def changing(self, namespace: str, name: str) -> AsyncIterator["GroupChange"]:
        """Open a transaction that changes one group; one runs at a time."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await self._sql.lock_group(connection, namespace=namespace, event_group=name)
            group = None if row is None else _group(row)
            yield GroupChange(self._sql, connection, namespace, name, group)


class GroupChange:
    """The changes of a transaction. `group` is None if it does not exist."""

    def __init__(
        self, sql: Any, connection: Any, namespace: str, name: str, group: pb.EventGroup | None
    ) -> None:
        self._sql = sql
        self.connection = connection
        self._key = {"namespace": namespace, "event_group": name}
        self.group = group

    async def count(self) -> int:
        return int(await self._sql.count_groups(self.connection, namespace=self._key["namespace"]))

    async def add(self, group: pb.EventGroup) -> bool:
        """Return False if the group was created meanwhile."""
        return bool(
            await self._sql.add_group(
                self.connection,
                filter=group.filter.SerializeToString(deterministic=True),
                checkpoint=group.checkpoint,
                lease_ms=group.lease_ms,
                max_attempts=group.max_attempts,
                retry_delay_ms=group.retry_delay_ms,
                **self._key,
            )
        )

    async def change(self, group: pb.EventGroup) -> None:
        await self._sql.change_group(
            self.connection,
            lease_ms=group.lease_ms,
            max_attempts=group.max_attempts,
            retry_delay_ms=group.retry_delay_ms,
            **self._key,
        )

    async def delete(self) -> None:
        await self._sql.delete_group(self.connection, **self._key)

    async def due(self, now_us: int, count: int) -> list[tuple[int, int]]:
        """Return position and last attempt of the deliveries whose lease has ended."""
        rows = self._sql.due_deliveries(self.connection, now=now_us, count=count, **self._key)
        return [(row["position"], row["attempt"]) async for row in rows]

    async def lease(self, attempts: Mapping[int, int], until_us: int) -> None:
        """Lease events; `attempts` has the attempt by position."""
        if attempts:
            await self._sql.put_deliveries(
                self.connection,
                positions=list(attempts),
                attempts=list(attempts.values()),
                due_at=until_us,
                **self._key,
            )

    async def park(self, positions: Sequence[int]) -> None:
        if positions:
            await self._sql.park_deliveries(self.connection, positions=positions, **self._key)

    async def drop(self, positions: Sequence[int]) -> None:
        if positions:
            await self._sql.drop_deliveries(self.connection, positions=positions, **self._key)

    async def set_checkpoint(self, checkpoint: int) -> None:
        await self._sql.set_checkpoint(self.connection, checkpoint=checkpoint, **self._key)

    async def acknowledge(self, settlements: Sequence[pb.EventSettlement]) -> set[int]:
        """Return the positions that were in flight with these attempts."""
        rows = self._sql.acknowledge(
            self.connection,
            positions=[each.position for each in settlements],
            attempts=[each.attempt for each in settlements],
            **self._key,
        )
        return {row["position"] async for row in rows}

    async def give_back(
        self, settlements: Sequence[pb.EventSettlement], due_us: Sequence[int | None]
    ) -> set[int]:
        """Return events for another attempt at an instant, or park those without one."""
        rows = self._sql.give_back(
            self.connection,
            positions=[each.position for each in settlements],
            attempts=[each.attempt for each in settlements],
            due_at=due_us,
            errors=[each.failure.error[: limits.ERROR_CHARACTERS_MAX] for each in settlements],
            **self._key,
        )
        return {row["position"] async for row in rows}

    async def replay(self, positions: Sequence[int], now_us: int) -> int:
        rows = self._sql.replay_parked(
            self.connection, positions=positions, now=now_us, **self._key
        )
        return len([row async for row in rows])

    async def note(self, **after: object) -> None:
        """Write the operation into the audit log, if it is audited."""
        await self._sql.note_operation(
            self.connection,
            namespace=self._key["namespace"],
            target=self._key["event_group"],
            after=orjson.dumps(after).decode(),
        )


def _group(row: Any, *, in_flight: int = 0, parked: int = 0) -> pb.EventGroup:
    return pb.EventGroup(
        event_group=row["event_group"],
        filter=stored_event_pb2.EventFilter.FromString(row["filter"]),
        lease_ms=row["lease_ms"],
        max_attempts=row["max_attempts"],
        retry_delay_ms=row["retry_delay_ms"],
        checkpoint=row["checkpoint"],
        in_flight=in_flight,
        parked=parked,
    )
