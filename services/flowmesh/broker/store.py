"""The topology of namespaces as rows."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import orjson

from flowmesh.access.audited import audited_call
from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.routing.routes import identity_of
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

SCHEMA: Final = "broker"
MIGRATIONS: Final = files("flowmesh.broker").joinpath("migrations")


@dataclass(frozen=True, slots=True)
class StoredQueue:
    """A queue, and the identity of its stream."""

    namespace: str
    id: str
    config: pb.Queue

    @property
    def name(self) -> str:
        return self.config.queue

    @property
    def is_stream(self) -> bool:
        return self.config.kind == pb.QUEUE_KIND_STREAM

    @property
    def is_temporary(self) -> bool:
        """True if the queue is deleted when its consumers have left."""
        return self.config.exclusive or self.config.auto_delete

    @property
    def orders_consumers(self) -> bool:
        """True if one consumer reads at a time."""
        return self.config.exclusive or self.config.single_active


@dataclass(frozen=True, slots=True)
class BodyReference:
    """A stored payload that messages of a queue refer to."""

    queue_id: str
    namespace: str
    digest: str
    noted_us: int


@dataclass(frozen=True, slots=True)
class StoredTopology:
    """All rows of a namespace at a version."""

    version: int
    suspension: str
    exchanges: list[pb.Exchange]
    queues: list[StoredQueue]
    bindings: list[pb.Binding]


class Delta(msgspec.Struct, omit_defaults=True):
    """The rows that one change of a namespace added and removed."""

    namespace: str
    version: int
    exchanges: list[bytes] = []
    # Ids and bodies.
    queues: list[tuple[str, bytes]] = []
    bindings: list[bytes] = []
    removed_exchanges: list[str] = []
    removed_queues: list[str] = []
    removed_bindings: list[bytes] = []
    # The new identity of a suspension, or "" for its end; None if nothing has changed.
    suspension: str | None = None

    @property
    def is_empty(self) -> bool:
        return self == Delta(self.namespace, self.version)

    def added_queues(self) -> list[StoredQueue]:
        return [
            StoredQueue(self.namespace, id, pb.Queue.FromString(body)) for id, body in self.queues
        ]


class TopologyStore:
    """Queries and changes of topologies."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", *, call: Callable[[], str] = audited_call
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.broker").joinpath("sql"), call=call)

    async def load(self, namespace: str) -> StoredTopology:
        """Return a consistent copy of the namespace."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await _load(self._sql, connection, namespace)

    async def version(self, namespace: str) -> int:
        return await self._sql.version_of(self._pool, namespace=namespace) or 0

    async def queues(self) -> list[StoredQueue]:
        """Return the queues of all namespaces."""
        return [
            StoredQueue(row["namespace"], row["id"], pb.Queue.FromString(row["body"]))
            async for row in self._sql.all_queues(self._pool)
        ]

    async def receipt_key(self) -> bytes:
        key: bytes = await self._sql.receipt_key(self._pool)
        return key

    async def body_key(self) -> bytes:
        key: bytes = await self._sql.body_key(self._pool)
        return key

    # --- references to stored payloads ---

    async def note_reference(self, queue: StoredQueue, digest: str, *, ahead_ms: int = 0) -> None:
        """Keep a payload while the queue may hold a message that refers to it."""
        await self._sql.note_reference(
            self._pool,
            queue_id=queue.id,
            namespace=queue.namespace,
            digest=digest,
            ahead_ms=ahead_ms,
        )

    async def body_references(self) -> list[BodyReference]:
        return [BodyReference(**row) async for row in self._sql.body_references(self._pool)]

    async def forget_references(self, references: Sequence[BodyReference]) -> None:
        await self._sql.forget_references(
            self._pool,
            queue_ids=[each.queue_id for each in references],
            digests=[each.digest for each in references],
            noted_us=[each.noted_us for each in references],
        )

    # --- messages of other cells ---

    async def imported(self, queue_id: str, origin: str) -> int:
        """Return the position of the last message that was taken from an origin; 0 without one."""
        return await self._sql.imported(self._pool, queue_id=queue_id, origin=origin) or 0

    async def note_imported(self, queue_id: str, origin: str, sequence: int) -> None:
        await self._sql.note_imported(
            self._pool, queue_id=queue_id, origin=origin, sequence=sequence
        )

    # --- consumers ---

    async def open_consumer(self, queue_id: str, group: str, consumer: str, lease_ms: int) -> UUID:
        """Open or reopen a consumer; return its new connection."""
        connection: UUID = await self._sql.open_consumer(
            self._pool, queue_id=queue_id, group_name=group, consumer=consumer, lease_ms=lease_ms
        )
        return connection

    async def renew_consumer(
        self, queue_id: str, group: str, consumer: str, lease_ms: int
    ) -> bool | None:
        """Return whether it is the first open consumer; None if its lease has expired."""
        first: bool | None = await self._sql.renew_consumer(
            self._pool, queue_id=queue_id, group_name=group, consumer=consumer, lease_ms=lease_ms
        )
        return first

    async def close_consumer(
        self, queue_id: str, group: str, consumer: str, connection: UUID
    ) -> None:
        """Close a consumer, unless it has connected again."""
        await self._sql.close_consumer(
            self._pool,
            queue_id=queue_id,
            group_name=group,
            consumer=consumer,
            connection=connection,
        )

    async def has_consumer(self, queue_id: str, group: str) -> bool:
        return bool(await self._sql.has_consumer(self._pool, queue_id=queue_id, group_name=group))

    async def left_queues(self, unused_ms: int) -> list[str]:
        """Return the ids of queues whose consumers have all left, for at least this time."""
        found = self._sql.left_queues(self._pool, unused_ms=unused_ms)
        return [row["queue_id"] async for row in found]

    async def forget_consumers(self, kept_ms: int) -> None:
        await self._sql.forget_consumers(self._pool, kept_ms=kept_ms)

    # --- changes ---

    async def note_operation(self, namespace: str, queue: str, **after: object) -> None:
        """Write an operation on messages into the audit log, if it is audited."""
        await self._sql.note_operation(
            self._pool, namespace=namespace, queue=queue, after=orjson.dumps(after).decode()
        )

    @asynccontextmanager
    async def change(self, namespace: str) -> AsyncIterator["TopologyChange"]:
        """Open a transaction that changes one namespace; changes of it run one at a time.

        A change that adds and removes nothing leaves the version as it is.
        """
        async with self._pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                sizes = await self._sql.bump(connection, namespace=namespace)
                change = TopologyChange(self._sql, connection, namespace, sizes)
                yield change
            except BaseException:
                await transaction.rollback()
                raise
            if change.delta.is_empty:
                await transaction.rollback()
            else:
                await transaction.commit()


class TopologyChange:
    """The changes of a transaction. Its queries read single rows, never the whole namespace."""

    def __init__(self, sql: Any, connection: Any, namespace: str, sizes: Any) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace
        self.delta = Delta(namespace, sizes["version"])
        # Numbers of rows before the change.
        self.exchanges: int = sizes["exchanges"]
        self.queues: int = sizes["queues"]
        self.bindings: int = sizes["bindings"]
        self.suspension: str = sizes["suspension"]

    @property
    def version(self) -> int:
        """The version of the namespace after the change."""
        return self.delta.version - self.delta.is_empty

    async def exchange(self, name: str) -> pb.Exchange | None:
        body = await self._sql.exchange_body(
            self._connection, namespace=self._namespace, exchange=name
        )
        return None if body is None else pb.Exchange.FromString(body)

    async def queue(self, name: str) -> StoredQueue | None:
        row = await self._sql.queue_row(self._connection, namespace=self._namespace, queue=name)
        if row is None:
            return None
        return StoredQueue(self._namespace, row["id"], pb.Queue.FromString(row["body"]))

    async def suspend(self, suspension: str) -> None:
        """Set the identity of a suspension; "" ends it."""
        await self._sql.suspend(self._connection, namespace=self._namespace, suspension=suspension)
        self.delta.suspension = suspension

    async def add_exchange(self, exchange: pb.Exchange) -> None:
        body = exchange.SerializeToString()
        await self._sql.add_exchange(
            self._connection, namespace=self._namespace, exchange=exchange.exchange, body=body
        )
        self.delta.exchanges.append(body)

    async def add_queue(self, queue: StoredQueue) -> None:
        body = queue.config.SerializeToString(deterministic=True)
        await self._sql.add_queue(
            self._connection, namespace=self._namespace, queue=queue.name, id=queue.id, body=body
        )
        self.delta.queues.append((queue.id, body))

    async def add_binding(self, binding: pb.Binding) -> bool:
        """Return False if the binding exists."""
        body = binding.SerializeToString(deterministic=True)
        if not await self._sql.add_binding(self._connection, body=body, **self._key(binding)):
            return False
        self.delta.bindings.append(body)
        return True

    async def remove_binding(self, binding: pb.Binding) -> bool:
        if not await self._sql.remove_binding(self._connection, **self._key(binding)):
            return False
        self.delta.removed_bindings.append(binding.SerializeToString())
        return True

    async def remove_exchange(self, exchange: str) -> bool:
        removed = await self._sql.remove_exchange(
            self._connection, namespace=self._namespace, exchange=exchange
        )
        if removed:
            self.delta.removed_exchanges.append(exchange)
        return bool(removed)

    async def has_consumer(self, queue_id: str) -> bool:
        """Return whether a consumer is open, of any group."""
        return bool(await self._sql.is_consumed(self._connection, queue_id=queue_id))

    async def remove_queue(self, queue: str) -> bool:
        removed = await self._sql.remove_queue(
            self._connection, namespace=self._namespace, queue=queue
        )
        if removed:
            self.delta.removed_queues.append(queue)
        return bool(removed)

    def _key(self, binding: pb.Binding) -> dict[str, Any]:
        source, target, condition = identity_of(binding)
        return {
            "namespace": self._namespace,
            "source": source,
            "queue": "" if target.is_exchange else target.name,
            "exchange": target.name if target.is_exchange else "",
            "digest": hashlib.sha256(condition).digest(),
        }


async def _load(sql: Any, connection: Any, namespace: str) -> StoredTopology:
    row = await sql.namespace_row(connection, namespace=namespace)
    version, suspension = (row["version"], row["suspension"]) if row else (0, "")
    exchanges = [
        pb.Exchange.FromString(row["body"])
        async for row in sql.exchanges_of(connection, namespace=namespace)
    ]
    queues = [
        StoredQueue(namespace, row["id"], pb.Queue.FromString(row["body"]))
        async for row in sql.queues_of(connection, namespace=namespace)
    ]
    bindings = [
        pb.Binding.FromString(row["body"])
        async for row in sql.bindings_of(connection, namespace=namespace)
    ]
    return StoredTopology(version, suspension, exchanges, queues, bindings)
