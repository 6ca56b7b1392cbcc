"""The relay of an outbox: makes committed requests, and deletes them after the response.

Rows are claimed with a lock that skips those of other relays. A relay that dies loses its locks,
and another one repeats the request with the same request id, which has no further effect.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import asyncpg

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as trigger_pb
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import FlowmeshError, Forbidden, Overloaded, Timeout, Unavailable, WrongState
from flowmesh.event.intake.reports import ORCHESTRATOR
from flowmesh.failpoints import failpoint
from flowmesh.outbox import UserDatabase, user_databases
from flowmesh.runtime import Loop, Runtime, StartError

BATCH_MAX: Final = 100
CALL_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 10.0
MESSAGE_CHARACTERS_MAX: Final = 1_000
CHANNEL: Final = "flowmesh_outbox"
_TRANSIENT: Final = (Unavailable, Overloaded, Timeout)

_CLAIM: Final = """
select id, kind, namespace, target, name, body::text as body, request_id, attempts
from flowmesh.outbox where due_at <= clock_timestamp()
order by id limit $1 for update skip locked
"""
_DELETE: Final = "delete from flowmesh.outbox where id = any($1::bigint[])"
_POSTPONE: Final = """
update flowmesh.outbox set attempts = attempts + 1,
    due_at = clock_timestamp() + least(30, 0.5 * 2 ^ least(attempts, 10)) * interval '1 second'
where id = any($1::bigint[])
"""
_REFUSE: Final = """
with gone as (
    delete from flowmesh.outbox where id = $1
    returning id, kind, namespace, target, name, body, request_id, created_at
)
insert into flowmesh.refused
    (id, kind, namespace, target, name, body, request_id, created_at, reason, message)
select gone.*, $2, $3 from gone
"""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls that requests are made of."""

    executions: Any
    triggers: Any

    async def make(self, row: Any, actor: str) -> None:
        """Make the request of a row. Raises FlowmeshError."""
        payload = payload_pb2.Payload(data=row["body"].encode())
        names = {"namespace": row["namespace"], "request_id": row["request_id"], "actor": actor}
        match row["kind"]:
            case "start":
                start = pb.StartExecutionRequest(workflow_id=row["target"], input=payload, **names)
                await self.executions.StartExecution(start, timeout=CALL_TIMEOUT_S)
            case "signal":
                signal = pb.SignalExecutionRequest(
                    execution_id=row["target"], name=row["name"], payload=payload, **names
                )
                await self.executions.SignalExecution(signal, timeout=CALL_TIMEOUT_S)
            case _:
                event = trigger_pb.Event(
                    id=row["request_id"], source=row["name"], type=row["target"], data=payload
                )
                request = trigger_pb.PublishEventRequest(namespace=row["namespace"], event=event)
                await self.triggers.PublishEvent(request, timeout=CALL_TIMEOUT_S)


class OutboxRelay(Loop):
    """Relays the outbox of one database; a notification of its commits wakes it."""

    interval_ms: ClassVar[int] = 1_000

    def __init__(self, *, database: UserDatabase, calls: Calls) -> None:
        self._database = database
        self._calls = calls
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def run_once(self) -> int:
        """Make the due requests of one batch; return their number."""
        connection = await self._connected()
        try:
            async with connection.transaction():
                rows = await connection.fetch(_CLAIM, BATCH_MAX)
                if rows:
                    await self._relay(connection, rows)
        except asyncpg.UndefinedTableError:
            name = self._database.name
            text = f"it has no outbox; run `flowmesh outbox install --database {name}`"
            raise WrongState("FAILED_PRECONDITION", f"database {name}: {text}") from None
        if len(rows) == BATCH_MAX:
            self.wake()
        return len(rows)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=CALL_TIMEOUT_S)

    async def _relay(self, connection: Any, rows: Sequence[Any]) -> None:
        outcomes = await asyncio.gather(*(self._make(row) for row in rows))
        failpoint("event.outbox_relayed")
        done = [row["id"] for row, error in zip(rows, outcomes, strict=True) if error is None]
        later = []
        for row, error in zip(rows, outcomes, strict=True):
            if isinstance(error, _TRANSIENT):
                later.append(row["id"])
            elif error is not None:
                message = error.message[:MESSAGE_CHARACTERS_MAX]
                await connection.execute(_REFUSE, row["id"], error.reason, message)
        await connection.execute(_DELETE, done)
        await connection.execute(_POSTPONE, later)

    async def _make(self, row: Any) -> FlowmeshError | None:
        """Make a request; return its failure."""
        if row["namespace"] not in self._database.namespaces:
            text = f"database {self._database.name} may not use namespace {row['namespace']}"
            return Forbidden("FORBIDDEN", text)
        try:
            await self._calls.make(row, f"outbox:{self._database.name}")
        except FlowmeshError as error:
            return error
        return None

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            # Poolers share connections, so nothing is prepared.
            made = await asyncpg.connect(
                self._database.url, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0
            )
            await made.add_listener(CHANNEL, lambda *_: self.wake())
            self._connection = made
        return self._connection


def add_relays(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Relay the outboxes of the databases of the settings. Raises StartError for a wrong file."""
    try:
        databases = user_databases(runtime.settings.databases)
    except ValueError as error:
        raise StartError(str(error)) from error
    calls = Calls(
        executions=runtime.stub(ExecutionServiceStub, ORCHESTRATOR),
        triggers=runtime.stub(TriggerServiceStub, runtime.service),
    )
    for database in databases.values():
        if database.outbox:
            relay = OutboxRelay(database=database, calls=calls)
            stack.push_async_callback(relay.close)
            runtime.add_loop(relay)
