"""Filters as SQL over `executions e`. Values are parameters only: no input is part of the text.

Conditions on labels, attributes, input values and errors become a set of execution ids; the
database chooses whether to start with the set or with the executions.
"""

from collections.abc import Iterable
from typing import Any

from flowmesh.access.encryption import NO_KEYS, DataKeys
from flowmesh.errors import Invalid, Violation
from flowmesh.filters import (
    FAMILIES,
    AllOf,
    AnyOf,
    Filter,
    Instant,
    Not,
    Op,
    Term,
    Value,
    status_names,
)
from flowmesh.orchestrator.model.ids import first_id_of
from flowmesh.orchestrator.model.search_values import (
    HASHED_FAMILIES,
    Stored,
    hashed_text,
    instant_text,
)

ID_TIME_US_MAX = 32**9 * 1_000
"""Upper bound of times in ids."""

_COLUMNS = {"id": "e.id", "workflow": "e.workflow_id", "requestId": "e.request_id"}
_STATUSES = status_names()
_SET = "select s.execution_id from search_values s where"


class Where:
    """The conditions of one statement, and the values of its parameters."""

    def __init__(self, namespace: str, keys: DataKeys = NO_KEYS) -> None:
        self._keys = keys
        self._searched = namespace
        self._is_sealed = keys.covers(namespace)
        self.values: list[object] = []
        self.names: list[str] = []
        """The labels, attributes and input values that the statement uses."""

        self.namespace = self.put(namespace, "text")

    def put(self, value: object, kind: str) -> str:
        """Add a parameter; return its place in the statement."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def put_name(self, name: str) -> str:
        """Add the name of a search value; return its place in the statement."""
        if name.partition(".")[0] in FAMILIES and name not in self.names:
            self.names.append(name)
        return self.put(name, "text")

    def condition(self, part: Filter) -> str:
        """Return a condition on a row of executions. A condition on a missing value is false."""
        ids = self._ids(part)
        if ids is not None:
            return f"e.id in ({ids})"
        match part:
            case AllOf(parts):
                return f"({' and '.join(self.condition(each) for each in parts)})"
            case AnyOf(parts):
                return f"({' or '.join(self.condition(each) for each in parts)})"
            case Not(inner):
                return f"not coalesce({self.condition(inner)}, false)"
            case Term() if part.op is Op.NE:
                inner = Term(part.field, Op.EQ, part.values)
                return f"not coalesce({self.condition(inner)}, false)"
        return self._on_column(part)

    # --- columns of the execution ---

    def _on_column(self, term: Term) -> str:
        match term.field.name:
            case "status":
                numbers = [_STATUSES[str(value)] for value in term.values]
                return f"e.status = any ({self.put(numbers, 'smallint[]')})"
            case "version":
                return self._compared("e.workflow_version", term, "double precision")
            case "started":
                return self._started(term)
            case "ended":
                if term.value is None:
                    return "e.ended_at is null"
                return f"e.ended_at {term.op.value} {self.put(_at_us(term.value), 'bigint')}"
            case "duration":
                value = self.put(term.value, "double precision")
                return f"e.ended_at - e.started_at {term.op.value} {value}"
            case "any":
                return self._anywhere(term)
        if not term.field.stored_name:
            return self._compared(_COLUMNS[term.field.name], term, "text")
        name = self.put_name(term.field.stored_name)
        return f"e.id not in ({_SET} s.namespace = {self.namespace} and s.name = {name})"

    def _compared(self, column: str, term: Term, kind: str) -> str:
        if term.op is Op.IN:
            return f"{column} = any ({self.put(list(term.values), f'{kind}[]')})"
        if term.value is None:
            return f"{column} is null"
        op = "^@" if term.op is Op.PREFIX else term.op.value
        return f"{column} {op} {self.put(term.value, kind)}"

    def _anywhere(self, term: Term) -> str:
        """The ids, and each label, attribute and input value: its names are read from the index."""
        op, text = "^@" if term.op is Op.PREFIX else "=", self.put(term.value, "text")
        columns = " or ".join(f"{each} {op} {text}" for each in _COLUMNS.values())
        families = self.put([f"{each}." for each in FAMILIES], "text[]")
        return (
            f"({columns} or e.id in (with recursive named as ("  # noqa: S608
            " (select min(s.name) as name from search_values s"
            f" where s.namespace = {self.namespace})"
            " union all select (select min(s.name) from search_values s"
            f" where s.namespace = {self.namespace} and s.name > n.name)"
            " from named n where n.name is not null)"
            " select s.execution_id from named n join search_values s"
            f" on s.namespace = {self.namespace} and s.name = n.name and s.text {op} {text}"
            f" where exists (select 1 from unnest({families}) as f where n.name ^@ f)))"
        )

    def _started(self, term: Term) -> str:
        """Ids are in the order of starts, so the index finds a span of time."""
        at_us = _at_us(term.value)
        found = f"e.started_at {term.op.value} {self.put(at_us, 'bigint')}"
        if not 0 <= at_us < ID_TIME_US_MAX - 1_000:
            return found
        if term.op in (Op.GT, Op.GE, Op.EQ):
            found += f" and e.id >= {self.put(first_id_of(at_us), 'text')}"
        if term.op in (Op.LT, Op.LE, Op.EQ):
            found += f" and e.id < {self.put(first_id_of(at_us + 1_000), 'text')}"
        return f"({found})"

    # --- search values ---

    def _ids(self, part: Filter) -> str | None:
        """Return a query for the ids that match conditions on search values; None if there are
        none.
        """
        if isinstance(part, AnyOf):
            sets = [self._ids(each) for each in part.parts] if _all_stored(part.parts) else []
            return " union all ".join(each for each in sets if each) or None
        if not _is_stored(part):
            return None
        assert isinstance(part, Term)
        # A literal, so that the planner can use the index of words of errors.
        words = part.op is Op.WORDS
        name = "'error'" if words else self.put_name(part.field.stored_name)
        return (
            f"{_SET} s.namespace = {self.namespace} and s.name = {name} and {self._on_value(part)}"
        )

    def _on_value(self, term: Term) -> str:
        value, name = term.value, term.field.stored_name
        if self.hides(name) or (term.op is Op.WORDS and self._is_sealed):
            if term.op not in (Op.EQ, Op.IN):
                raise sealed_search(name or "error", f"`{term.op.value}`")
            return self._among_hashes(name, term.values)
        match term.op:
            case Op.WORDS:
                query = f"plainto_tsquery('simple', {self.put(value, 'text')})"
                return f"to_tsvector('simple', s.text) @@ {query}"
            case Op.PREFIX:
                return f"s.text ^@ {self.put(value, 'text')}"
            case Op.EQ | Op.IN:
                return self._among(term.values)
        if isinstance(value, float):
            return f"s.number {term.op.value} {self.put(value, 'double precision')}"
        bound = _bound(value, term.op) if isinstance(value, Instant) else _text(value)
        return f"s.text {term.op.value} {self.put(bound, 'text')}"

    def hides(self, name: str) -> bool:
        """Return whether the values of a name are hashes in this namespace."""
        return self._is_sealed and name.partition(".")[0] in HASHED_FAMILIES

    def _among_hashes(self, name: str, values: Iterable[Value]) -> str:
        """Return a condition that finds hashes, and values from before the encryption."""
        stored: list[Stored] = []
        for value in values:
            if isinstance(value, Instant):
                stored += [(value.text, None), (instant_text(value.at_us), None)]
            else:
                stored.append((None, value) if isinstance(value, float) else (_text(value), None))
        hashes = [hashed_text(self._keys, self._searched, name, each) for each in stored]
        return f"({self._one_of('s.text', hashes, 'text')} or {self._among(values)})"

    def _among(self, values: Iterable[Value]) -> str:
        texts: list[str] = []
        numbers: list[float] = []
        for value in values:
            if isinstance(value, float):
                numbers.append(value)
            elif isinstance(value, Instant):
                texts += [value.text, instant_text(value.at_us)]
            else:
                texts.append(_text(value))
        found = []
        if texts:
            found.append(self._one_of("s.text", texts, "text"))
        if numbers:
            found.append(self._one_of("s.number", numbers, "double precision"))
        return f"({' or '.join(found)})"

    def _one_of(self, column: str, values: list[Any], kind: str) -> str:
        """Compare a single value with `=`: its ids then come from the index in their order."""
        if len(values) == 1:
            return f"{column} = {self.put(values[0], kind)}"
        return f"{column} = any ({self.put(values, f'{kind}[]')})"


def _is_stored(part: Filter) -> bool:
    """Return whether search values alone determine the ids."""
    if isinstance(part, AnyOf):
        return _all_stored(part.parts)
    if not isinstance(part, Term) or not part.field.stored_name:
        return False
    return part.op is not Op.NE and None not in part.values


def _all_stored(parts: Iterable[Filter]) -> bool:
    return all(_is_stored(each) for each in parts)


def _at_us(value: Value) -> int:
    assert isinstance(value, Instant)
    return value.at_us


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bound(value: Instant, op: Op) -> str:
    """Return the bound for a comparison with times, and with days stored as text.

    A day stands for its first moment: the bound is just before it if the day itself matches, and
    the moment itself if not.
    """
    whole = instant_text(value.at_us)
    return value.text if not value.exact and op in (Op.LT, Op.GE) else whole


def sealed_search(name: str, how: str) -> Invalid:
    """Return the error of a search that hashes cannot answer."""
    text = (
        f"values of an encrypted project are found by equality only: {name} by {how} is not"
        " possible"
    )
    return Invalid("FILTER_INVALID", text, violations=(Violation("filter", text),))
