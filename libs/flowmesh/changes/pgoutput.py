"""Messages of PostgreSQL's output plugin `pgoutput`, version 1 of its protocol.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final, Literal

from flowmesh.errors import WrongState

Operation = Literal["insert", "update", "delete"]
# 2000-01-01, the epoch of PostgreSQL, in microseconds since 1970.
EPOCH_US: Final = 946_684_800_000_000

_BEGIN: Final = Struct(">qqi")
_COMMIT: Final = Struct(">bqqq")
_COLUMN: Final = Struct(">Ii")
_OID: Final = Struct(">I")
_COUNT: Final = Struct(">h")
_LENGTH: Final = Struct(">i")
_OPERATIONS: Final[dict[bytes, Operation]] = {b"I": "insert", b"U": "update", b"D": "delete"}


class Left:
    """A large value that an update did not change, and that the message leaves out."""

    __slots__ = ()


LEFT: Final = Left()
# A value as text of PostgreSQL, null, or left out.
Value = str | None | Left


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `key` if it is part of the replica identity."""

    name: str
    key: bool
    type_oid: int


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as of the change; `full` if its replica identity is the entire row."""

    oid: int
    schema: str
    name: str
    full: bool
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """The beginning of a transaction; `lsn` is the position of its commit."""

    lsn: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Commit:
    """The end of a transaction; after `end_lsn` the next one begins."""

    end_lsn: int


@dataclass(frozen=True, slots=True)
class RowChange:
    """A changed row; `before` has the columns of the replica identity only, or is None.

    A change above the limit of the reader is cut: it has neither row, and its size.
    """

    relation: Relation
    operation: Operation
    before: tuple[Value, ...] | None = None
    after: tuple[Value, ...] | None = None
    cut_bytes: int = 0


Message = Begin | Commit | RowChange


class Decoder:
    """Decodes the messages of one reading of a slot; it keeps the tables that they announce."""

    def __init__(self) -> None:
        self._relations: dict[int, Relation] = {}

    def decode(self, data: bytes, size: int) -> Message | None:
        """Return a message; None for those without an effect. `data` may be cut to its head."""
        kind = data[:1]
        if kind in _OPERATIONS:
            relation = self._relations[_OID.unpack_from(data, 1)[0]]
            if len(data) < size:
                return RowChange(relation, _OPERATIONS[kind], cut_bytes=size)
            return _change(_Cursor(data, 5), relation, _OPERATIONS[kind])
        if kind == b"B":
            lsn, at_us, _ = _BEGIN.unpack_from(data, 1)
            return Begin(lsn, at_us + EPOCH_US)
        if kind == b"C":
            return Commit(_COMMIT.unpack_from(data, 1)[2])
        if kind == b"R":
            relation = _relation(_Cursor(data, 1))
            self._relations[relation.oid] = relation
        return None


class _Cursor:
    """A position in a message."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, length: int) -> bytes:
        self._at += length
        if self._at > len(self._data):
            raise WrongState("CHANGES_REFUSED", "a message of pgoutput ends too early")
        return self._data[self._at - length : self._at]

    def number(self, form: Struct) -> int:
        value: int = form.unpack(self.take(form.size))[0]
        return value

    def text(self) -> str:
        end = self._data.index(b"\0", self._at)
        found = self._data[self._at : end].decode(errors="replace")
        self._at = end + 1
        return found

    def row(self) -> tuple[Value, ...]:
        return tuple(self._value() for _ in range(self.number(_COUNT)))

    def _value(self) -> Value:
        kind = self.take(1)
        if kind == b"n":
            return None
        if kind == b"u":
            return LEFT
        return self.take(self.number(_LENGTH)).decode(errors="replace")


def _relation(cursor: _Cursor) -> Relation:
    oid = cursor.number(_OID)
    schema, name = cursor.text() or "pg_catalog", cursor.text()
    identity = cursor.take(1)
    columns = []
    for _ in range(cursor.number(_COUNT)):
        key = cursor.take(1) == b"\1"
        column = cursor.text()
        type_oid, _modifier = _COLUMN.unpack(cursor.take(_COLUMN.size))
        columns.append(Column(column, key, type_oid))
    return Relation(oid, schema, name, identity == b"f", tuple(columns))


def _change(cursor: _Cursor, relation: Relation, operation: Operation) -> RowChange:
    kind, before = cursor.take(1), None
    if kind in b"KO":
        before = cursor.row()
        kind = cursor.take(1) if operation == "update" else b""
    return RowChange(relation, operation, before, cursor.row() if kind == b"N" else None)
