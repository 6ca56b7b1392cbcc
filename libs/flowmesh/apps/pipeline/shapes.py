"""Shapes of integration steps: `{"id": data.customer.id || lookup.id}`, and `${path}` in texts."""

import re
from collections.abc import Callable, Mapping

import orjson

from flowmesh.contract.json_value import Json

Shape = Callable[[Mapping[str, Json]], Json]

_PLACE = re.compile(r"\$\{([^{}]+)\}")
_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*\Z")
CHARACTERS_MAX = 16 * 1024


class ShapeInvalid(ValueError):
    """A shape that cannot be read; the message says where."""


def compile_inputs(raw: Json) -> Shape:
    """Compile a value with `${path}` in its texts; a text that is one place keeps its type."""
    if isinstance(raw, str):
        whole = _PLACE.fullmatch(raw)
        if whole is not None:
            path = whole[1]
            return lambda scope: read(scope, path)
        if _PLACE.search(raw):
            return lambda scope: _PLACE.sub(lambda found: _text(read(scope, found[1])), raw)
    if isinstance(raw, dict):
        members = {key: compile_inputs(value) for key, value in raw.items()}
        return lambda scope: {key: each(scope) for key, each in members.items()}
    if isinstance(raw, list):
        items = [compile_inputs(each) for each in raw]
        return lambda scope: [each(scope) for each in items]
    return lambda _scope: raw


def compile_shape(text: str) -> Shape:
    """Compile an object of paths, literals and alternatives. Raises ShapeInvalid."""
    if len(text) > CHARACTERS_MAX:
        raise ShapeInvalid(f"a transform has at most {CHARACTERS_MAX} characters")
    return _value(text.strip())


def read(scope: Mapping[str, Json], path: str) -> Json:
    """Return the value at a path of names; None if there is none."""
    found: Json = scope
    for name in path.strip().split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _value(text: str) -> Shape:
    if text.startswith("{") and text.endswith("}"):
        members: dict[str, Shape] = {}
        for part in _parts(text[1:-1], ","):
            key, colon, rest = _cut(part)
            if not colon:
                raise ShapeInvalid(f'expected "name": value, not {part.strip()[:60]!r}')
            members[key] = _value(rest.strip())
        return lambda scope: {key: each(scope) for key, each in members.items()}
    if text.startswith("[") and text.endswith("]"):
        items = [_value(each.strip()) for each in _parts(text[1:-1], ",")]
        return lambda scope: [each(scope) for each in items]
    choices = [each.strip() for each in _parts(text.replace("||", "\0"), "\0")]
    if len(choices) > 1:
        compiled = [_value(each) for each in choices]
        return lambda scope: next((v for each in compiled if (v := each(scope))), None)
    try:
        literal = orjson.loads(text)
    except orjson.JSONDecodeError:
        if not _PATH.match(text):
            raise ShapeInvalid(f"not a path, a literal or an object: {text[:60]!r}") from None
        return lambda scope: read(scope, text)
    return lambda _scope: literal


def _cut(part: str) -> tuple[str, str, str]:
    found = re.match(r"\s*(?:\"([^\"]+)\"|([\w-]+))\s*(:)(.*)", part, re.DOTALL)
    return (found[1] or found[2], found[3], found[4]) if found else ("", "", "")


def _parts(text: str, sign: str) -> list[str]:
    """Return the parts between signs outside of brackets and texts."""
    parts, begun, depth, quoted = [], 0, 0, False
    for position, character in enumerate(text):
        if character == '"' and text[position - 1 : position] != "\\":
            quoted = not quoted
        elif not quoted and character in "{[":
            depth += 1
        elif not quoted and character in "}]":
            depth -= 1
        elif not quoted and not depth and character == sign:
            parts.append(text[begun:position])
            begun = position + 1
    if quoted or depth:
        raise ShapeInvalid("a bracket or a quote is not closed")
    rest = text[begun:]
    return [*parts, rest] if rest.strip() else parts
