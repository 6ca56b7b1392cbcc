"""Change triggers, their slots and firings as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.changes import Position, Source, lsn_text
from flowmesh.event.triggers.store import Firing, add_firings
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

Row = Mapping[str, Any]
LEASE_MS: Final = 10_000
_PHASES: Final = {
    "creating": pb.CHANGE_SLOT_PHASE_CREATING,
    "reading": pb.CHANGE_SLOT_PHASE_READING,
    "lost": pb.CHANGE_SLOT_PHASE_LOST,
}
_OPERATIONS: Final = {
    trigger_pb2.CHANGE_OPERATION_INSERT: "insert",
    trigger_pb2.CHANGE_OPERATION_UPDATE: "update",
    trigger_pb2.CHANGE_OPERATION_DELETE: "delete",
}


@dataclass(frozen=True, slots=True)
class ChangeTrigger:
    """A change trigger of a workflow."""

    namespace: str
    workflow: str
    body: bytes
    paused: bool

    @property
    def message(self) -> trigger_pb2.Trigger:
        return trigger_pb2.Trigger.FromString(self.body)

    @property
    def table(self) -> tuple[str, str]:
        """Return the schema and the name of the table."""
        schema, dot, name = self.message.change.table.partition(".")
        return (schema, name) if dot else ("public", schema)

    @property
    def key(self) -> tuple[str, ...]:
        """Return the identity of its slot: another table or publication needs another one."""
        trigger = self.message
        change = trigger.change
        place = (change.database, ".".join(self.table), change.publication)
        return (self.namespace, self.workflow, trigger.id, *place)

    def source(self, slot: str) -> Source:
        schema, table = self.table
        change = self.message.change
        operations = frozenset(_OPERATIONS[each] for each in change.operations)
        return Source(
            slot, schema, table, operations or frozenset(_OPERATIONS.values()), change.publication
        )


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that the service made, or is about to make."""

    name: str
    key: tuple[str, ...]
    phase: str
    position: Position
    renewed: bool

    @classmethod
    def of(cls, row: Row) -> "Slot":
        names = ("namespace", "workflow", "trigger", "database", "source", "publication")
        key = tuple(row[each] for each in names)
        return cls(row["slot"], key, row["phase"], (row["lsn"], row["number"]), row["renewed"])

    @property
    def database(self) -> str:
        return self.key[3]

    @property
    def source(self) -> Source:
        """Return the slot and publication to drop."""
        schema, _, table = self.key[4].partition(".")
        return Source(self.name, schema, table, frozenset(), self.key[5])


class ChangeStore:
    """Queries, and changes by a single statement or in one transaction."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", *, owner: str, keys: DataKeys = NO_KEYS
    ) -> None:
        self._pool = pool
        self._owner = owner
        self._sql: Any = load_queries(files("flowmesh.event").joinpath("sql"), keys=keys)

    async def triggers(self) -> list[ChangeTrigger]:
        return [
            ChangeTrigger(row["namespace"], row["workflow"], row["body"], row["paused"])
            async for row in self._sql.change_triggers(self._pool)
        ]

    async def slots(self) -> list[Slot]:
        return [Slot.of(row) async for row in self._sql.change_slots(self._pool)]

    async def states(
        self, namespace: str, workflows: Sequence[str]
    ) -> dict[tuple[str, str], pb.ChangeSlot]:
        """Return the slots of workflows by workflow and trigger."""
        rows = self._sql.change_slots_of(self._pool, namespace=namespace, workflows=list(workflows))
        return {(row["workflow"], row["trigger"]): _state(row) async for row in rows}

    async def add(self, name: str, key: tuple[str, ...]) -> None:
        """Note a slot before it is made, so that it is dropped even after a crash."""
        namespace, workflow, trigger, database, source, publication = key
        await self._sql.add_change_slot(
            self._pool,
            slot=name,
            namespace=namespace,
            workflow=workflow,
            trigger=trigger,
            database=database,
            source=source,
            publication=publication,
        )

    async def lease(self, slot: str) -> Slot | None:
        """Return the slot if this process may read it, for ten seconds."""
        row = await self._sql.lease_change_slot(
            self._pool, slot=slot, owner=self._owner, lease_ms=LEASE_MS
        )
        return None if row is None else Slot.of(row)

    async def release(self) -> None:
        """Give the slots of this process to others."""
        await self._sql.release_change_slots(self._pool, owner=self._owner)

    async def begin(self, slot: str) -> None:
        await self._sql.begin_change_slot(self._pool, slot=slot)

    async def report(self, slot: str, problem: str) -> None:
        """Store the present problem of a slot; an empty one ends it."""
        await self._sql.report_change_slot(self._pool, slot=slot, problem=problem)

    async def measure(self, slot: str, *, lag_bytes: int, keep_bytes_max: int) -> None:
        await self._sql.measure_change_slot(
            self._pool, slot=slot, lag_bytes=lag_bytes, keep_bytes_max=keep_bytes_max
        )

    async def lose(self, slot: str, problem: str, *, renewed: bool) -> None:
        """Note that a slot is lost; `renewed` if it begins anew when its trigger is resumed."""
        await self._sql.lose_change_slot(self._pool, slot=slot, problem=problem, renewed=renewed)

    async def renew(self, slot: str) -> None:
        """Let a lost slot begin anew when its trigger is resumed."""
        await self._sql.renew_change_slot(self._pool, slot=slot)

    async def delete(self, slot: str) -> None:
        await self._sql.delete_change_slot(self._pool, slot=slot)

    async def waiting(self, trigger: ChangeTrigger) -> tuple[int, int]:
        """Return number and size of the firings that are not started yet."""
        row = await self._sql.waiting_firings(
            self._pool,
            namespace=trigger.namespace,
            workflow=trigger.workflow,
            trigger=trigger.message.id,
        )
        return row["firings"], row["bytes"]

    async def store(
        self,
        slot: str,
        before: Position,
        after: Position,
        firings: Sequence[Firing],
        refused: "Refusals | None",
    ) -> bool:
        """Store firings and move the slot in one transaction.

        Return False, with nothing changed, if another process has moved it.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            moved = await self._sql.move_change_slot(
                connection,
                slot=slot,
                owner=self._owner,
                from_lsn=before[0],
                from_number=before[1],
                lsn=after[0],
                number=after[1],
            )
            if not moved:
                return False
            if firings:
                await add_firings(self._sql.add_ordered_firings, connection, firings)
            if refused is not None:
                await self._sql.refuse_changes(
                    connection,
                    namespace=refused.trigger.namespace,
                    workflow=refused.trigger.workflow,
                    id=refused.trigger.message.id,
                    count=refused.count,
                    at_us=refused.at_us,
                    error=refused.error,
                )
        return True


@dataclass(frozen=True, slots=True)
class Refusals:
    """Changes of a trigger that start nothing, with the error of the last one."""

    trigger: ChangeTrigger
    count: int
    at_us: int
    error: str


def _state(row: Row) -> pb.ChangeSlot:
    position = (row["lsn"], row["number"])
    return pb.ChangeSlot(
        name=row["slot"],
        phase=_PHASES[row["phase"]],
        lag_bytes=row["lag_bytes"],
        keep_bytes_max=row["keep_bytes_max"],
        position=f"{lsn_text(position[0])}/{position[1]}" if position[0] else "",
        problem=row["problem"],
        checked_at_us=row["checked_us"],
    )
