"""Changes of rows as events of CloudEvents, which triggers see."""

from typing import Final

from flowmesh.changes.pgoutput import Left, Relation, RowChange, Value
from flowmesh.changes.slots import Change, lsn_text
from flowmesh.changes.values import json_value
from flowmesh.contract.json_value import Json
from flowmesh.views import instant

TYPES: Final = {"insert": "row.inserted", "update": "row.updated", "delete": "row.deleted"}


def change_event(database: str, change: Change) -> dict[str, Json]:
    """Return a change as the value of `event`.

    Large values that an update did not change are taken from the former row if the message has
    it; otherwise they are absent in `after` and named in `unchanged`.
    """
    row = change.row
    relation = row.relation
    after = row.after
    if after is not None and relation.full and row.before is not None:
        pairs = zip(after, row.before, strict=True)
        after = tuple(old if isinstance(new, Left) else new for new, old in pairs)
    left = [
        column.name
        for column, value in zip(relation.columns, after or (), strict=False)
        if isinstance(value, Left)
    ]
    data = {
        "operation": row.operation,
        "schema": relation.schema,
        "table": relation.name,
        "before": _before(row),
        "after": None if after is None else _object(relation, after),
        "unchanged": left,
    }
    return {
        "id": f"{lsn_text(change.position[0])}/{change.position[1]}",
        "source": f"/databases/{database}/{relation.schema}.{relation.name}",
        "type": TYPES[row.operation],
        "subject": _subject(row),
        "time": instant(change.at_us),
        "data": data,
    }


def _before(row: RowChange) -> dict[str, Json] | None:
    if row.before is None:
        return None
    found = _object(row.relation, row.before)
    if row.relation.full:
        return found
    # Columns outside of the key are null in the message.
    return {each.name: found[each.name] for each in row.relation.columns if each.key}


def _object(relation: Relation, values: tuple[Value, ...]) -> dict[str, Json]:
    return {
        column.name: None if value is None else json_value(column.type_oid, value)
        for column, value in zip(relation.columns, values, strict=True)
        if not isinstance(value, Left)
    }


def _subject(row: RowChange) -> str:
    """Return the key of the row; empty without a key."""
    if row.relation.full:
        return ""
    values = row.after or row.before or ()
    pairs = zip(row.relation.columns, values, strict=False)
    return ",".join(value for column, value in pairs if column.key and isinstance(value, str))
