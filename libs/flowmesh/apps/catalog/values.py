"""Values of configuration keys, converted to the kind of their field."""

import re
from collections.abc import Mapping

from flowmesh.apps.catalog.descriptor import Field
from flowmesh.apps.catalog.table import key_form, nearest_names
from flowmesh.contract.durations import duration_ms
from flowmesh.contract.hosts import address_problem
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.jsontext.integers import is_whole

TEMPLATE = "{{"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)?\Z")
_UNITS = {
    "": 1,
    "B": 1,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_TRUE, _FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})


class ValueMismatch(ValueError):
    """A value that does not fit its field; the message says what would."""


def convert(field: Field, value: Json) -> Json:
    """Return the value in the form of the field: durations in seconds, sizes in bytes.

    Raises ValueMismatch. Text that came from the environment is accepted for numbers and booleans.
    """
    match field.kind:
        case "string" if field.rules.get("") == "address":
            return _address(_string(value))
        case "string" | "filepath" | "sql":
            return _string(value)
        case "number":
            return _bounded(field, _number(value))
        case "boolean":
            return _boolean(value)
        case "select":
            return _option(field, value)
        case "duration":
            return _duration(value)
        case "bytes":
            return _size(value)
        case "array":
            return _array(field, value)
        case "map":
            if not isinstance(value, dict):
                raise ValueMismatch(f"must be an object, not {kind_of(value)}")
    return value


def _string(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueMismatch(f"must be a text, not {kind_of(value)}")
    return value if isinstance(value, str) else str(value)


def _address(value: str) -> str:
    if "://" in value and TEMPLATE not in value and (problem := address_problem(value)):
        raise ValueMismatch(f"must be the address of a server: {problem}")
    return value


def _number(value: Json) -> int | float:
    if isinstance(value, str):
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            raise ValueMismatch(f"must be a number, not {value[:40]!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueMismatch(f"must be a number, not {kind_of(value)}")
    return value


def _bounded(field: Field, value: int | float) -> int | float:
    if field.least is not None and value < field.least:
        raise ValueMismatch(f"must be at least {field.least:g}, not {value}")
    if field.most is not None and value > field.most:
        raise ValueMismatch(f"must be at most {field.most:g}, not {value}")
    return value


def _boolean(value: Json) -> bool:
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if not isinstance(value, bool):
        raise ValueMismatch(f"must be true or false, not {kind_of(value)}")
    return value


def _option(field: Field, value: Json) -> str:
    text = _string(value)
    for option in field.options:
        if option.lower() == text.lower():
            return option
    near = nearest_names(text, field.options)
    raise ValueMismatch(f"must be one of {', '.join(field.options)}, not {text[:40]!r}{near}")


def _duration(value: Json) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str):
        if is_whole(value):
            return float(value)
        found = duration_ms(value)
        if found is not None:
            return found / 1_000
    raise ValueMismatch("must be a duration such as 500ms, 30s, 5m or 24h, or a number of seconds")


def _size(value: Json) -> int:
    found = _SIZE.match(str(value)) if not isinstance(value, bool) else None
    if found is None:
        raise ValueMismatch("must be a size such as 512KiB or 1MiB, or a number of bytes")
    return int(float(found[1]) * _UNITS[found[2] or ""])


def _array(field: Field, value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise ValueMismatch(f"must be a list, not {kind_of(value)}")
    if field.item == "string":
        return [_string(item) for item in value]
    if field.item == "number":
        return [_number(item) for item in value]
    if field.item == "object" and not all(isinstance(item, dict) for item in value):
        raise ValueMismatch("must be a list of objects")
    return value


def fields_by_form(fields: tuple[Field, ...]) -> Mapping[str, Field]:
    """Return the fields by the forms of their keys and aliases."""
    return {key_form(name): each for each in fields for name in (*each.aliases, each.key)}
