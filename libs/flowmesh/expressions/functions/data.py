"""Functions over JSON values: arrays, objects, and JSON text."""

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.expressions.functions.signatures import (
    ITEMS_MAX,
    TEXT_CHARACTERS_MAX,
    Function,
    Unfit,
    bounded_text,
    function,
)
from flowmesh.expressions.references import kind_of

NESTING_MAX = 64


def to_json(value: Json) -> str:
    try:
        text = orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, UnicodeError):
        raise Unfit("the value cannot be written as JSON") from None
    bounded_text(len(text))
    return text


def _from_json(text: str) -> Json:
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Unfit(f"the text is longer than {TEXT_CHARACTERS_MAX} characters")
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeError):
        raise Unfit("the text is not JSON") from None
    if _too_deep(value):
        raise Unfit(f"the value is nested more than {NESTING_MAX} levels deep")
    return value


def _too_deep(value: Json) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        below: list[Json] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        level = below
    return True


def _length(value: Json) -> int:
    return len(value)


def _keys(value: dict[str, Json]) -> list[str]:
    return list(value)


def _values(value: dict[str, Json]) -> list[Json]:
    return list(value.values())


def _get(where: Json, key: Json, otherwise: Json = None) -> Json:
    if isinstance(where, dict):
        return where.get(key, otherwise) if isinstance(key, str) else otherwise
    whole = isinstance(key, int) and not isinstance(key, bool)
    return where[key] if whole and -len(where) <= key < len(where) else otherwise


def _first(items: list[Json]) -> Json:
    return items[0] if items else None


def _last(items: list[Json]) -> Json:
    return items[-1] if items else None


def _slice(items: list[Json], start: int, end: int | None = None) -> list[Json]:
    return items[start:end]


def _reverse(items: list[Json]) -> list[Json]:
    return items[::-1]


def _sort(items: list[Json]) -> list[Json]:
    plain = all(isinstance(item, str) for item in items) or all(
        isinstance(item, int | float) and not isinstance(item, bool) for item in items
    )
    if not plain:
        raise Unfit("only strings, or only numbers, can be sorted")
    return sorted(items)


def _unique(items: list[Json]) -> list[Json]:
    found: dict[bytes, Json] = {}
    for item in items:
        found.setdefault(_identity(item), item)
    return list(found.values())


def _identity(value: Json) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise Unfit("an item cannot be written as JSON") from None


def _merge(*objects: dict[str, Json]) -> dict[str, Json]:
    merged: dict[str, Json] = {}
    for each in objects:
        merged |= each
    return merged


def _pick(value: dict[str, Json], *names: str) -> dict[str, Json]:
    return {name: value[name] for name in names if name in value}


def _omit(value: dict[str, Json], *names: str) -> dict[str, Json]:
    return {name: member for name, member in value.items() if name not in names}


def _range(start: int, end: int) -> list[int]:
    if end - start > ITEMS_MAX:
        raise Unfit(f"the result would have more than {ITEMS_MAX} items")
    return list(range(start, end))


def _type(value: Json) -> str:
    return kind_of(value).rpartition(" ")[2]


def _array(*values: Json) -> list[Json]:
    return list(values)


FUNCTIONS: tuple[Function, ...] = (
    function(
        "length(value: string|array|object) -> integer",
        _length,
        "The number of characters, items or members.",
        'length("abc")',
    ),
    function(
        "keys(value: object) -> strings",
        _keys,
        "The names of the members.",
        """keys(fromJson('{"a": 1, "b": 2}'))""",
    ),
    function(
        "values(value: object) -> array",
        _values,
        "The values of the members.",
        """values(fromJson('{"a": 1, "b": 2}'))""",
    ),
    function(
        "get(where: object|array, key: any, otherwise?: any) -> any",
        _get,
        "The member of that name or the item at that index, else `otherwise`, else null.",
        """get(fromJson('{"a": 1}'), "a")""",
    ),
    function("array(values...: any) -> array", _array, "The values as an array.", 'array(1, "a")'),
    function(
        "first(items: array) -> any", _first, "The first item, or null.", "first(array(1, 2))"
    ),
    function("last(items: array) -> any", _last, "The last item, or null.", "last(array(1, 2))"),
    function(
        "slice(items: array, start: integer, end?: integer) -> array",
        _slice,
        "The items from `start` to before `end`; a negative one counts from the end.",
        "slice(array(1, 2, 3), 1)",
    ),
    function(
        "reverse(items: array) -> array",
        _reverse,
        "The items in reverse order.",
        "reverse(array(1, 2))",
    ),
    function(
        "sort(items: array) -> array",
        _sort,
        "Numbers or strings in ascending order.",
        "sort(array(2, 1))",
    ),
    function(
        "unique(items: array) -> array",
        _unique,
        "The items without repeated ones.",
        "unique(array(1, 2, 1))",
    ),
    function(
        "range(start: integer, end: integer) -> array",
        _range,
        "The whole numbers from `start` to before `end`.",
        "range(1, 4)",
    ),
    function(
        "merge(objects...: object) -> object",
        _merge,
        "One object with the members of all; later ones win.",
        """merge(fromJson('{"a": 1}'), fromJson('{"b": 2}'))""",
    ),
    function(
        "pick(value: object, names...: string) -> object",
        _pick,
        "Only the named members.",
        """pick(fromJson('{"a": 1, "b": 2}'), "a")""",
    ),
    function(
        "omit(value: object, names...: string) -> object",
        _omit,
        "All but the named members.",
        """omit(fromJson('{"a": 1, "b": 2}'), "a")""",
    ),
    function(
        "toJson(value: any) -> string", to_json, "The value as JSON text.", "toJson(array(1, null))"
    ),
    function(
        "fromJson(text: string) -> any",
        _from_json,
        "The value of a JSON text.",
        """fromJson('{"a": [1]}')""",
    ),
    function(
        "type(value: any) -> string",
        _type,
        "`string`, `number`, `boolean`, `null`, `array` or `object`.",
        "type(1.5)",
    ),
)
