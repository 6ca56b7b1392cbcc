"""Templates over JSON values: any string inside may hold `{{ references }}`.

Compiled once at registration to closures, rendered often. A string that is one reference and
nothing else keeps the value's type; in a longer string, strings are written raw and everything
else as JSON. What a reference yields is data: it is never looked at for templates again.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.expressions.errors import Problem, RenderError, TemplateInvalid
from flowmesh.expressions.references import Reference, child_path, getter
from flowmesh.expressions.scanner import OPEN, Part, Placed, scan

NESTING_MAX = 64
STRING_BYTES_MAX = 256 * 1024
RENDER_BYTES_MAX = 8 * 1024 * 1024
REFERENCES_MAX = 10_000

Json = Any
Scope = Mapping[str, Any]


class Budget:
    """The text one render may still write, in bytes."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = RENDER_BYTES_MAX


Render = Callable[[Scope, Budget], Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value; share it freely, it never changes.

    What `render` returns shares its constant parts with the template and its references with the
    scope, so it is for reading and serialising, not for changing in place.
    """

    references: tuple[Reference, ...]
    whole: Reference | None
    _render: Render

    @property
    def constant(self) -> bool:
        return not self.references

    def render(self, scope: Scope) -> Json:
        """The value with every reference replaced; raises RenderError."""
        return self._render(scope, Budget())


def compile_template(value: Json, roots: Collection[str]) -> Template:
    """Compiles a JSON value whose references may start at one of `roots`.

    Raises TemplateInvalid with every problem in the value.
    """
    compiler = _Compiler(roots)
    render = compiler.value(value, "", 0)
    if len(compiler.references) > REFERENCES_MAX:
        message = (
            f"{len(compiler.references)} references are more than the {REFERENCES_MAX} allowed"
        )
        compiler.problems.append(Problem("", message))
    if compiler.problems:
        raise TemplateInvalid(tuple(compiler.problems))
    whole = compiler.references[0] if compiler.whole_at_root else None
    return Template(tuple(compiler.references), whole, render or _constant(value))


class _Compiler:
    """One pass over a value; a part without references compiles to None and is kept as it is."""

    def __init__(self, roots: Collection[str]) -> None:
        self._roots = roots
        self.references: list[Reference] = []
        self.problems: list[Problem] = []
        self.whole_at_root = False

    def value(self, value: Json, path: str, depth: int) -> Render | None:
        if isinstance(value, str):
            return self._text(value, path, depth)
        if not isinstance(value, dict | list):
            return None
        if depth == NESTING_MAX:
            message = f"values may be nested {NESTING_MAX} levels deep"
            self.problems.append(Problem(path, message, "NESTING_TOO_DEEP"))
            return None
        if isinstance(value, dict):
            return self._object(value, path, depth)
        items = [self.value(item, child_path(path, i), depth + 1) for i, item in enumerate(value)]
        return _array(value, items) if any(items) else None

    def _object(self, value: dict[str, Json], path: str, depth: int) -> Render | None:
        members: dict[str, Render] = {}
        for key, member in value.items():
            here = child_path(path, key)
            if OPEN in key:
                self.problems.append(Problem(here, "a template cannot stand in a key"))
            render = self.value(member, here, depth + 1)
            if render is not None:
                members[key] = render
        return _object(value, members) if members else None

    def _text(self, text: str, path: str, depth: int) -> Render | None:
        if OPEN not in text:
            return None
        parts = scan(text, self._roots, path, self.problems)
        self.references += [part.reference for part in parts if isinstance(part, Placed)]
        if len(parts) == 1 and isinstance(parts[0], Placed):
            self.whole_at_root = depth == 0
            return _whole(parts[0].reference)
        return joined(parts, [write_text] * len(parts), path)


def _constant(value: Json) -> Render:
    return lambda _scope, _budget: value


def _whole(reference: Reference) -> Render:
    get = getter(reference)

    def render(scope: Scope, _budget: Budget) -> Any:
        value = get(scope)
        return value if value.__class__ in _PLAIN else plain(value, reference)

    return render


_PLAIN = frozenset({dict, list, str, int, float, bool, type(None)})


def plain(value: Any, reference: Reference, depth: int = 0) -> Json:
    """The same value of dicts and lists only, where a scope looks its members up on demand."""
    if depth > NESTING_MAX:
        raise RenderError(
            str(reference), f"the value is nested more than {NESTING_MAX} levels deep"
        )
    if isinstance(value, Mapping):
        return {str(key): plain(value[key], reference, depth + 1) for key in value}
    if isinstance(value, list | tuple):
        return [plain(item, reference, depth + 1) for item in value]
    return value


def _array(value: list[Json], items: list[Render | None]) -> Render:
    pairs = tuple(zip(items, value, strict=True))
    return lambda scope, budget: [
        item if render is None else render(scope, budget) for render, item in pairs
    ]


def _object(value: dict[str, Json], members: dict[str, Render]) -> Render:
    if len(members) == len(value):
        every = tuple(members.items())
        return lambda scope, budget: {key: render(scope, budget) for key, render in every}
    some = tuple(members.items())

    def render_some(scope: Scope, budget: Budget) -> dict[str, Json]:
        result = dict(value)
        for key, render in some:
            result[key] = render(scope, budget)
        return result

    return render_some


Write = Callable[[Any, Reference], str]


def write_text(value: Any, reference: Reference) -> str:
    """How a value stands inside a longer string: strings raw, the rest as JSON."""
    return value if value.__class__ is str else json_text(value, reference)


def json_text(value: Any, reference: Reference) -> str:
    try:
        return orjson.dumps(value, default=_serialise).decode()
    except orjson.JSONEncodeError as error:
        raise RenderError(str(reference), "the value cannot be written as JSON") from error


def _serialise(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def joined(parts: list[Part], writers: list[Write], path: str) -> Callable[[Scope, Budget], str]:
    """Renders the parts of one string; `writers` holds how each part's value is written."""
    steps = tuple(
        (part, None, write, None)
        if isinstance(part, str)
        else ("", getter(part.reference), write, part.reference)
        for part, write in zip(parts, writers, strict=True)
    )
    literal_characters = sum(len(part) for part in parts if isinstance(part, str))

    def render(scope: Scope, budget: Budget) -> str:
        written: list[str] = []
        characters = literal_characters
        for literal, get, write, reference in steps:
            if get is None or reference is None:
                written.append(literal)
                continue
            text = write(get(scope), reference)
            characters += len(text)
            if characters > STRING_BYTES_MAX:
                raise _too_large(path, STRING_BYTES_MAX)
            written.append(text)
        return _bounded("".join(written), budget, path)

    return render


def _bounded(text: str, budget: Budget, path: str) -> str:
    count = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if count > STRING_BYTES_MAX:
        raise _too_large(path, STRING_BYTES_MAX)
    budget.left -= count
    if budget.left < 0:
        raise _too_large(path, RENDER_BYTES_MAX)
    return text


def _too_large(path: str, limit: int) -> RenderError:
    message = f"the rendered text is larger than {limit // 1024} KiB"
    return RenderError(path, message, code="OUTPUT_TOO_LARGE")
