"""What a task asks of a database and what it gets, whichever database it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from flowmesh.executors.failures import invalid

Json = Any
RESULT_BYTES_MAX = 4 * 1024 * 1024
COLUMNS_MAX = 1_600


@dataclass(frozen=True, slots=True)
class DatabaseCall:
    """One statement over a named connection; `writes` says that it may change what is there."""

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
    """The rows it answered; `count` is that of the rows it changed, where it changed any."""

    rows: list[dict[str, Json]]
    count: int


class Databases(Protocol):
    """Who runs statements: `Connections`, or whoever only wants to know of them."""

    async def run(self, call: DatabaseCall) -> Rows:
        """Raises TaskFailure."""


class Kept:
    """Rows as objects, as long as they are within their bounds; refused above, never cut."""

    def __init__(self, columns: Sequence[str], rows_max: int) -> None:
        if len(set(columns)) < len(columns):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise invalid(f"two columns of the answer are named {twice}; rename one with AS")
        self._columns = columns
        self._rows_max = rows_max
        self._size = 0
        self.rows: list[dict[str, Json]] = []

    def add(self, row: Sequence[Json]) -> None:
        """Raises a ValidationError where it is one too many."""
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
