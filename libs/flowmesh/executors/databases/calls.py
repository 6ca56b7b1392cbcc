"""The statement and the result of a database task, for all kinds of databases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors.failures import invalid

RESULT_BYTES_MAX = 4 * 1024 * 1024
COLUMNS_MAX = 1_600


@dataclass(frozen=True, slots=True)
class DatabaseCall:
    """One statement over a named connection; `writes` permits changes."""

    connection: str
    namespace: str
    statement: str
    writes: bool
    rows_max: int
    timeout_ms: int
    values: Mapping[str, Json] = field(default_factory=dict)
    identifiers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rows:
    """The returned rows; `count` is the number of changed rows, or of returned ones."""

    rows: list[dict[str, Json]]
    count: int


class Databases(Protocol):
    """Runs statements: `Connections`, or a recorder of calls in a dry run."""

    async def run(self, call: DatabaseCall) -> Rows:
        """Run the statement. Raises TaskFailure."""


class BoundedRows:
    """Rows as objects within limits; more rows fail the task and are never cut off."""

    def __init__(self, columns: Sequence[str], rows_max: int) -> None:
        if len(set(columns)) < len(columns):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise invalid(f"two columns of the answer are named {twice}; rename one with AS")
        self._columns = columns
        self._rows_max = rows_max
        self._size = 0
        self.rows: list[dict[str, Json]] = []

    def add(self, row: Sequence[Json]) -> None:
        """Add a row. Raises a ValidationError above the limits."""
        if len(self.rows) == self._rows_max:
            message = (
                f"the answer has more than {self._rows_max} rows; add a LIMIT, or raise maxRows"
            )
            raise invalid(message, reason="RESULT_TOO_LARGE")
        found = dict(zip(self._columns, row, strict=True))
        self._size += len(orjson.dumps(found))
        if self._size > RESULT_BYTES_MAX:
            message = f"the answer has more than {RESULT_BYTES_MAX} bytes"
            raise invalid(message, reason="RESULT_TOO_LARGE")
        self.rows.append(found)
