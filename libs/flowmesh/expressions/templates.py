"""Templates over JSON values: any string inside may hold `{{ expressions }}`.

Templates are compiled to closures at registration. A string that is exactly one expression keeps
the type of its value; in a longer string, strings are written raw and other values as JSON. The
result of an expression is data and never parsed for templates.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.expressions.calls import Expression, needed_in, references_in
from flowmesh.expressions.errors import Problem, RenderError, TemplateInvalid
from flowmesh.expressions.evaluation import (
    NESTING_MAX,
    PLAIN,
    RENDER_BYTES_MAX,
    Budget,
    Render,
    Scope,
    plain,
    renderer,
    too_large,
)
from flowmesh.expressions.parser import Compilation
from flowmesh.expressions.references import Reference, child_path, getter
from flowmesh.expressions.scanner import EXPRESSIONS_MAX, OPEN, PROBLEMS_MAX, Part, Placed, scan

STRING_BYTES_MAX = 256 * 1024
REFERENCES_MAX = EXPRESSIONS_MAX


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value; immutable, so it can be shared.

    What `render` returns shares its constant parts with the template and its references with the
    scope, so it must not be modified.
    """

    references: tuple[Reference, ...]
    # The references that are required for rendering.
    needed: tuple[Reference, ...]
    # The expressions that are a whole string, by its path, and the one that is the whole value, if
    # it is a reference.
    wholes: Mapping[str, Expression]
    whole: Reference | None
    constant: bool
    _render: Render

    def render(self, scope: Scope) -> Json:
        """Render the value. Raises RenderError."""
        return self._render(scope, Budget())


def compile_template(value: Json, roots: Collection[str]) -> Template:
    """Compile a JSON value whose references start at one of `roots`.

    Raises TemplateInvalid with every problem in the value.
    """
    compiler = _Compiler(roots)
    render = compiler.value(value, "", 0)
    if compiler.count > REFERENCES_MAX:
        message = f"{compiler.count} references are more than the {REFERENCES_MAX} allowed"
        compiler.problems.append(Problem("", message))
    if compiler.problems:
        raise TemplateInvalid(tuple(compiler.problems))
    whole = compiler.wholes.get("")
    return Template(
        tuple(compiler.references),
        tuple(compiler.needed),
        compiler.wholes,
        whole if isinstance(whole, Reference) else None,
        render is None,
        render or _constant(value),
    )


class _Compiler:
    """One pass over a value; a part without references compiles to None and stays unchanged."""

    def __init__(self, roots: Collection[str]) -> None:
        self._roots = roots
        self.references: list[Reference] = []
        self.needed: list[Reference] = []
        self.problems: list[Problem] = []
        self.wholes: dict[str, Expression] = {}
        # The number of references and calls.
        self.count = 0
        self._compilation = Compilation()

    def value(self, value: Json, path: str, depth: int) -> Render | None:
        if isinstance(value, str):
            return self._text(value, path)
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
                self.problems.append(Problem(here, "a key cannot hold a template"))
            render = self.value(member, here, depth + 1)
            if render is not None:
                members[key] = render
        return _object(value, members) if members else None

    def _text(self, text: str, path: str) -> Render | None:
        if OPEN not in text or self.count > REFERENCES_MAX or len(self.problems) >= PROBLEMS_MAX:
            return None
        parts = scan(text, self._roots, path, self.problems, self._compilation)
        for part in parts:
            if isinstance(part, Placed):
                found = tuple(references_in(part.expression))
                self.references += found
                self.needed += needed_in(part.expression)
                self.count += max(1, len(found))
        if len(parts) == 1 and isinstance(parts[0], Placed):
            expression = self.wholes[path] = parts[0].expression
            return _whole(expression)
        return joined(parts, [write_text] * len(parts), path)


def _constant(value: Json) -> Render:
    return lambda _scope, _budget: value


def _whole(expression: Expression) -> Render:
    if not isinstance(expression, Reference):
        return renderer(expression)
    get = getter(expression)

    def render(scope: Scope, _budget: Budget) -> Any:
        value = get(scope)
        return value if value.__class__ in PLAIN else plain(value, expression)

    return render


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


Write = Callable[[Any, Expression], str]


def write_text(value: Any, expression: Expression) -> str:
    """Write a value inside a longer string: strings raw, other values as JSON."""
    return value if value.__class__ is str else json_text(value, expression)


def json_text(value: Any, expression: Expression) -> str:
    try:
        return orjson.dumps(value, default=_serialise).decode()
    except orjson.JSONEncodeError as error:
        raise RenderError(str(expression), "the value cannot be written as JSON") from error


def _serialise(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def joined(parts: list[Part], writers: list[Write], path: str) -> Callable[[Scope, Budget], str]:
    """Return a renderer of the parts of one string; `writers` encode their values."""
    steps = tuple(
        (part, None, write, None)
        if isinstance(part, str)
        else ("", renderer(part.expression), write, part.expression)
        for part, write in zip(parts, writers, strict=True)
    )
    literal_characters = sum(len(part) for part in parts if isinstance(part, str))

    def render(scope: Scope, budget: Budget) -> str:
        written: list[str] = []
        characters = literal_characters
        for literal, get, write, expression in steps:
            if get is None or expression is None:
                written.append(literal)
                continue
            text = write(get(scope, budget), expression)
            characters += len(text)
            if characters > STRING_BYTES_MAX:
                raise too_large(path, STRING_BYTES_MAX)
            written.append(text)
        return _bounded("".join(written), budget, path)

    return render


def _bounded(text: str, budget: Budget, path: str) -> str:
    count = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if count > STRING_BYTES_MAX:
        raise too_large(path, STRING_BYTES_MAX)
    budget.left -= count
    if budget.left < 0:
        raise too_large(path, RENDER_BYTES_MAX)
    return text
