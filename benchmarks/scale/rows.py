"""Rows of many executions in the form of the orchestrator: copies of executions that it ran.

Each copy has an id, a request id, times and search values of its own, in its columns and inside of
its encoded events. Statistics and metered use, which are sums, are not changed.
"""

import random
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import asyncpg

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.orchestrator.model.ids import PARTITION_COUNT, ExecutionIds

SCHEMA = "orchestrator"
CHUNK = 10_000
DAY_US = 86_400_000_000
AMOUNT = 5.25
"""The value of the attribute `amount` in an execution that is copied."""
AMOUNTS = 100_000
TEAM = "team-000"
TEAMS = 400
PROCESS_BITS = 25
"""The number of a process in ids is random for each call, so that ids are unique."""

HELD = ("executions", "history", "search_values")
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """The values in which a copy differs from its original."""

    id: str
    partition: int
    shift_us: int
    request_id: str
    amount: float
    team: str


class Bytes:
    """Encoded events, cut at the values that differ between copies."""

    def __init__(self, body: bytes, times: Sequence[int], request_id: str) -> None:
        marks: dict[bytes, object] = {_varint(each): each for each in times}
        marks[request_id.encode()] = "request_id"
        marks[struct.pack("<d", AMOUNT)] = "amount"
        marks[TEAM.encode()] = "team"
        self._parts: list[object] = []
        rest = body
        while True:
            found = [(rest.find(mark), mark) for mark in marks if mark in rest]
            if not found:
                break
            at, mark = min(found)
            self._parts += [rest[:at], marks[mark]]
            rest = rest[at + len(mark) :]
        self._parts.append(rest)

    def of(self, copy: Copy) -> bytes:
        """Return the events of a copy."""
        return b"".join(map(self._value, self._parts, [copy] * len(self._parts)))

    @staticmethod
    def _value(part: object, copy: Copy) -> bytes:
        if isinstance(part, bytes):
            return part
        if isinstance(part, int):
            return _varint(part + copy.shift_us)
        if part == "amount":
            return struct.pack("<d", copy.amount)
        return (copy.team if part == "team" else copy.request_id).encode()


class Original:
    """The rows of an execution, as the orchestrator wrote them."""

    def __init__(
        self,
        execution: asyncpg.Record,
        history: Sequence[asyncpg.Record],
        values: Sequence[asyncpg.Record],
    ) -> None:
        self.started_at = int(execution["started_at"])
        self._columns = list(execution.keys())
        self._execution = dict(execution)
        self._values = [tuple(row.values()) for row in values]
        self._history = [
            (
                row["seq"],
                Bytes(row["events"], sorted(_times(row["events"])), execution["request_id"]),
            )
            for row in history
        ]

    @property
    def columns(self) -> list[str]:
        return self._columns

    def execution(self, copy: Copy) -> Row:
        changed = dict(self._execution, id=copy.id, partition=copy.partition)
        changed["request_id"] = copy.request_id
        for name in ("started_at", "ended_at", "wake_at"):
            if changed[name] is not None:
                changed[name] += copy.shift_us
        return tuple(changed.values())

    def history(self, copy: Copy) -> Iterator[Row]:
        day = (self.started_at + copy.shift_us) // DAY_US
        return ((day, copy.id, seq, events.of(copy)) for seq, events in self._history)

    def values(self, copy: Copy) -> Iterator[Row]:
        for _, name, namespace, text, number in self._values:
            yield (
                copy.id,
                name,
                namespace,
                copy.team if text == TEAM else text,
                copy.amount if number == AMOUNT else number,
            )


async def original(connection: asyncpg.Connection, execution_id: str) -> Original:
    """Read an execution. Raises ValueError if it has rows that copies would lack."""
    tables = await connection.fetch(
        "select c.table_name, c.column_name from information_schema.columns c"
        " join information_schema.tables t using (table_schema, table_name)"
        " where c.table_schema = $1 and c.column_name = 'execution_id'"
        " and c.data_type = 'text' and t.table_type = 'BASE TABLE'",
        SCHEMA,
    )
    for table, column in tables:
        if table in HELD or table.startswith("history_"):
            continue
        query = f"select count(*) from {SCHEMA}.{table} where {column} = $1"
        if await connection.fetchval(query, execution_id):
            raise ValueError(f"{execution_id} has rows in {table}, which copies would lack")
    execution = await connection.fetchrow(
        f"select * from {SCHEMA}.executions where id = $1", execution_id
    )
    if execution is None:
        raise ValueError(f"there is no execution {execution_id}")
    history = await connection.fetch(
        f"select seq, events from {SCHEMA}.history where execution_id = $1 order by seq",
        execution_id,
    )
    values = await connection.fetch(
        "select execution_id, name, namespace, text, number"
        f" from {SCHEMA}.search_values where execution_id = $1",
        execution_id,
    )
    return Original(execution, history, values)


def copies(of: Original, count: int, first_us: int, last_us: int) -> Iterator[Copy]:
    """Yield copies that were started in a span of time, at equal distances."""
    rng = random.Random()
    ids = ExecutionIds(rng.getrandbits(PROCESS_BITS))
    for number in range(count):
        started_us = first_us + (last_us - first_us) * number // count
        partition = number % PARTITION_COUNT
        yield Copy(
            id=ids.make(started_us, partition),
            partition=partition,
            shift_us=started_us - of.started_at,
            request_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            amount=float(number % AMOUNTS),
            team=f"team-{number % TEAMS:03}",
        )


async def write(connection: asyncpg.Connection, of: Original, chosen: Iterator[Copy]) -> int:
    """Copy rows into the database in transactions of 10,000 executions; return their number."""
    written = 0
    while chunk := list(islice(chosen, CHUNK)):
        async with connection.transaction():
            await connection.copy_records_to_table(
                "executions",
                schema_name=SCHEMA,
                columns=of.columns,
                records=map(of.execution, chunk),
            )
            await connection.copy_records_to_table(
                "history",
                schema_name=SCHEMA,
                columns=["start_day", "execution_id", "seq", "events"],
                records=(row for each in chunk for row in of.history(each)),
            )
            await connection.copy_records_to_table(
                "search_values",
                schema_name=SCHEMA,
                columns=["execution_id", "name", "namespace", "text", "number"],
                records=(row for each in chunk for row in of.values(each)),
            )
        written += len(chunk)
    return written


def _times(body: bytes) -> set[int]:
    """Return the times in encoded events, in microseconds."""
    found: set[int] = set()
    stack: list[Any] = list(history_event_pb2.HistoryEvents.FromString(body).events)
    while stack:
        for field, value in stack.pop().ListFields():
            if field.message_type is not None:
                stack += [value] if not field.is_repeated else list(value)
            elif field.name.endswith("at_us") and value:
                found.add(int(value))
    return found


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
