"""The table of changes that are not yet in the audit log."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.storage import load_queries


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Changes that were committed together."""

    id: int
    key: str
    entries: list[dict[str, Json]]


class AuditOutbox:
    """Reads and deletes rows, on a pool or on the connection of a transaction."""

    def __init__(self, connection: Any) -> None:
        self._at = connection
        self._sql: Any = load_queries(files("flowmesh.audit").joinpath("sql"))

    async def oldest(self, count: int) -> list[OutboxRow]:
        rows = self._sql.oldest_changes(self._at, count=count)
        return [
            OutboxRow(row["id"], row["key"], orjson.loads(row["entries"])) async for row in rows
        ]

    async def delete(self, ids: list[int]) -> None:
        await self._sql.delete_changes(self._at, ids=ids)
