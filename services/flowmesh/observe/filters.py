"""Filters of log records and calls as SQL. Values are parameters only."""

from collections.abc import Iterator, Mapping
from typing import Final

from flowmesh.filters import AllOf, AnyOf, Filter, Instant, Kind, Not, Op, Term, parse_filter

LOG_FIELDS: Final[Mapping[str, Kind]] = {
    "time": Kind.TIME,
    "level": Kind.TEXT,
    "service": Kind.TEXT,
    "event": Kind.TEXT,
    "execution": Kind.TEXT,
    "trace": Kind.TEXT,
    "text": Kind.ERROR,
}
CALL_FIELDS: Final[Mapping[str, Kind]] = {
    "time": Kind.TIME,
    "service": Kind.TEXT,
    "method": Kind.TEXT,
    "code": Kind.TEXT,
    "duration": Kind.DURATION,
    "execution": Kind.TEXT,
    "trace": Kind.TEXT,
}
FIELDS: Final[Mapping[str, Mapping[str, Kind]]] = {"logs": LOG_FIELDS, "calls": CALL_FIELDS}
_COLUMNS: Final = {
    "time": "at_us",
    "duration": "duration_ms",
    "execution": "execution_id",
    "trace": "trace_id",
    "text": "event",
}


LAG_US: Final = 600_000_000
"""Between the time of a record and that of its storage, by the clocks of two machines."""

# Positions ascend with the time of storage, and the other indexes end with them.
_SINCE: Final = (
    "at >= to_timestamp({at} / 1e6) and position >= coalesce((select position from {table}"
    " where at >= to_timestamp({at} / 1e6) order by at limit 1), 9223372036854775807)"
)
_UNTIL: Final = (
    "at <= to_timestamp({at} / 1e6) and position <= coalesce((select position from {table}"
    " where at >= to_timestamp({at} / 1e6) order by at limit 1), 9223372036854775807)"
)


class Where:
    """The condition of one statement, and the values of its parameters.

    Without a namespace it admits the records of all. `before` and `after` are positions. Times that
    all records have to fulfil bound the positions that are read.
    """

    def __init__(
        self,
        text: str,
        table: str,
        *,
        now_us: int,
        namespace: str = "",
        before: int = 0,
        after: int = 0,
    ) -> None:
        self.values: list[object] = []
        parts = []
        if namespace:
            parts.append(f"namespace = {self._put(namespace, 'text')}")
        if before:
            parts.append(f"position < {self._put(before, 'bigint')}")
        if after:
            parts.append(f"position > {self._put(after, 'bigint')}")
        found = parse_filter(text, now_us, FIELDS[table])
        if found is not None:
            parts.append(self._condition(found))
            parts += self._bounds(found, table)
        self.text = " and ".join(parts) or "true"

    def _bounds(self, found: Filter, table: str) -> Iterator[str]:
        """Yield conditions on the storage of records, from the times that they have to have."""
        for each in found.parts if isinstance(found, AllOf) else (found,):
            if isinstance(each, AllOf):
                yield from self._bounds(each, table)
            elif isinstance(each, Term) and isinstance(each.value, Instant):
                at_us = each.value.at_us
                if each.op in (Op.GE, Op.GT, Op.EQ):
                    yield _SINCE.format(at=self._put(at_us - LAG_US, "bigint"), table=table)
                if each.op in (Op.LE, Op.LT, Op.EQ):
                    yield _UNTIL.format(at=self._put(at_us + LAG_US, "bigint"), table=table)

    def _put(self, value: object, kind: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def _condition(self, part: Filter) -> str:
        match part:
            case AllOf(parts):
                return f"({' and '.join(self._condition(each) for each in parts)})"
            case AnyOf(parts):
                return f"({' or '.join(self._condition(each) for each in parts)})"
            case Not(inner):
                return f"not {self._condition(inner)}"
        return self._term(part)

    def _term(self, term: Term) -> str:
        name, value = term.field.name, term.value
        column = _COLUMNS.get(name, name)
        if term.op is Op.WORDS:
            words = self._put(str(value), "text")
            return f"strpos(lower(event || ' ' || fields), lower({words})) > 0"
        if isinstance(value, Instant):
            return f"{column} {term.op.value} {self._put(value.at_us, 'bigint')}"
        if term.field.kind is Kind.DURATION and isinstance(value, float):
            return f"{column} {term.op.value} {self._put(value / 1_000, 'double precision')}"
        if term.op is Op.IN:
            return f"{column} = any ({self._put([str(each) for each in term.values], 'text[]')})"
        text = "" if value is None else str(value)
        op = "^@" if term.op is Op.PREFIX else term.op.value
        return f"{column} {op} {self._put(text, 'text')}"
