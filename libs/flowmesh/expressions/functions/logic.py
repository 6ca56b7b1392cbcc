"""Functions that choose, compare and create identifiers."""

import hashlib
import uuid
from collections.abc import Callable

from flowmesh.contract.json_value import Json
from flowmesh.expressions.errors import ValueMissing
from flowmesh.expressions.functions.signatures import Function, Unfit, function
from flowmesh.expressions.moments import Moment

Lazy = Callable[[], Json]


def _coalesce(*values: Lazy) -> Json:
    for value in values:
        try:
            found = value()
        except ValueMissing:
            continue
        if found is not None:
            return found
    return None


def _if(condition: Lazy, then: Lazy, otherwise: Lazy) -> Json:
    return then() if _truth(condition()) else otherwise()


def _and(*values: Lazy) -> bool:
    return all(_truth(value()) for value in values)


def _or(*values: Lazy) -> bool:
    return any(_truth(value()) for value in values)


def _truth(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Unfit("a condition must be true or false, such as the result of eq, gt or exists")
    return value


def _exists(value: Lazy) -> bool:
    try:
        return value() is not None
    except ValueMissing:
        return False


def _empty(value: Lazy) -> bool:
    try:
        return _is_empty(value())
    except ValueMissing:
        return True


def _if_empty(value: Lazy, otherwise: Lazy) -> Json:
    try:
        found = value()
    except ValueMissing:
        return otherwise()
    return otherwise() if _is_empty(found) else found


def _is_empty(value: Json) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def same(a: Json, b: Json) -> bool:
    """Equality of JSON: 1 and 1.0 are equal, 1 and true are not."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _ne(a: Json, b: Json) -> bool:
    return not same(a, b)


def _order(a: Json, b: Json) -> int:
    if isinstance(a, str) != isinstance(b, str):
        raise Unfit("a string and a number cannot be compared")
    return int(a > b) - int(a < b)


def _uuid(moment: Moment, place: str) -> str:
    """Return a version 4 UUID whose bits are a hash of the moment and the place."""
    digest = hashlib.sha256(f"{moment.key}\0{place}".encode("utf-8", "surrogatepass")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


FUNCTIONS: tuple[Function, ...] = (
    function(
        "default(value: any, otherwise: any) -> any",
        _coalesce,
        "The value, or `otherwise` if it is missing or null.",
        'default(null, "x")',
        lazy=True,
    ),
    function(
        "coalesce(values...: any) -> any",
        _coalesce,
        "The first value that is neither missing nor null.",
        'coalesce(null, "a", "b")',
        lazy=True,
    ),
    function(
        "ifEmpty(value: any, otherwise: any) -> any",
        _if_empty,
        "The value, or `otherwise` if it is missing, null, or empty as defined by `empty`.",
        'ifEmpty("", "x")',
        lazy=True,
    ),
    function(
        "if(condition: boolean, then: any, otherwise: any) -> any",
        _if,
        "`then` or `otherwise`; the other one is not evaluated.",
        'if(gt(2, 1), "more", "less")',
        lazy=True,
    ),
    function(
        "exists(value: any) -> boolean",
        _exists,
        "True if the value exists and is not null.",
        "exists(null)",
        lazy=True,
    ),
    function(
        "empty(value: any) -> boolean",
        _empty,
        "True if the value is missing, null, or an empty string, array or object.",
        'empty("")',
        lazy=True,
    ),
    function(
        "and(values...: boolean) -> boolean",
        _and,
        "True if all are true; stops at the first that is not.",
        "and(true, false)",
        lazy=True,
    ),
    function(
        "or(values...: boolean) -> boolean",
        _or,
        "True if one is true; stops at the first that is.",
        "or(true, false)",
        lazy=True,
    ),
    function(
        "not(value: boolean) -> boolean",
        lambda value: not value,
        "True if the value is false.",
        "not(true)",
    ),
    function("eq(a: any, b: any) -> boolean", same, "True if a and b are equal.", "eq(1, 1.0)"),
    function("ne(a: any, b: any) -> boolean", _ne, "True if a and b differ.", "ne(1, 2)"),
    function(
        "lt(a: number|string, b: number|string) -> boolean",
        lambda a, b: _order(a, b) < 0,
        "True if a is less than b; compares two numbers or two strings.",
        "lt(1, 2)",
    ),
    function(
        "le(a: number|string, b: number|string) -> boolean",
        lambda a, b: _order(a, b) <= 0,
        "True if a is at most b.",
        "le(2, 2)",
    ),
    function(
        "gt(a: number|string, b: number|string) -> boolean",
        lambda a, b: _order(a, b) > 0,
        "True if a is greater than b.",
        'gt("b", "a")',
    ),
    function(
        "ge(a: number|string, b: number|string) -> boolean",
        lambda a, b: _order(a, b) >= 0,
        "True if a is at least b.",
        "ge(1, 2)",
    ),
    function(
        "uuid() -> uuid",
        _uuid,
        "A version 4 UUID, equal whenever this task renders this place.",
        "uuid()",
        momentary=True,
    ),
)
