"""Runtime expressions of Serverless Workflow: JSON values with `${ }` in them as one jq program.

A value without expressions stays a value; everything else becomes a program that makes it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

Json = Any

EXPRESSION_CHARACTERS_MAX = 16 * 1024
_OPEN = "${"
_VARIABLE = re.compile(r"\$(\w+)")
_WORD = re.compile(r"[A-Za-z_]\w*\Z")
_SECRET = re.compile(r'\$secrets(?:\.([A-Za-z_]\w*)|\.?\["([^"\\]*)"\])?')
_IN_URI = re.compile(r"\{([^{}]+)\}")


class MalformedExpression(Exception):
    """A text with `${` whose end is missing."""


@dataclass(frozen=True, slots=True)
class Found:
    """An expression and where it stands in the value it is part of."""

    source: str
    path: tuple[str | int, ...]


def unwrap(text: str) -> str:
    """The expression in a text that is one as a whole, with or without `${ }` around it."""
    stripped = text.strip()
    if stripped.startswith(_OPEN) and _end(stripped, 0) == len(stripped):
        return stripped[len(_OPEN) : -1].strip()
    return stripped


def expressions_in(value: Json) -> list[Found]:
    """Every expression in a value. Raises Malformed."""
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
    """A jq program that makes the value with its expressions evaluated."""
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
    """The first output of an expression as a program, null where it has none."""
    return f"([limit(1;({source}\n))]|.[0])"


def uri_program(uri: str) -> str:
    """A program for an endpoint: `${ }` expressions, or `{name}` of a member of the data."""
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


def has_expressions(value: Json) -> bool:
    return bool(expressions_in(value))


def variables_in(program: str) -> frozenset[str]:
    """Names that stand behind a `$`; more than are variables, where one is in a string."""
    return frozenset(_VARIABLE.findall(program))


def secrets_in(program: str) -> frozenset[str] | None:
    """Names of the secrets that a program uses; None where it may use any."""
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
    """The text in pieces: whether each is an expression, and the piece."""
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
    """Where the expression that begins at `start` ends, 0 if it does not.

    Braces in strings do not count, but those in `\\( )` inside of a string do.
    """
    # What is open: braces and parentheses of code, quotes of strings.
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
