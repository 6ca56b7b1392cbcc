"""References such as `tasks.fetch-user.output.orders[0].items`: grammar and lookup.

A reference is a root and a path of names and indexes; it cannot call, compute or reach anything
other than members of JSON objects and items of JSON arrays.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from flowmesh.expressions.errors import ValueMissing

PATH_SEGMENTS_MAX = 64
INDEX_DIGITS_MAX = 9
MEMBERS_NAMED_MAX = 8

_ROOT = re.compile(r"[A-Za-z_$][\w$-]*")
_NAME = re.compile(r"\.([\w$][\w$-]*)")
_INDEX = re.compile(r"\[\s*(\d+)\s*\]")
_KEY = re.compile(r"""\[\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*\]""")
_PLAIN_NAME = re.compile(r"[\w$][\w$-]*\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """A data reference; `at` is the path of its string in the compiled value."""

    root: str
    path: tuple[str | int, ...]
    at: str = ""
    # The 0-based offset in the string, -1 if unknown.
    offset: int = field(default=-1, compare=False)

    def __str__(self) -> str:
        return path_text(self.root, self.path)


class ReferenceInvalid(ValueError):
    """The text is not a reference; `offset` is the 0-based character of the error."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def child_path(base: str, key: str | int) -> str:
    """Return the path of a member or item below `base`."""
    if isinstance(key, int):
        return f"{base}[{key}]"
    if not _PLAIN_NAME.match(key):
        return f"{base}[{orjson.dumps(key).decode()}]"
    return f"{base}.{key}" if base else key


def path_text(root: str, path: tuple[str | int, ...]) -> str:
    text = root
    for key in path:
        text = child_path(text, key)
    return text


def parse_reference(text: str, start: int, end: int, at: str) -> Reference:
    """Parse the reference in text[start:end], ignoring surrounding blanks.

    Raises ReferenceInvalid for empty text or a syntax error.
    """
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start == end:
        raise ReferenceInvalid("the braces are empty; write a reference such as input.name", start)
    root = _ROOT.match(text, start, end)
    if root is None:
        raise ReferenceInvalid(f"a reference cannot begin with {text[start]!r}", start)
    path: list[str | int] = []
    position = root.end()
    while position < end:
        key, position = next_segment(text, position, end, len(path))
        path.append(key)
    return Reference(root.group(), tuple(path), at, start)


def root_at(text: str, position: int, end: int) -> str | None:
    """Return the name of a root or function at the position."""
    found = _ROOT.match(text, position, end)
    return found.group() if found is not None else None


def next_segment(text: str, position: int, end: int, before: int) -> tuple[str | int, int]:
    """Return the name or index at the position and its end; `before` segments precede it."""
    if before == PATH_SEGMENTS_MAX:
        raise ReferenceInvalid(f"a reference has at most {PATH_SEGMENTS_MAX} steps", position)
    if found := _NAME.match(text, position, end):
        return found.group(1), found.end()
    if found := _INDEX.match(text, position, end):
        if len(found.group(1)) > INDEX_DIGITS_MAX:
            raise ReferenceInvalid(f"an index has at most {INDEX_DIGITS_MAX} digits", position)
        return int(found.group(1)), found.end()
    if found := _KEY.match(text, position, end):
        return unquoted(found, position), found.end()
    if text[position] == ".":
        raise ReferenceInvalid("a name is missing after '.'", position + 1)
    if text[position] == "[":
        raise ReferenceInvalid(
            'brackets hold an index such as [0] or a key such as ["a b"]', position
        )
    raise ReferenceInvalid(f"unexpected {text[position]!r}", position)


def unquoted(found: re.Match[str], position: int) -> str:
    """Return the content of a quoted string with JSON escapes."""
    double, single = found.group(1), found.group(2)
    body: str = double if double is not None else single
    if "\\" not in body:
        return body
    if double is None:
        body = body.replace("\\'", "'").replace('"', '\\"')
    try:
        key: str = orjson.loads(f'"{body}"')
    except orjson.JSONDecodeError as error:
        raise ReferenceInvalid(
            "the string has an escape that JSON does not have", position
        ) from error
    return key


def getter(reference: Reference) -> Callable[..., Any]:
    """Return a function that looks up the reference in a scope. It raises ValueMissing.

    It ignores its second argument, the budget of all renderers.
    """
    root, path = reference.root, reference.path
    if not any(isinstance(key, int) for key in path):

        def get_member(scope: Mapping[str, Any], _budget: object = None) -> Any:
            try:
                value = scope[root]
                for key in path:
                    value = value[key]
            except (KeyError, TypeError, IndexError):
                return _explain(reference, scope)
            return value

        return get_member

    def get_item(scope: Mapping[str, Any], _budget: object = None) -> Any:
        try:
            value = scope[root]
            for key in path:
                if key.__class__ is int and value.__class__ is not list:
                    return _explain(reference, scope)
                value = value[key]
        except (KeyError, TypeError, IndexError):
            return _explain(reference, scope)
        return value

    return get_item


def _explain(reference: Reference, scope: Mapping[str, Any]) -> Any:
    """Repeat a failed lookup step by step to report its place."""
    value: Any = scope
    passed = ""
    for key in (reference.root, *reference.path):
        if isinstance(key, str):
            if not isinstance(value, Mapping):
                raise ValueMissing(str(reference), f"{passed} is {kind_of(value)}, not an object")
            if key not in value:
                raise ValueMissing(str(reference), _no_member(passed, key, value))
        elif not isinstance(value, list | tuple):
            raise ValueMissing(str(reference), f"{passed} is {kind_of(value)}, not an array")
        elif key >= len(value):
            held = f"{len(value)} item{'' if len(value) == 1 else 's'}"
            raise ValueMissing(str(reference), f"{passed} has {held}, none at [{key}]")
        value = value[key]
        passed = child_path(passed, key)
    return value


def _no_member(passed: str, key: str, value: Mapping[str, Any]) -> str:
    names = sorted(map(str, value))
    if key in names:
        return f"{child_path(passed, key)} has no output: it was skipped, has failed or is running"
    shown = ", ".join(names[:MEMBERS_NAMED_MAX]) + (", …" if len(names) > MEMBERS_NAMED_MAX else "")
    there = f"it has {shown}" if names else "it is empty"
    return f"{passed or 'the scope'} has no member {key!r}; {there}"


def kind_of(value: object) -> str:
    """Return the JSON type of a value with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list | tuple):
        return "an array"
    return "an object" if isinstance(value, Mapping) else type(value).__name__
