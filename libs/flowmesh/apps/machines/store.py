"""Rows of state machines: instances by version, their changes, and the outbox of effects.

A change writes all three in one transaction, whose first statement compares the version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from flowmesh.apps.data.database import Database, Row
from flowmesh.apps.data.statements import Statement, own_statement
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.step import Change, EffectKind, Instance, Outcome
from flowmesh.contract.json_value import Json

DATA_BYTES_MAX = 1024 * 1024
PAGE_MAX = 10_000
_COLUMNS = "id, workflow, state, version, data, ended, created_at, changed_at, automatic"
_TABLES = (
    """CREATE TABLE IF NOT EXISTS machine_instances (
        machine TEXT NOT NULL, id TEXT NOT NULL, workflow TEXT NOT NULL, state TEXT NOT NULL,
        version INTEGER NOT NULL, data TEXT NOT NULL, ended INTEGER NOT NULL,
        created_at DOUBLE PRECISION NOT NULL, changed_at DOUBLE PRECISION NOT NULL,
        automatic INTEGER NOT NULL, PRIMARY KEY (machine, id))""",
    """CREATE INDEX IF NOT EXISTS machine_instances_open
        ON machine_instances (machine, ended, state)""",
    """CREATE TABLE IF NOT EXISTS machine_changes (
        machine TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
        transition TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, data TEXT NOT NULL,
        at DOUBLE PRECISION NOT NULL, cause TEXT, PRIMARY KEY (machine, id, version))""",
    """CREATE UNIQUE INDEX IF NOT EXISTS machine_changes_cause
        ON machine_changes (machine, cause)""",
    """CREATE TABLE IF NOT EXISTS machine_effects (
        seq {serial}, machine TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
        place INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        due_at DOUBLE PRECISION NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
        dead INTEGER NOT NULL, UNIQUE (machine, id, version, place))""",
    """CREATE INDEX IF NOT EXISTS machine_effects_due ON machine_effects (machine, dead, due_at)""",
)


@dataclass(frozen=True, slots=True)
class EffectRow:
    """An effect that waits, or that no attempt could finish."""

    seq: int
    id: str
    version: int
    kind: EffectKind
    name: str
    due_at: float
    attempts: int
    reason: str = ""

    @property
    def cause(self) -> str:
        """The name of the change that this effect may make, once."""
        return f"{self.id}:{self.version}:{self.kind}:{self.name}"


class MachineStore:
    """The rows of one engine."""

    def __init__(self, *, machine: str, database: Database) -> None:
        self._machine = machine
        self._database = database

    @property
    def database(self) -> Database:
        return self._database

    async def start(self) -> None:
        """Create the tables."""
        sqlite = self._database.dialect == "sqlite"
        serial = "INTEGER PRIMARY KEY AUTOINCREMENT" if sqlite else "BIGSERIAL PRIMARY KEY"
        await self._database.script([each.replace("{serial}", serial) for each in _TABLES])

    async def create(self, outcome: Outcome) -> bool:
        """Store a new instance; return False if there is one of this id."""
        instance = outcome.instance
        text = (
            f"INSERT INTO machine_instances (machine, {_COLUMNS}) "  # noqa: S608 - constants
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (machine, id) DO NOTHING"
        )
        values = (
            self._machine,
            instance.id,
            instance.workflow,
            instance.state,
            instance.version,
            _written(instance.data),
            int(instance.ended),
            instance.created_at,
            instance.changed_at,
            0,
        )
        return await self._database.unit([(self._sql(text), values), *self._rest(outcome)])

    async def advance(self, outcome: Outcome, done: EffectRow | None = None) -> bool:
        """Store a change, and that the effect which made it is done.

        Return False if the instance has another version by now, or the effect made it before.
        """
        instance = outcome.instance
        text = (
            "UPDATE machine_instances SET state = ?, version = ?, data = ?, ended = ?, "
            "changed_at = ?, automatic = ? WHERE machine = ? AND id = ? AND version = ?"
        )
        values = (
            instance.state,
            instance.version,
            _written(instance.data),
            int(instance.ended),
            instance.changed_at,
            instance.automatic,
            self._machine,
            instance.id,
            instance.version - 1,
        )
        rest = self._rest(outcome)
        if done is not None:
            rest.append((self._sql("DELETE FROM machine_effects WHERE seq = ?"), (done.seq,)))
        return await self._database.unit([(self._sql(text), values), *rest])

    async def get(self, id: str) -> Instance | None:
        table = f"SELECT {_COLUMNS} FROM machine_instances"  # noqa: S608 - constants
        text = f"{table} WHERE machine = ? AND id = ?"
        rows = await self._rows(text, (self._machine, id))
        return _instance(rows[0]) if rows else None

    async def instances(
        self, *, workflow: str = "", state: str = "", limit: int = PAGE_MAX
    ) -> list[Instance]:
        """Return instances by id, all or those of a definition or state."""
        text = (
            f"SELECT {_COLUMNS} FROM machine_instances WHERE machine = ? "  # noqa: S608
            "AND (? = '' OR workflow = ?) AND (? = '' OR state = ?) ORDER BY id LIMIT ?"
        )
        values = (self._machine, workflow, workflow, state, state, limit)
        return [_instance(each) for each in await self._rows(text, values)]

    async def history(self, id: str) -> list[Change]:
        text = (
            "SELECT version, transition, source, target, data, at, cause FROM machine_changes "
            "WHERE machine = ? AND id = ? ORDER BY version"
        )
        return [_change(each) for each in await self._rows(text, (self._machine, id))]

    async def change(self, id: str, version: int) -> Change:
        text = (
            "SELECT version, transition, source, target, data, at, cause FROM machine_changes "
            "WHERE machine = ? AND id = ? AND version = ?"
        )
        return _change((await self._rows(text, (self._machine, id, version)))[0])

    async def caused(self, cause: str) -> Change | None:
        """Return the change that an effect made."""
        text = (
            "SELECT version, transition, source, target, data, at, cause FROM machine_changes "
            "WHERE machine = ? AND cause = ?"
        )
        rows = await self._rows(text, (self._machine, cause))
        return _change(rows[0]) if rows else None

    async def open_count(self) -> int:
        text = "SELECT count(*) AS n FROM machine_instances WHERE machine = ? AND ended = 0"
        return int((await self._rows(text, (self._machine,)))[0]["n"])

    async def due(self, now: float, limit: int) -> list[str]:
        """Return the ids of instances with effects that are due, the longest waiting first."""
        text = (
            "SELECT id, min(seq) AS first FROM machine_effects "
            "WHERE machine = ? AND dead = 0 AND due_at <= ? GROUP BY id ORDER BY first LIMIT ?"
        )
        return [each["id"] for each in await self._rows(text, (self._machine, now, limit))]

    async def effects(self, id: str, now: float) -> list[EffectRow]:
        """Return the effects of an instance that are due, in their order.

        One that waits for another attempt holds back those behind it; the time of a state does not.
        """
        text = (
            "SELECT seq, id, version, kind, name, due_at, attempts, reason FROM machine_effects "
            "WHERE machine = ? AND id = ? AND dead = 0 ORDER BY seq LIMIT 100"
        )
        found: list[EffectRow] = []
        for row in await self._rows(text, (self._machine, id)):
            effect = EffectRow(**row)
            if effect.due_at <= now:
                found.append(effect)
            elif effect.kind != "timeout":
                break
        return found

    async def next_due(self) -> float | None:
        text = "SELECT min(due_at) AS at FROM machine_effects WHERE machine = ? AND dead = 0"
        found = (await self._rows(text, (self._machine,)))[0]["at"]
        return None if found is None else float(found)

    async def finish(self, effect: EffectRow) -> None:
        await self._change("DELETE FROM machine_effects WHERE seq = ?", (effect.seq,))

    async def postpone(self, effect: EffectRow, due_at: float, reason: str) -> None:
        text = (
            "UPDATE machine_effects SET attempts = attempts + 1, due_at = ?, reason = ? "
            "WHERE seq = ?"
        )
        await self._change(text, (due_at, reason, effect.seq))

    async def bury(self, effect: EffectRow, reason: str) -> None:
        text = (
            "UPDATE machine_effects SET attempts = attempts + 1, dead = 1, reason = ? WHERE seq = ?"
        )
        await self._change(text, (reason, effect.seq))

    async def dead(self) -> list[EffectRow]:
        text = (
            "SELECT seq, id, version, kind, name, due_at, attempts, reason FROM machine_effects "
            "WHERE machine = ? AND dead = 1 ORDER BY seq LIMIT 1000"
        )
        return [EffectRow(**each) for each in await self._rows(text, (self._machine,))]

    async def revive(self, seq: int) -> bool:
        """Run a dead effect again."""
        text = (
            "UPDATE machine_effects SET dead = 0, attempts = 0, due_at = 0 "
            "WHERE machine = ? AND seq = ? AND dead = 1"
        )
        return await self._change(text, (self._machine, seq)) > 0

    async def expire(self, before: float) -> None:
        """Delete the instances that ended before a time and have no effects left."""
        gone = (
            "SELECT id FROM machine_instances i WHERE machine = ? AND ended = 1 AND changed_at < ? "
            "AND NOT EXISTS (SELECT 1 FROM machine_effects e WHERE e.machine = i.machine "
            "AND e.id = i.id)"
        )
        rows = await self._rows(f"{gone} LIMIT {PAGE_MAX}", (self._machine, before))
        for id in (each["id"] for each in rows):
            values = (self._machine, id)
            deletes = (
                "DELETE FROM machine_instances WHERE machine = ? AND id = ?",
                "DELETE FROM machine_changes WHERE machine = ? AND id = ?",
            )
            await self._database.unit([(self._sql(text), values) for text in deletes])

    def _rest(self, outcome: Outcome) -> list[tuple[Statement, Sequence[Json]]]:
        """Return the statements of the change and its effects."""
        change, id = outcome.change, outcome.instance.id
        insert = (
            "INSERT INTO machine_changes (machine, id, version, transition, source, target, data, "
            "at, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        values: Sequence[Json] = (
            *(self._machine, id, change.version, change.transition, change.source),
            *(change.target, _written(change.data), change.at, change.cause or None),
        )
        found: list[tuple[Statement, Sequence[Json]]] = [(self._sql(insert), values)]
        insert = (
            "INSERT INTO machine_effects (machine, id, version, place, kind, name, due_at, "
            "attempts, reason, dead) VALUES (?, ?, ?, ?, ?, ?, ?, 0, '', 0)"
        )
        for place, each in enumerate(outcome.effects):
            row = (self._machine, id, change.version, place, each.kind, each.name, each.due_at)
            found.append((self._sql(insert), row))
        return found

    def _sql(self, text: str) -> Statement:
        return own_statement(text, self._database.dialect)

    async def _rows(self, text: str, values: Sequence[Json]) -> list[Row]:
        rows = self._database.query(self._sql(text), values, 1_000_000)
        return rows if isinstance(rows, list) else await rows

    async def _change(self, text: str, values: Sequence[Json]) -> int:
        return (await self._database.execute(self._sql(text), values)).count


def _written(data: Mapping[str, Json]) -> str:
    body = orjson.dumps(data)
    if len(body) > DATA_BYTES_MAX:
        text = f"the data of an instance has at most {DATA_BYTES_MAX} bytes, not {len(body)}"
        raise HttpProblem(413, "INSTANCE_TOO_LARGE", text)
    return body.decode()


def _instance(row: Row) -> Instance:
    return Instance(**{**row, "data": orjson.loads(row["data"]), "ended": bool(row["ended"])})


def _change(row: Row) -> Change:
    return Change(**{**row, "data": orjson.loads(row["data"]), "cause": row["cause"] or ""})
