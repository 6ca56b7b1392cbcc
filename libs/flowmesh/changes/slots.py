"""Slots of logical replication in a database of users, read by SQL functions.

Changes are looked at without consuming them. `advance` consumes them after they are stored, so a
reader that dies in between reads them again and leaves out those up to its stored position.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from flowmesh.changes.pgoutput import Begin, Commit, Decoder, RowChange
from flowmesh.errors import NotFound, WrongState

# Position of a change: the commit of its transaction, and its number in it, from 1.
Position = tuple[int, int]

CONNECT_TIMEOUT_S: Final = 10.0
CREATE_TIMEOUT_S: Final = 30.0
STATEMENT_TIMEOUT_MS: Final = 600_000
# A reading ends after the transaction that reaches it.
MESSAGES_MAX: Final = 5_000
FETCHED_AT_ONCE: Final = 500
# A larger row is not read.
ROW_BYTES_MAX: Final = 8 * 1024 * 1024
_HEAD_BYTES: Final = 8

_SESSION: Final = f"""
set local statement_timeout = {STATEMENT_TIMEOUT_MS};
set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local timezone = 'UTC';
set local bytea_output = 'hex';
set local extra_float_digits = 1;
"""
_PEEK: Final = """
select octet_length(data) as size,
    case when octet_length(data) <= $4 then data else substr(data, 1, $5) end as data
from pg_logical_slot_peek_binary_changes($1, $2::text::pg_lsn, $3,
    'proto_version', '1', 'publication_names', $6)
"""
_STATE: Final = """
select wal_status, active,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint as lag_bytes,
    (select case when setting = '-1' then -1 else setting::bigint * 1048576 end
        from pg_settings where name = 'max_slot_wal_keep_size') as keep_bytes_max
from pg_replication_slots where slot_name = $1 and database = current_database()
"""
_TABLE: Final = """
select c.oid::bigint as oid, c.relkind::text as kind, c.relpersistence::text as persistence
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2
"""
_PUBLISHED: Final = """
select exists (select from pg_publication_tables
    where pubname = $1 and schemaname = $2 and tablename = $3) as has_table,
    p.pubinsert, p.pubupdate, p.pubdelete
from pg_publication p where p.pubname = $1
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A table whose changes a slot reads. Without `publication` one of the slot's name is made."""

    slot: str
    schema: str
    table: str
    operations: frozenset[str]
    publication: str = ""

    @property
    def published_by(self) -> str:
        return self.publication or self.slot


@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot as the database sees it; `keep_bytes_max` -1 is without a limit."""

    lost: bool
    lag_bytes: int
    keep_bytes_max: int


@dataclass(frozen=True, slots=True)
class Change:
    """A changed row with its position and the time of its commit."""

    position: Position
    at_us: int
    row: RowChange


class SlotReader:
    """The slot of one source over a connection of its own."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", source: Source) -> None:
        self._connection = connection
        self._source = source

    async def prepare(self) -> None:
        """Check the source; make its publication and the slot unless they exist.

        Raises WrongState, with what the operator of the database has to do.
        """
        await self._check_server()
        try:
            await self.publish_table(create=True)
            if await self.state() is not None:
                return
            async with asyncio.timeout(CREATE_TIMEOUT_S):
                await self._connection.execute(
                    "select pg_create_logical_replication_slot($1, 'pgoutput')", self._source.slot
                )
        except TimeoutError:
            text = (
                "the slot cannot be made while a transaction of the database is open;"
                " it is made when that ends"
            )
            raise WrongState("CHANGES_REFUSED", text) from None
        except asyncpg.PostgresError as error:
            raise _refused(error) from error

    async def publish_table(self, *, create: bool) -> None:
        """Check that the table can be read and is published; publish it again if it was made anew.

        Raises NotFound for a table that does not exist, and SLOT_LOST for a publication that was
        dropped, unless it may be created.
        """
        source = self._source
        name = f"{source.schema}.{source.table}"
        row = await self._connection.fetchrow(_TABLE, source.schema, source.table)
        if row is None:
            raise NotFound("TABLE_NOT_FOUND", f"the database has no table {name}")
        if row["kind"] not in "rp" or row["persistence"] != "p":
            text = f"{name} is not a permanent table, so no changes of it are logged"
            raise WrongState("CHANGES_REFUSED", text)
        found = await self._connection.fetchrow(
            _PUBLISHED, source.published_by, source.schema, source.table
        )
        if source.publication:
            _check_publication(source, found)
            return
        quoted = f"{_quoted(source.schema)}.{_quoted(source.table)}"
        if found is None and not create:
            raise WrongState("SLOT_LOST", f"the publication {source.slot} was dropped")
        if found is None:
            await self._connection.execute(
                f"create publication {_quoted(source.slot)} for table {quoted}"
                " with (publish = 'insert, update, delete', publish_via_partition_root = true)"
            )
        elif not found["has_table"]:
            await self._connection.execute(
                f"alter publication {_quoted(source.slot)} add table {quoted}"
            )

    async def state(self) -> SlotState | None:
        """Return the state of the slot; None if it does not exist."""
        row = await self._connection.fetchrow(_STATE, self._source.slot)
        if row is None:
            return None
        return SlotState(row["wal_status"] == "lost", row["lag_bytes"], row["keep_bytes_max"])

    def peek(self) -> "Reading":
        """Return a reading of the changes up to now, to be entered."""
        return Reading(self._connection, self._source)

    async def advance(self, lsn: int) -> None:
        """Consume the transactions that were committed before the position."""
        await self._connection.execute(
            "select pg_replication_slot_advance($1, $2::text::pg_lsn)",
            self._source.slot,
            lsn_text(lsn),
        )

    async def drop(self) -> None:
        """Drop the slot and its own publication, as far as they exist."""
        source = self._source
        try:
            await self._connection.execute(
                "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
                " where slot_name = $1 and database = current_database()",
                source.slot,
            )
            if not source.publication:
                await self._connection.execute(f"drop publication if exists {_quoted(source.slot)}")
        except asyncpg.PostgresError as error:
            raise _refused(error) from error

    async def _check_server(self) -> None:
        level = await self._connection.fetchval("select current_setting('wal_level')")
        if level != "logical":
            text = f"the database has wal_level = {level}; set it to logical and restart it"
            raise WrongState("CHANGES_REFUSED", text)


class Reading:
    """One look at a slot, in a transaction; `done_lsn` follows the transactions seen entirely."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", source: Source) -> None:
        self._connection = connection
        self._source = source
        self._transaction = connection.transaction()
        self._upto_lsn = 0
        self.done_lsn = 0

    async def __aenter__(self) -> "Reading":
        await self._transaction.start()
        await self._connection.execute(_SESSION)
        text = await self._connection.fetchval("select pg_current_wal_flush_lsn()::text")
        self._upto_lsn = lsn_number(text)
        return self

    async def __aexit__(self, *error: object) -> None:
        if not self._connection.is_closed():
            await self._transaction.rollback()

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Yield the changes of the table in the order of their commits."""
        decoder, begin, number, messages = Decoder(), Begin(0, 0), 0, 0
        async for size, data in self._messages():
            messages += 1
            match decoder.decode(data, size):
                case Begin() as begin:
                    number = 0
                case Commit(end_lsn):
                    self.done_lsn = end_lsn
                case RowChange() as row:
                    number += 1
                    if self._reads(row):
                        yield Change((begin.lsn, number), begin.at_us, row)
        if messages < MESSAGES_MAX:
            self.done_lsn = max(self.done_lsn, self._upto_lsn)

    async def _messages(self) -> AsyncIterator[tuple[int, bytes]]:
        source = self._source
        cursor: Any = self._connection.cursor(
            _PEEK,
            source.slot,
            lsn_text(self._upto_lsn),
            MESSAGES_MAX,
            ROW_BYTES_MAX,
            _HEAD_BYTES,
            _quoted(source.published_by),
            prefetch=FETCHED_AT_ONCE,
        )
        try:
            async for row in cursor:
                yield row["size"], row["data"]
        except asyncpg.UndefinedObjectError as error:
            text = f"{error.message}; changes since its loss cannot be read"
            raise WrongState("SLOT_LOST", text) from error
        except asyncpg.ObjectNotInPrerequisiteStateError as error:
            raise WrongState("SLOT_LOST", f"the slot cannot be read: {error.message}") from error
        except asyncpg.ObjectInUseError as error:
            raise _refused(error) from error

    def _reads(self, row: RowChange) -> bool:
        relation = row.relation
        return (
            relation.schema == self._source.schema
            and relation.name == self._source.table
            and row.operation in self._source.operations
        )


async def connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to a database of users. Raises Unavailable errors of the driver."""
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_S,
        statement_cache_size=0,
        server_settings={"application_name": "flowmesh-changes"},
    )


def lsn_text(lsn: int) -> str:
    """Return a position as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _check_publication(source: Source, found: Any) -> None:
    if found is None:
        text = f"the database has no publication {source.publication}"
        raise WrongState("CHANGES_REFUSED", text)
    if not found["has_table"]:
        text = f"publication {source.publication} has no table {source.schema}.{source.table}"
        raise WrongState("CHANGES_REFUSED", text)
    for operation in sorted(source.operations):
        if not found[f"pub{operation}"]:
            text = f"publication {source.publication} leaves out each {operation}"
            raise WrongState("CHANGES_REFUSED", text)


def _refused(error: asyncpg.PostgresError) -> WrongState:
    text = f"the database refused: {error.message}"
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        text += "; the role needs REPLICATION, and the table or a publication that has it"
    if isinstance(error, asyncpg.ConfigurationLimitExceededError):
        text += "; raise max_replication_slots or drop unused slots"
    return WrongState("CHANGES_REFUSED", text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
