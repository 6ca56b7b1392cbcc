"""Conditions of steps: CEL over the data of a run, or the subset of JavaScript that CEL has."""

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.pipeline.templates import OPEN, Compiling, compile_path, compile_text
from flowmesh.contract.json_value import Json
from flowmesh.expressions.errors import ExpressionInvalid, RenderError

_NAME = re.compile(r"(?<![\w.\"'\]])([A-Za-z_]\w*)")
_WORDS = frozenset({"true", "false", "null", "in", "has", "size", "string", "int", "double"})
# CEL reads it as a member that no list has.
_LENGTH = re.compile(r"\.length\b(?!\s*\()")
_PLAIN = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)+\Z")


def compile_condition_text(text: str, compiling: Compiling) -> Callable[[Run], bool]:
    """Compile a condition; a template holds if its text is neither empty nor `false`."""
    if OPEN in text:
        render = compile_text(text, compiling)
        return lambda run: _truthy(render(run))
    value = compile_expression(text, compiling)
    return lambda run: _truthy(value(run))


def compile_expression(text: str, compiling: Compiling) -> Callable[[Run], Json]:
    """Compile an expression: a path keeps its value, anything else is true or false."""
    if _PLAIN.match(text.strip()):
        return compile_path(text.strip(), compiling)
    from flowmesh.expressions.conditions import Dialect, compile_condition

    source = _quoted(text, compiling.steps)
    roots = sorted({name for name in _NAME.findall(_unquoted(source)) if name not in _WORDS})
    first: ExpressionInvalid | None = None
    dialects: tuple[Dialect, ...] = ("cel", "javascript")
    for dialect in reversed(dialects) if _LENGTH.search(source) else dialects:
        try:
            condition = compile_condition(source, dialect=dialect, roots=roots)
        except ExpressionInvalid as error:
            first = first or error
            continue
        if condition is not None:
            return partial(_evaluated, condition, roots)
    compiling.problems.append(f"{text[:80]!r}: {first.message if first else 'not CEL'}")
    return lambda _run: None


def _evaluated(condition: Any, roots: list[str], run: Run) -> bool:
    scope: dict[str, Json] = {}
    for name in roots:
        if name == "request":
            scope[name] = run.request_view()
        elif name in ("steps", "trigger", "meta"):
            scope[name] = getattr(run, name)
        elif name in ("data", "current"):
            scope[name] = run.current.get(name, run.current)
        else:
            scope[name] = run.current.get(name)
    try:
        return bool(condition.evaluate(scope))
    except RenderError as error:
        raise HttpProblem(422, "CONDITION_FAILED", error.message) from None


def _truthy(value: Json) -> bool:
    return value not in (None, "", "false", "False", "0", 0, False) and value != [] and value != {}


def _quoted(text: str, steps: Collection[str]) -> str:
    """Write `steps.a-b.c` as `steps["a-b"].c`."""
    for name in steps:
        if "-" in name:
            text = text.replace(f"steps.{name}", f'steps["{name}"]')
    return text


def _unquoted(text: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'", '""', text)
