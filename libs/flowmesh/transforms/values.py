"""Shared functions of operations: fields, comparison and order of JSON values, text limits."""

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import ReferenceInvalid, kind_of, parse_reference
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import (
    ITEMS_MAX,
    TEXT_CHARACTERS_MAX,
    VALUE_BYTES,
    VALUE_BYTES_MAX,
)
from flowmesh.transforms.operation import Step

Read = Callable[[Json], Json]


class Missing:
    """The marker of a missing member, as opposed to null."""


MISSING = Missing()


def field_path(field: str) -> tuple[str | int, ...]:
    """Return the steps of a field such as `address.lines[0]`. Raises ValueError."""
    text = f"item{field}" if field.startswith("[") else f"item.{field}"
    try:
        return parse_reference(text, 0, len(text), "").path
    except ReferenceInvalid as error:
        raise ValueError(f"{field!r} is not a field path: {error.message}") from error


def reader(field: str | None) -> Read:
    """Return a reader of a field of an element, or MISSING; None reads the whole element."""
    if field is None:
        return lambda element: element
    path = field_path(field)
    if len(path) == 1:
        name = path[0]
        return lambda element: (
            element.get(name, MISSING) if element.__class__ is dict else _walk(element, path)
        )
    return lambda element: _walk(element, path)


def column(field: str | None) -> Callable[[list[Json]], list[Json]]:
    """Return a reader of a field of all items; faster than a reader for each item."""
    read = reader(field)
    if field is None:
        return lambda items: items
    path = field_path(field)
    if len(path) > 1:
        return lambda items: [read(item) for item in items]
    name = path[0]
    return lambda items: [
        item.get(name, MISSING) if item.__class__ is dict else read(item) for item in items
    ]


def _walk(value: Json, path: tuple[str | int, ...]) -> Json:
    for key in path:
        if isinstance(key, str):
            if not isinstance(value, dict) or key not in value:
                return MISSING
            value = value[key]
        elif not isinstance(value, list) or key >= len(value):
            return MISSING
        else:
            value = value[key]
    return value


def or_null(value: Json) -> Json:
    return None if value is MISSING else value


def array(value: Json) -> list[Json]:
    """Return the value. Raises TransformError unless it is an array."""
    if not isinstance(value, list):
        raise TransformError(f"needs an array, got {kind_of(value)}")
    return value


def bounded(items: list[Json]) -> list[Json]:
    """Return the items. Raises TransformError for too many."""
    if len(items) > ITEMS_MAX:
        raise TransformError(f"yields more than {ITEMS_MAX} items")
    return items


def each(change: Step, value: Json) -> list[Json]:
    """Apply `change` to each item; errors contain the index."""
    items = array(value)
    result: list[Json] = []
    append = result.append
    try:
        for item in items:
            append(change(item))
    except TransformError as error:
        raise error.at(len(result)) from error
    return result


def check_size(value: Json) -> None:
    """Raise TransformError for a value too large as JSON; repeated parts count each time."""
    if size_of(value, VALUE_BYTES_MAX) > VALUE_BYTES_MAX:
        size = VALUE_BYTES_MAX // 1024 // 1024
        raise TransformError(f"yields more than {size} MiB")


def size_of(value: Json, most: int) -> int:
    """Return the estimated size as JSON in bytes; any size above `most` if it is larger."""
    left = most
    waiting = [value]
    members: Iterable[Json]
    while waiting:
        item = waiting.pop()
        if item.__class__ is dict:
            left -= VALUE_BYTES * len(item) + sum(map(len, item))
            members = item.values()
        elif item.__class__ is list:
            left -= VALUE_BYTES * len(item)
            members = item
        else:
            left -= len(item) if item.__class__ is str else VALUE_BYTES
            members = ()
        for member in members:
            if member.__class__ is str:
                left -= len(member)
            elif member.__class__ is dict or member.__class__ is list:
                waiting.append(member)
        if left < 0:
            break
    return most - left


def as_object(value: Json) -> dict[str, Json]:
    """Return the value. Raises TransformError unless it is an object."""
    if not isinstance(value, dict):
        raise TransformError(f"needs objects, got {kind_of(value)}")
    return value


def on_objects(change: Step) -> Step:
    """Return a step that applies `change` to an object or to each object of an array."""
    return lambda value: (
        each(change, value) if isinstance(value, list) else change(as_object(value))
    )


def group_names(field: str | None) -> Callable[[list[Json]], list[str]]:
    """Return a reader of a field of all items as group names."""
    read = column(field)

    def names(items: list[Json]) -> list[str]:
        found = read(items)
        return found if set(map(type, found)) <= {str} else each(group_name, found)

    return names


def group_name(value: Json) -> str:
    """Return a value as a group name."""
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, dict | list):
        raise TransformError(f"groups by texts, numbers or booleans, got {kind_of(value)}")
    return text_of(value)


def text_of(value: Json) -> str:
    """Return a value as text: texts unchanged, integers without a point, other values as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value is MISSING:
        return ""
    if isinstance(value, dict | list):
        try:
            return orjson.dumps(value).decode()
        except orjson.JSONEncodeError as error:
            raise TransformError("a value is nested too deeply to be written") from error
    return str(int(value)) if value == int(value) else repr(value)


def identity(value: Json) -> object:
    """Return a key that is equal for equal JSON values: 1 and 1.0, but not 1 and true."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, dict | list):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError as error:
            raise TransformError("a value is nested too deeply to be compared") from error
    return value


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def order_key(value: Json) -> tuple[int, Any]:
    """Return a sort key: numbers, texts, booleans, arrays and objects, null, missing."""
    if is_number(value):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    if isinstance(value, bool):
        return (2, value)
    if value is None:
        return (4, 0)
    return (5, 0) if value is MISSING else (3, identity(value))


def on_values(change: Step, field: str | None, target: str | None) -> Step:
    """Return a step that applies `change` to a value, each item of an array, or a field of either.

    With a field, elements are objects and the result is stored under `target`, by default the
    field itself; an element without the field stays unchanged.
    """
    if field is None:
        return lambda value: each(change, value) if isinstance(value, list) else change(value)
    read = reader(field)
    path = field_path(field)
    if target is None and len(path) > 1:
        raise ValueError(f"{field!r} is inside another field, so 'target' must name the result")
    name = target if target is not None else str(path[0])

    def change_element(element: Json) -> Json:
        if not isinstance(element, dict):
            raise TransformError(f"field {field!r} needs objects, got {kind_of(element)}")
        value = read(element)
        return element if value is MISSING else {**element, name: change(value)}

    return lambda value: (
        each(change_element, value) if isinstance(value, list) else change_element(value)
    )


class TextMeter:
    """The limit of text that one operation writes in one run."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = TEXT_CHARACTERS_MAX

    def spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise TransformError(f"writes more than {TEXT_CHARACTERS_MAX} characters")
