"""Layout of Python code: calls and JSON values, split into lines where one is too long."""

import json
import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 100
_INDENT = "    "
_Lines = list[str]


@dataclass(frozen=True, slots=True)
class Code:
    """An expression that is written unchanged."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call of `name`; arguments are JSON values, code, calls, and lists of these."""

    name: str
    arguments: Sequence[Any] = ()
    options: dict[str, Any] = field(default_factory=dict)


def statement(begins: str, value: Any, indent: int = 0) -> str:
    """Return `begins` and the value, each line indented by `indent` levels."""
    lines = _lines(begins, value, WIDTH - len(_INDENT) * indent)
    return "".join(f"{_INDENT * indent}{line}\n" for line in lines)


def literal(text: str) -> str:
    """Return a string on one line, in double quotes unless it contains some."""
    if '"' in text and "'" not in text:
        return repr(text)
    # Python reads the escapes of JSON alike.
    return json.dumps(text, ensure_ascii=False)


def _lines(begins: str, value: Any, room: int) -> _Lines:
    """Return `begins` and the value in lines of at most `room` characters, if possible."""
    # A comma follows each item.
    inner = room - len(_INDENT) - 1
    match value:
        case Code():
            return [begins + value.text]
        case str():
            return _string(begins, value)
        case Call():
            items = [_lines("", each, inner) for each in value.arguments]
            items += [_lines(f"{key}=", each, inner) for key, each in value.options.items()]
            return _held(f"{begins}{value.name}(", items, ")", room)
        case dict():
            items = [_lines(f"{literal(key)}: ", each, inner) for key, each in value.items()]
            return _held(begins + "{", items, "}", room)
        case list():
            return _held(begins + "[", [_lines("", each, inner) for each in value], "]", room)
        case _:
            return [begins + repr(value)]


def _string(begins: str, text: str) -> _Lines:
    """Split a text of several lines into one literal per line."""
    parts = text.split("\n")
    if len(parts) < 3 and not (len(parts) == 2 and parts[1]):
        return [begins + literal(text)]
    ended = [f"{part}\n" for part in parts[:-1]] + [part for part in parts[-1:] if part]
    return [begins + "(", *(f"{_INDENT}{literal(part)}" for part in ended), ")"]


def _held(opening: str, items: list[_Lines], closing: str, room: int) -> _Lines:
    """Return the items on one line if they fit, else one per line."""
    if all(len(item) == 1 for item in items):
        whole = opening + ", ".join(item[0] for item in items) + closing
        if len(whole) <= room or not items:
            return [whole]
    found = [opening]
    for item in items:
        found += [_INDENT + line for line in item]
        found[-1] += ","
    return [*found, closing]


class Names:
    """Unique identifiers for ids."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, id: str) -> str:
        name = re.sub(r"[^0-9A-Za-z]+", "_", id).strip("_").lower() or "node"
        name = f"_{name}" if name[0].isdecimal() else name
        found, number = name, 2
        while found in self._taken or keyword.iskeyword(found):
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found)
        return found
