"""Templates of applications: the Go form, compiled over the data of a run.

A text that is one action keeps the type of its value. A missing value is null, and empty inside a
longer text; with `strict` it is an error.
"""

import os
import re
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import orjson

from flowmesh.apps.data.effects import EFFECT_KEY
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.run import Run, rfc3339_now
from flowmesh.contract.json_value import Json
from flowmesh.expressions.calls import Call, Expression, Literal, references_in
from flowmesh.expressions.errors import Problem, ValueMissing
from flowmesh.expressions.functions.signatures import Unfit
from flowmesh.expressions.go_templates import DATA, Fields, read_parts
from flowmesh.expressions.references import Reference
from flowmesh.jsontext.integers import is_whole

Render = Callable[[Run], Json]

OPEN = "{{"
TEXT_BYTES_MAX = 256 * 1024
DEPTH_MAX = 32
ROOTS = ("steps", "trigger", "meta", "request")
# `{{ parse-body.user_id }}`: a step without `.steps`.
_BARE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)((?:\.[A-Za-z_][\w-]*)+)\s*\}\}")
_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*\Z")
_TEXTUAL = frozenset({"lower", "upper", "trim", "urlEncode", "base64Encode", "base64Decode"})


@dataclass(slots=True)
class Compiling:
    """The surroundings of a template while it is compiled."""

    steps: Collection[str] = ()
    strict: bool = False
    problems: list[str] = field(default_factory=list)
    # The references that were read, for checks against known outputs.
    references: list[Fields] = field(default_factory=list)


def compile_value(value: Json, compiling: Compiling, depth: int = 0) -> Render:
    """Compile a JSON value whose texts may be templates; problems go to `compiling`."""
    if is_constant(value):
        return lambda _run: value
    if depth > DEPTH_MAX:
        compiling.problems.append(f"values may be nested {DEPTH_MAX} levels deep")
        return lambda _run: None
    if isinstance(value, str):
        return compile_text(value, compiling)
    if isinstance(value, list):
        items = [compile_value(each, compiling, depth + 1) for each in value]
        return lambda run: [each(run) for each in items]
    members = [(key, compile_value(each, compiling, depth + 1)) for key, each in value.items()]
    return lambda run: {key: each(run) for key, each in members}


def is_constant(value: Json) -> bool:
    """Return whether no text in a value holds an action."""
    if isinstance(value, str):
        return OPEN not in value
    if isinstance(value, dict):
        return all(map(is_constant, value.values()))
    return all(map(is_constant, value)) if isinstance(value, list) else True


def compile_text(text: str, compiling: Compiling) -> Render:
    """Compile one text."""
    text = _BARE.sub(lambda found: _with_steps(found, compiling), text)
    problems: list[Problem] = []
    parts = read_parts(text, lambda fields: Reference(DATA, fields), problems)
    compiling.problems += [each.message for each in problems]
    compiled = [
        part if isinstance(part, str) else _expression(part[0], compiling) for part in parts
    ]
    if len(compiled) == 1 and not isinstance(compiled[0], str):
        return compiled[0]
    return _joined(compiled)


def compile_path(text: str, compiling: Compiling) -> Render:
    """Compile a path such as `steps.get.row`, or a template."""
    if OPEN in text:
        return compile_text(text, compiling)
    plain = text.removeprefix("$.").removeprefix(".")
    if not _PATH.match(plain):
        compiling.problems.append(
            f"{text[:80]!r} is neither a path such as steps.get.row nor a template"
        )
        return lambda _run: None
    fields: tuple[str | int, ...] = tuple(
        int(each) if is_whole(each) else each for each in plain.split(".")
    )
    if fields[0] in compiling.steps and fields[0] not in ROOTS:
        fields = ("steps", *fields)
    return _reference(fields, compiling)


def _with_steps(found: re.Match[str], compiling: Compiling) -> str:
    if found[1] in compiling.steps:
        return f"{OPEN} .steps.{found[1]}{found[2]} }}}}"
    return found.group()


def _joined(parts: list[str | Render]) -> Render:
    def render(run: Run) -> str:
        written = "".join(part if isinstance(part, str) else as_text(part(run)) for part in parts)
        if len(written) > TEXT_BYTES_MAX:
            text = f"a rendered text has at most {TEXT_BYTES_MAX // 1024} KiB"
            raise HttpProblem(422, "OUTPUT_TOO_LARGE", text)
        return written

    return render


def as_text(value: Json) -> str:
    """Write a value inside a text: null is empty, other values are JSON."""
    if value.__class__ is str:
        return str(value)
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return str(value)


def _expression(expression: Expression, compiling: Compiling) -> Render:
    if isinstance(expression, Literal):
        value = expression.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return lambda _run: value
    if isinstance(expression, Reference):
        return _reference(expression.path, compiling)
    for each in references_in(expression):
        compiling.references.append(each.path)
    return _call(expression, compiling)


def _reference(fields: Fields, compiling: Compiling) -> Render:
    compiling.references.append(fields)
    if compiling.strict:
        return _strict(_lenient(fields), fields)
    return _lenient(fields)


def _lenient(fields: Fields) -> Render:
    """Return a lookup that yields null for what is missing."""
    if not fields:
        return lambda run: run.current
    first, rest = fields[0], fields[1:]
    if first == "request":
        return lambda run: walk(run.request_view(), rest)
    if first in ("steps", "trigger", "meta"):
        if first == "steps" and len(rest) == 2 and isinstance(rest[1], str):
            return _output(str(rest[0]), rest[1])
        name = str(first)
        return lambda run: walk(getattr(run, name), rest)
    return lambda run: walk(run.current, fields)


def _output(step: str, member: str) -> Render:
    def render(run: Run) -> Json:
        output = run.steps.get(step)
        return output.get(member) if output.__class__ is dict else None

    return render


def walk(value: Json, fields: Fields) -> Json:
    """Return the value at a path, null if it is not there."""
    for key in fields:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list):
            index = int(key) if isinstance(key, int) or is_whole(str(key)) else len(value)
            value = value[index] if 0 <= index < len(value) else None
        else:
            return None
    return value


def _strict(get: Render, fields: Fields) -> Render:
    name = "." + ".".join(map(str, fields))

    def render(run: Run) -> Json:
        value = get(run)
        if value is None:
            raise HttpProblem(422, "TEMPLATE_MISSING", f"{name} has no value")
        return value

    return render


def _call(call: Call, compiling: Compiling) -> Render:
    function = call.function
    if function.name == "uuid":
        return _uuid
    if function.name == "now":
        return _now
    lenient = Compiling(compiling.steps)
    inner = lenient if function.lazy else compiling
    arguments = [_expression(each, inner) for each in call.arguments]
    compiling.problems += lenient.problems
    apply, name = function.apply, function.name
    if name == "toJson":
        return lambda run: orjson.dumps(arguments[0](run)).decode()
    if function.lazy:
        return lambda run: _applied(
            name, apply, [lambda argument=each: argument(run) for each in arguments]
        )
    textual = name in _TEXTUAL

    def render(run: Run) -> Json:
        values = [each(run) for each in arguments]
        if textual and values and values[0] is None:
            values[0] = ""
        try:
            values = [function.parameter(i).checked(each) for i, each in enumerate(values)]
        except Unfit as error:
            raise HttpProblem(422, "TEMPLATE_FAILED", f"{name}: {error}") from None
        return _applied(name, apply, values)

    return render


def _applied(name: str, apply: Callable[..., Json], values: list[Json]) -> Json:
    try:
        return apply(*values)
    except (Unfit, ValueMissing) as error:
        raise HttpProblem(422, "TEMPLATE_FAILED", f"{name}: {error}") from None
    except (ValueError, ArithmeticError, TypeError, RecursionError):
        raise HttpProblem(422, "TEMPLATE_FAILED", f"{name} cannot use these values") from None


def _uuid(run: Run) -> str:
    if run.journal is not None and not EFFECT_KEY.get():
        return run.journal.uuid()
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def _now(run: Run) -> str:
    if run.journal is not None and not EFFECT_KEY.get():
        return run.journal.now()
    return rfc3339_now()
