"""Search attributes and retention of executions, the same in all native formats."""

import re

from flowmesh.contract.durations import duration_ms
from flowmesh.definitions import limits
from flowmesh.definitions.model import SearchField, SearchKind
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader

SEARCH_TYPES = tuple(kind.name for kind in SearchKind if kind is not SearchKind.ANY)
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}")
DAY_MS = 86_400_000
_INPUT = re.compile(r"input(\.[A-Za-z_][A-Za-z0-9_]*){1,8}")


def read_search(reader: Reader) -> tuple[SearchField, ...]:
    """Return the members `searchAttributes` and `searchable`."""
    fields = _attributes(reader) + _inputs(reader)
    if len(fields) > limits.SEARCH_FIELDS_MAX:
        most = limits.SEARCH_FIELDS_MAX
        message = f"{len(fields)} search attributes and searchable inputs; at most {most}"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "searchAttributes"))
    return fields


def _attributes(reader: Reader) -> tuple[SearchField, ...]:
    found = []
    attributes = reader.object("searchAttributes")
    for name in attributes.value:
        path: Path = (*attributes.path, name)
        if _NAME.fullmatch(name) is None:
            message = f"{name[:64]!r} must be 1 to 63 letters, digits, . _ or -"
            reader.problems.add("ID_INVALID", message, path, at_key=True)
            continue
        attribute = attributes.object(name)
        if not attribute.has("type"):
            attribute.missing("type", f"one of {', '.join(SEARCH_TYPES).lower()}")
        kind = attribute.choice("type", SEARCH_TYPES, SearchKind.TEXT.name)
        found.append(
            SearchField(f"attr.{name}", SearchKind[kind], attribute.raw("from"), attribute.path)
        )
        attribute.refuse_unknown()
    return tuple(found)


def _inputs(reader: Reader) -> tuple[SearchField, ...]:
    found: list[SearchField] = []
    for index, name in enumerate(reader.items("searchable")):
        path: Path = (*reader.path, "searchable", index)
        if not isinstance(name, str) or _INPUT.fullmatch(name) is None or len(name) > 190:
            message = "searchable holds parts of the input, as input.customerId"
            reader.problems.add("DEFINITION_INVALID", message, path)
        elif name in (each.name for each in found):
            reader.problems.add("DEFINITION_INVALID", f"{name} is listed twice", path)
        else:
            found.append(SearchField(name, SearchKind.ANY, f"{{{{ {name} }}}}", path))
    return tuple(found)


def read_retention(reader: Reader) -> int:
    """Return the retention of ended executions in ms; 0 if not set."""
    value = reader.raw("retention")
    if value is None:
        return 0
    found = duration_ms(value) if isinstance(value, str) else None
    if found is None:
        reader.wrong("retention", 'a duration such as "12h" or "30d"')
        return 0
    if not limits.RETENTION_MS_MIN <= found <= limits.RETENTION_MS_MAX:
        message = f"retention is {value[:64]}; it must be from 1m to 3650d"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "retention"))
        return 0
    return found
