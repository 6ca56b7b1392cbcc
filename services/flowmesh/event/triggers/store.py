"""Triggers, firings, published events and webhook calls as rows. Times are the database's."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from flowmesh.access.audited import audited_call
from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.event.misfits import Misfit, TriggerMisfit
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

Row = Mapping[str, Any]

# For this long a repeated event is recognized, and triggers can be fired for past events.
PUBLISHED_KEPT_DAYS: Final = 7
# Much longer than twice the tolerance of signed timestamps.
CALLS_KEPT_HOURS: Final = 24
# Size limit of a list; a larger first trigger is returned alone.
TRIGGERS_BYTES_MAX: Final = 2 * 1024 * 1024
DAY_US: Final = 24 * 3_600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Firing:
    """A firing of a trigger, with the input of the execution that it starts."""

    namespace: str
    workflow: str
    trigger: str
    cause: str
    at_us: int
    input: bytes
    # Name of the signal that passes the payload of the webhook call to a node of the execution.
    signal: str = ""
    payload: bytes = b""
    attempts: int = 0

    @property
    def id(self) -> str:
        return request_id(self.namespace, self.workflow, self.trigger, self.cause)


def request_id(namespace: str, workflow: str, trigger: str, cause: str) -> str:
    """Return the request id of the start, derived from the trigger and the cause."""
    text = "\n".join((namespace, workflow, trigger, cause))
    return f"trg_{hashlib.sha256(text.encode()).hexdigest()[:40]}"


class TriggerStore:
    """Queries, and changes by a single statement."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        call: Callable[[], str] = audited_call,
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.event").joinpath("sql"), call=call, keys=keys)

    @asynccontextmanager
    async def change(self) -> AsyncIterator["TriggerChange"]:
        """Open a transaction; all its changes are committed, or none."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield TriggerChange(self._sql, connection)

    async def now_us(self) -> int:
        now: int = await self._sql.now_us(self._pool)
        return now

    async def known_workflows(self) -> set[tuple[str, str]]:
        return {
            (row["namespace"], row["workflow"])
            async for row in self._sql.known_workflows(self._pool)
        }

    async def next_due_ms(self) -> int | None:
        """Return the time until the next firing or retry, or None if nothing is pending."""
        wait_ms = await self._sql.next_due_ms(self._pool)
        return None if wait_ms is None else max(0, wait_ms)

    # --- firings ---

    async def claim(self, *, free: int, lease_ms: int) -> list[Firing]:
        """Claim firings in their order: later starts may depend on earlier ones."""
        rows = self._sql.claim_firings(self._pool, free=free, lease_ms=lease_ms)
        claimed = [
            Firing(**{name: value for name, value in row.items() if name != "id"})
            async for row in rows
        ]
        return sorted(claimed, key=lambda firing: firing.at_us)

    async def end(
        self, firing: Firing, *, execution_id: str = "", error: str = "", joined: bool = False
    ) -> None:
        """Delete a firing and record its outcome (started, joined or refused) at the trigger."""
        await self._sql.end_firing(
            self._pool,
            id=firing.id,
            namespace=firing.namespace,
            workflow=firing.workflow,
            trigger=firing.trigger,
            at_us=firing.at_us,
            execution_id=execution_id,
            error=error,
            joined=joined,
        )

    async def postpone(self, firing: Firing, *, attempts: int, delay_ms: int) -> None:
        await self._sql.postpone_firing(
            self._pool, id=firing.id, attempts=attempts, delay_ms=delay_ms
        )

    async def add(self, firings: Sequence[Firing], *, lease_ms: int) -> None:
        await add_firings(self._sql.add_firings, self._pool, firings, lease_ms=lease_ms)

    async def remove_batched(self, ids: Sequence[str]) -> None:
        """Forget messages of a batch whose start was refused."""
        await self._sql.remove_batched(self._pool, ids=list(ids))

    async def add_unpaused(self, firings: Sequence[Firing]) -> None:
        """Add firings of triggers that exist and are not paused."""
        await add_firings(self._sql.add_unpaused_firings, self._pool, firings)

    async def note_misfits(self, found: Sequence[TriggerMisfit]) -> None:
        """Record the problems of triggers with events."""
        await note_misfits(self._sql, self._pool, found)

    # --- triggers ---

    async def trigger(self, namespace: str, workflow: str, trigger: str) -> Row | None:
        row: Row | None = await self._sql.trigger(
            self._pool, namespace=namespace, workflow=workflow, id=trigger
        )
        return row

    async def applied_by(self, firing: Firing) -> str:
        """Return the principal that applied the workflow of a trigger; empty for none."""
        found: str | None = await self._sql.applied_by(
            self._pool, namespace=firing.namespace, workflow=firing.workflow, id=firing.trigger
        )
        return found or ""

    async def trigger_of_hook(self, namespace: str, hook: str) -> Row | None:
        row: Row | None = await self._sql.trigger_of_hook(
            self._pool, namespace=namespace, hook=hook
        )
        return row

    async def triggers(
        self, namespace: str, *, workflow: str, after: tuple[str, str], count: int
    ) -> tuple[list[Row], bool]:
        """Return at most `count` triggers, limited by size, and whether there are more."""
        found = self._sql.list_triggers(
            self._pool,
            namespace=namespace,
            workflow=workflow,
            after_workflow=after[0],
            after=after[1],
            count=count,
            bytes_max=TRIGGERS_BYTES_MAX,
        )
        rows = [row async for row in found]
        return rows, bool(rows) and rows[0]["held"] > len(rows)

    async def set_paused(
        self, namespace: str, workflow: str, trigger: str, *, paused: bool
    ) -> Row | None:
        """Return the changed trigger, or None if it was already in this state."""
        row: Row | None = await self._sql.set_paused(
            self._pool, namespace=namespace, workflow=workflow, id=trigger, paused=paused
        )
        return row

    async def all_event_triggers(self) -> list[Row]:
        return [row async for row in self._sql.all_event_triggers(self._pool)]

    async def queue_triggers(self) -> list[Row]:
        """Return the queue triggers of all namespaces that are not paused."""
        return [row async for row in self._sql.queue_triggers(self._pool)]

    # --- published events ---

    async def published(
        self,
        namespace: str,
        from_us: int,
        to_us: int,
        after: tuple[int, str, str],
        *,
        count: int,
        bytes_max: int,
    ) -> tuple[list[Row], bool]:
        """Return at most `count` events, limited by size, and whether there are more."""
        found = self._sql.published_between(
            self._pool,
            namespace=namespace,
            from_us=from_us,
            to_us=to_us,
            after_us=after[0],
            after_source=after[1],
            after_id=after[2],
            count=count,
            bytes_max=bytes_max,
        )
        rows = [row async for row in found]
        return rows, bool(rows) and rows[0]["held"] > len(rows)

    # --- calls ---

    async def hook_key(self) -> bytes:
        key: bytes = await self._sql.hook_key(self._pool)
        return key

    async def earlier_call(self, namespace: str, hook: str, name: str) -> Row | None:
        row: Row | None = await self._sql.earlier_call(
            self._pool, namespace=namespace, hook=hook, name=name
        )
        return row

    async def record_call(
        self, namespace: str, hook: str, name: str, *, execution_id: str = "", node: str = ""
    ) -> None:
        """Record a call. The first outcome is kept; without an execution the outcome is open."""
        await self._sql.record_call(
            self._pool,
            namespace=namespace,
            hook=hook,
            name=name,
            execution_id=execution_id,
            node=node,
        )

    async def delete_call(self, namespace: str, hook: str, name: str) -> None:
        """Delete a call without outcome."""
        await self._sql.delete_call(self._pool, namespace=namespace, hook=hook, name=name)

    async def delete_expired(self) -> None:
        """Delete rows past their retention."""
        before_us = await self.now_us() - PUBLISHED_KEPT_DAYS * DAY_US
        await self._sql.delete_expired_published(self._pool, before_us=before_us)
        await self._sql.delete_expired_calls(self._pool, hours=CALLS_KEPT_HOURS)
        await self._sql.delete_expired_batched(self._pool, hours=CALLS_KEPT_HOURS)


class TriggerChange:
    """A transaction on triggers."""

    def __init__(self, sql: Any, connection: Any) -> None:
        self.sql = sql
        self.connection = connection

    async def now_us(self) -> int:
        now: int = await self.sql.now_us(self.connection)
        return now

    async def update_source(self, found: trigger_pb2.WorkflowTriggers) -> bool:
        """Return whether this version or its grant is newer than the stored one."""
        return bool(
            await self.sql.update_source(
                self.connection,
                namespace=found.namespace,
                workflow=found.workflow_id,
                version=found.version,
                live=found.live,
                grants=found.grants,
            )
        )

    async def update_trigger(
        self,
        found: trigger_pb2.WorkflowTriggers,
        trigger: trigger_pb2.Trigger,
        next_us: int | None,
    ) -> None:
        await self.sql.update_trigger(
            self.connection,
            namespace=found.namespace,
            workflow=found.workflow_id,
            id=trigger.id,
            kind=trigger.WhichOneof("kind"),
            version=found.version,
            body=trigger.SerializeToString(deterministic=True),
            hook=trigger.webhook.hook,
            next_us=next_us,
            applied_by=found.applied_by,
        )

    async def delete_removed(self, found: trigger_pb2.WorkflowTriggers) -> None:
        """Delete the triggers that the workflow no longer has."""
        ids = [trigger.id for trigger in found.triggers] if found.live else []
        await self.sql.delete_triggers(
            self.connection, namespace=found.namespace, workflow=found.workflow_id, ids=ids
        )

    async def due_schedules(self, count: int) -> list[Row]:
        return [row async for row in self.sql.due_schedules(self.connection, count=count)]

    async def move_schedules(
        self, rows: Sequence[Row], next_us: Sequence[int | None], missed: Sequence[int]
    ) -> None:
        await self.sql.move_schedules(
            self.connection,
            namespaces=[row["namespace"] for row in rows],
            workflows=[row["workflow"] for row in rows],
            ids=[row["id"] for row in rows],
            next=list(next_us),
            missed=list(missed),
        )

    async def add_firings(self, firings: Sequence[Firing], *, lease_ms: int) -> None:
        await add_firings(self.sql.add_firings, self.connection, firings, lease_ms=lease_ms)

    async def add_batched(self, ids: Sequence[str]) -> set[str]:
        """Note messages of a batch; return those that no earlier batch contains."""
        rows = self.sql.add_batched(self.connection, ids=list(ids))
        return {row["id"] async for row in rows}

    async def event_triggers(self, namespace: str) -> list[Row]:
        rows = self.sql.event_triggers(self.connection, namespace=namespace)
        return [row async for row in rows]

    async def subscriptions(self, namespace: str) -> list[Row]:
        """Return the durable subscriptions of a namespace."""
        rows = self.sql.subscriptions_of(self.connection, namespace=namespace)
        return [row async for row in rows]

    async def note_misfits(
        self, of_triggers: Sequence[TriggerMisfit], of_subscriptions: Mapping[str, Misfit]
    ) -> None:
        """Record the problems of triggers and, by their ids, of subscriptions with an event."""
        await note_misfits(self.sql, self.connection, of_triggers)
        for id, misfit in sorted(of_subscriptions.items()):
            await self.sql.note_problem(self.connection, id=id, last_error=str(misfit))

    async def undelivered(self, count: int) -> list[Row]:
        """Return published events that are not yet delivered to listeners, locked."""
        return [row async for row in self.sql.undelivered_events(self.connection, count=count)]

    async def mark_delivered(self, rows: Sequence[Row]) -> None:
        await self.sql.mark_delivered(
            self.connection,
            namespaces=[row["namespace"] for row in rows],
            sources=[row["source"] for row in rows],
            ids=[row["id"] for row in rows],
        )

    async def add_published(self, namespace: str, event: pb.Event, at_us: int) -> bool:
        """Add an event. Return False if it exists."""
        return bool(
            await self.sql.add_published(
                self.connection,
                namespace=namespace,
                source=event.source,
                id=event.id,
                type=event.type,
                at_us=at_us,
                event=event.SerializeToString(),
            )
        )


async def note_misfits(sql: Any, connection: Any, found: Sequence[TriggerMisfit]) -> None:
    if found:
        await sql.note_misfits(
            connection,
            namespaces=[each.namespace for each in found],
            workflows=[each.workflow for each in found],
            ids=[each.trigger for each in found],
            errors=[str(each.misfit) for each in found],
            refused=[each.misfit.refused for each in found],
        )


async def add_firings(
    add: Callable[..., Awaitable[None]],
    connection: Any,
    firings: Sequence[Firing],
    **more: Any,
) -> None:
    """Add firings; existing ones are unchanged."""
    await add(
        connection,
        ids=[each.id for each in firings],
        namespaces=[each.namespace for each in firings],
        workflows=[each.workflow for each in firings],
        triggers=[each.trigger for each in firings],
        causes=[each.cause for each in firings],
        at=[each.at_us for each in firings],
        inputs=[each.input for each in firings],
        signals=[each.signal for each in firings],
        payloads=[each.payload for each in firings],
        **more,
    )
