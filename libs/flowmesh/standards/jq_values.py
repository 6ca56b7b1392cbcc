"""Runtime expressions of Serverless Workflow: JSON values with `${ }` as one jq program.

A value without expressions stays a value; any other becomes a program that makes it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from flowmesh.contract.json_value import Json

EXPRESSION_CHARACTERS_MAX = 16 * 1024
_OPEN = "${"
_VARIABLE = re.compile(r"\$(\w+)")
_WORD = re.compile(r"[A-Za-z_]\w*\Z")
_SECRET = re.compile(r'\$secrets(?:\.([A-Za-z_]\w*)|\.?\["([^"\\]*)"\])?')
_IN_URI = re.compile(r"\{([^{}]+)\}")


class MalformedExpression(Exception):
    """A text with `${` without its end."""


@dataclass(frozen=True, slots=True)
class Found:
    """An expression and its path in a value."""

    source: str
    path: tuple[str | int, ...]


def unwrap(text: str) -> str:
    """Return the expression of a text that is one, with or without `${ }`."""
    stripped = text.strip()
    if stripped.startswith(_OPEN) and _end(stripped, 0) == len(stripped):
        return stripped[len(_OPEN) : -1].strip()
    return stripped


def expressions_in(value: Json) -> list[Found]:
    """Return every expression in a value. Raises MalformedExpression."""
    found = []
    waiting: list[tuple[Json, tuple[str | int, ...]]] = [(value, ())]
    while waiting:
        item, path = waiting.pop()
        if isinstance(item, str):
            found += [Found(part, path) for is_code, part in _parts(item) if is_code]
        elif isinstance(item, dict):
            waiting += [(each, (*path, key)) for key, each in item.items()]
        elif isinstance(item, list):
            waiting += [(each, (*path, index)) for index, each in enumerate(item)]
    return found


def program_of(value: Json) -> str:
    """Return a jq program that makes the value with its expressions evaluated."""
    if isinstance(value, dict):
        members = (f"{_literal(key)}:{program_of(each)}" for key, each in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(program_of(each) for each in value) + "]"
    if not isinstance(value, str) or _OPEN not in value:
        return _literal(value)
    parts = list(_parts(value))
    codes = [part for is_code, part in parts if is_code]
    if len(codes) == 1 and not any(part.strip() for is_code, part in parts if not is_code):
        return single(codes[0])
    return _joined((is_code, part) for is_code, part in parts)


def single(source: str) -> str:
    """Return a program of the first output of an expression, null if it has none."""
    return f"([limit(1;({source}\n))]|.[0])"


def uri_program(uri: str) -> str:
    """Return a program of an endpoint: `${ }` expressions, or `{name}` of a member of the data."""
    if _OPEN in uri:
        return program_of(uri)
    parts: list[str] = []
    position = 0
    for match in _IN_URI.finditer(uri):
        parts.append(_literal(uri[position : match.start()]))
        name = _literal(match.group(1).strip())
        parts.append(f'((try .[{name}] catch null)|if .==null then "" else tostring|@uri end)')
        position = match.end()
    parts.append(_literal(uri[position:]))
    return "(" + "+".join(parts) + ")"


def variables_in(program: str) -> frozenset[str]:
    """Return the names after a `$`, including those inside strings."""
    return frozenset(_VARIABLE.findall(program))


def secrets_in(program: str) -> frozenset[str] | None:
    """Return the names of the secrets that a program uses; None if it may use any."""
    names = [name or quoted for name, quoted in _SECRET.findall(program)]
    return frozenset(names) if all(names) else None


def is_variable(name: str) -> bool:
    return _WORD.match(name) is not None


def _literal(value: Json) -> str:
    return orjson.dumps(value).decode()


def _joined(parts: Iterable[tuple[bool, str]]) -> str:
    written = (
        f"({single(part)}|tostring)" if is_code else _literal(part) for is_code, part in parts
    )
    return "(" + "+".join(written) + ")"


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the pieces of a text, each with True if it is an expression."""
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        end = _end(text, start)
        if end == 0:
            raise MalformedExpression(text[start : start + 32])
        if start > position:
            yield False, text[position:start]
        yield True, text[start + len(_OPEN) : end - 1].strip()
        position = end
    if position < len(text):
        yield False, text[position:]


def _end(text: str, start: int) -> int:
    """Return the end of the expression that begins at `start`, 0 if it has none.

    Braces in strings do not count, but those in `\\( )` inside a string do.
    """
    # Open brackets: braces and parentheses of code, quotes of strings.
    open_: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if open_ and open_[-1] == '"':
            if character == "\\":
                if text[position + 1 : position + 2] == "(":
                    open_.append("(")
                position += 1
            elif character == '"':
                open_.pop()
        elif character in '{("':
            open_.append(character)
        elif character in "})":
            if open_ and open_[-1] == {"}": "{", ")": "("}[character]:
                open_.pop()
            if not open_:
                return position + 1
        position += 1
    return 0
