"""Conditions: compiled once at registration, evaluated in services and workers.

Four dialects. `cel` is CEL itself, bounded; `javascript` is the subset of JavaScript's expressions
that CEL can express, and other JavaScript runs in the sandbox; `jsonpath` holds if its first
selected value is neither false nor null; `jq` always runs in the sandbox.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from flowmesh.expressions.cel_engine import cel
from flowmesh.expressions.cel_source import (
    FUNCTIONS,
    MACROS,
    SEARCH,
    Reads,
    Shape,
    Token,
    bound_names,
    patterns_in,
    reads,
    shape,
    tokenize,
    with_own_search,
    with_quoted_steps,
)
from flowmesh.expressions.errors import ExpressionInvalid, RenderError
from flowmesh.expressions.javascript.compiler import compile_to_cel
from flowmesh.expressions.javascript.emitter import Compiled, View
from flowmesh.expressions.javascript.tokens import NotInSubset
from flowmesh.expressions.javascript.values import FUNCTIONS as JAVASCRIPT_FUNCTIONS
from flowmesh.expressions.javascript.values import UNDEFINED, to_cel, to_primitive, type_name
from flowmesh.expressions.jsonpath import JsonPath, compile_jsonpath
from flowmesh.expressions.lookups import Lookup, Unreadable
from flowmesh.expressions.patterns import cached_pattern, instructions
from flowmesh.expressions.references import kind_of
from flowmesh.sandbox.syntax import check_syntax, expression_error

if TYPE_CHECKING:
    from cel import Program

SOURCE_CHARACTERS_MAX = 4_096
ROOTS = ("context", "input", "tasks")
# The cost limit of comprehensions in steps of about 30 ns, with the GIL held.
COMPREHENSION_COST_MAX = 5_000_000
VALUES_MAX = 50_000
# The limits of prompt evaluation: 2 ms of values, 7 ms of comprehensions.
PROMPT_VALUES_MAX = 2_000
PROMPT_COST_MAX = 500_000
PROMPT_INSTRUCTIONS_MAX = 2_000
TEXT_CHARACTERS_PER_VALUE = 64
_FAILURES = (TypeError, ValueError, RuntimeError, KeyError, IndexError, ArithmeticError)

Dialect = Literal["cel", "javascript", "jsonpath", "jq"]


class Condition(Protocol):
    """A compiled condition; immutable, so it can be shared."""

    def evaluate(self, scope: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for the scope. Raises RenderError."""

    def is_prompt(self, scope: Mapping[str, Any], among: int = 1) -> bool:
        """Return whether it may block the event loop; `among` conditions share a few ms."""


def compile_condition(
    source: str,
    *,
    dialect: Dialect,
    steps: Collection[str] = (),
    roots: Collection[str] = ROOTS,
) -> Condition | None:
    """Compile a condition over the names in `roots`; None if it needs the sandbox.

    `steps` are the ids whose value in `context` also has `.result`. JSONPath and jq have no names:
    their `$` and `.` are the first of `roots`. A child process parses jq; to check many jq
    programs, call `jq_errors` of the sandbox once.
    Raises ExpressionInvalid (EXPRESSION_INVALID, EXPRESSION_TOO_COMPLEX, EXPRESSION_FORBIDDEN).
    """
    if len(source) > SOURCE_CHARACTERS_MAX:
        message = f"an expression has at most {SOURCE_CHARACTERS_MAX} characters"
        raise ExpressionInvalid("EXPRESSION_TOO_COMPLEX", message)
    if not source.strip():
        raise ExpressionInvalid("EXPRESSION_INVALID", "the expression is empty", offset=0)
    if dialect == "cel":
        return _compile_cel(source, steps, roots)
    if dialect == "jsonpath":
        return JsonPathCondition(compile_jsonpath(source), next(iter(roots)))
    if dialect == "jq":
        if problem := check_syntax("jq", source):
            raise ExpressionInvalid("EXPRESSION_INVALID", f"not a jq program: {problem}")
        return None
    try:
        compiled = compile_to_cel(source, roots, steps)
        return JavascriptCondition(cel.compile(compiled.cel), compiled)
    except (NotInSubset, ValueError):
        # ValueError: the CEL exceeds the depth of its parser; the sandbox allows more.
        problem = expression_error(source)
    if problem:
        raise ExpressionInvalid("EXPRESSION_INVALID", f"not a JavaScript expression: {problem}")
    return None


@dataclass(frozen=True, slots=True)
class JsonPathCondition:
    """A condition of the JSONPath dialect; `$` is the member `root` of the scope."""

    _path: JsonPath
    _root: str

    def evaluate(self, scope: Mapping[str, Any]) -> bool:
        return truthy(self._path.select(scope[self._root]))

    def is_prompt(self, scope: Mapping[str, Any], among: int = 1) -> bool:
        return _is_small(scope[self._root], among)


def truthy(values: Sequence[Any]) -> bool:
    """Return whether the first of the values is neither false nor null."""
    return bool(values) and values[0] is not False and values[0] is not None


class JavascriptCondition:
    """A condition of the JavaScript dialect."""

    def __init__(self, program: "Program", compiled: Compiled) -> None:
        self._program = program
        self._variables = tuple(
            (name, lookup, view) for name, (lookup, view) in compiled.variables.items()
        )
        called = program.functions()
        self._functions = {name: JAVASCRIPT_FUNCTIONS[name] for name in called if name[:3] == "js_"}

    def evaluate(self, scope: Mapping[str, Any]) -> bool:
        values: dict[str, Any] = dict(self._functions)
        unreadable: dict[str, Unreadable] = {}
        for name, lookup, view in self._variables:
            try:
                values[name] = _viewed(lookup, lookup.read(scope), view)
            except Unreadable as error:
                unreadable[name] = error
        if unreadable:
            return self._evaluate_lazily(values, unreadable)
        return _execute(self._program, values)

    def is_prompt(self, scope: Mapping[str, Any], among: int = 1) -> bool:
        return all(_is_small(_read(lookup, scope), among) for _, lookup, _ in self._variables)

    def _evaluate_lazily(self, values: dict[str, Any], unreadable: dict[str, Unreadable]) -> bool:
        """Evaluate with values on demand, so that `a && a.b` does not fail for a missing `a`."""
        reached: list[Unreadable] = []

        def resolve(name: str) -> Any:
            if name in unreadable:
                reached.append(unreadable[name])
                return UNDEFINED
            return None

        context = cel.Context()
        context.update(values)
        context.set_variable_resolver(resolve)
        try:
            result = _execute(self._program, context)
        except RenderError:
            if not reached:
                raise
            result = False
        if reached:
            raise RenderError(reached[0].path, reached[0].message)
        return result


def _read(lookup: Lookup, scope: Mapping[str, Any]) -> Any:
    try:
        return lookup.read(scope)
    except Unreadable:
        return None


def _viewed(lookup: Lookup, value: Any, view: View) -> Any:
    if view == "raw":
        return to_cel(value)
    if view == "type":
        return type_name(value)
    if view == "seen":
        try:
            return to_primitive(value)
        except OverflowError:
            message = "the array is too large to be compared as text"
            raise Unreadable(str(lookup), message) from None
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) <= VALUES_MAX:
        return [to_cel(item) for item in value]
    raise Unreadable(str(lookup), f"{lookup} is {kind_of(value)}, it has no such method")


def _execute(program: "Program", values: Any) -> bool:
    try:
        result = program.execute(values)
    except KeyError as error:
        message = f"no member {error.args[0]!s:.100}; has(...) tells whether one is there"
        raise RenderError("", message) from error
    except _FAILURES as error:
        message = "the condition has operands of wrong types, or a number out of range"
        raise RenderError("", message) from error
    if not isinstance(result, bool):
        raise RenderError("", f"the condition yields {kind_of(result)}, not true or false")
    return result


def _compile_cel(source: str, steps: Collection[str], roots: Collection[str]) -> "CelCondition":
    written, source = source, with_quoted_steps(source, steps)
    try:
        return _compiled_cel(source, roots)
    except ExpressionInvalid as error:
        # Offsets refer to the rewritten source.
        error.offset = error.offset if source == written else -1
        raise


def _compiled_cel(source: str, roots: Collection[str]) -> "CelCondition":
    tokens = tokenize(source)
    cost = shape(tokens, roots)
    for token in tokens:
        if token.kind == "name" and token.text.startswith("__"):
            message = f"{token.text!r} is not accessible in expressions"
            raise ExpressionInvalid("EXPRESSION_FORBIDDEN", message, offset=token.offset)
    try:
        program = cel.compile(with_own_search(source, tokens))
    except _FAILURES as error:
        raise ExpressionInvalid("EXPRESSION_INVALID", "not a CEL expression") from error
    _check_names(program, tokens, roots)
    return CelCondition(program, reads(tokens, roots), cost, _searching(program, tokens))


def _searching(program: "Program", tokens: list[Token]) -> int | None:
    """Return the instructions of all patterns; None if they may take long to compile."""
    if SEARCH not in program.functions():
        return 0
    total = 0
    for pattern in patterns_in(tokens):
        size = instructions(pattern) if pattern is not None else -1
        total += size
        if size < 0 or total > PROMPT_INSTRUCTIONS_MAX:
            return None
    return total


def _matches(*given: object) -> bool | None:
    """Search a pattern in a text; None, which is no operand, if it is impossible.

    The `matches` of the engine compiles the pattern anew for each text, without a useful bound. An
    exception would be printed, with the text.
    """
    match given:
        case (str(text), str(pattern)):
            with suppress(ValueError):
                return cached_pattern(pattern).search(text) is not None
    return None


def _check_names(program: "Program", tokens: list[Token], roots: Collection[str]) -> None:
    bound = bound_names(tokens)
    for name in program.variables():
        if name not in roots and name not in bound and not name.startswith("@"):
            known = ", ".join(sorted(roots))
            message = f"unknown name {name!r}; known here: {known}"
            raise ExpressionInvalid("EXPRESSION_INVALID", message)
    for name in program.functions():
        if name.isidentifier() and not name.startswith("_") and name not in FUNCTIONS | MACROS:
            message = f"unknown function {name!r}"
            raise ExpressionInvalid("EXPRESSION_INVALID", message)


@dataclass(frozen=True, slots=True)
class CelCondition:
    """A condition of the CEL dialect; CEL gets only the members that it reads."""

    _program: "Program"
    _reads: Reads
    _shape: Shape
    _instructions: int | None
    """The size of the patterns that it searches for; None if it is unknown."""

    def evaluate(self, scope: Mapping[str, Any]) -> bool:
        for root in self._reads.members:
            if root not in scope:
                raise RenderError(root, "is not there")
        values = self._values(scope)
        measured = _measure(values, VALUES_MAX)
        if measured.size > VALUES_MAX or self._cost(measured) > COMPREHENSION_COST_MAX:
            message = f"the data is too large for this condition ({measured.values} values)"
            raise RenderError("", message, code="EXPRESSION_BUDGET")
        if self._instructions == 0:
            return _execute(self._program, values)
        return _execute(self._program, {**values, SEARCH: _matches})

    def is_prompt(self, scope: Mapping[str, Any], among: int = 1) -> bool:
        if self._instructions is None:
            return False
        values_max = PROMPT_VALUES_MAX // among
        measured = _measure(self._values(scope), values_max)
        cost = self._cost(measured) + self._searches(measured)
        return measured.size <= values_max and cost <= PROMPT_COST_MAX // among

    def _values(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        return {
            root: _pruned(scope[root], members)
            for root, members in self._reads.members.items()
            if root in scope
        }

    def _searches(self, measured: "Measured") -> int:
        """Return the steps of patterns over the texts that it reads."""
        times = self._shape.repeats(measured.length)
        return (self._instructions or 0) * (measured.characters + measured.values) * times

    def _cost(self, measured: "Measured") -> int:
        return self._shape.cost(measured.length, measured.size) if self._shape.nesting else 0


def _pruned(value: Any, reads: Reads) -> Any:
    if reads.whole or not isinstance(value, Mapping):
        return value
    return {
        name: _pruned(value[name], below) for name, below in reads.members.items() if name in value
    }


@dataclass(slots=True)
class Measured:
    """The size of a JSON value: number of values, longest array or object, length of text."""

    values: int = 0
    length: int = 0
    characters: int = 0

    @property
    def size(self) -> int:
        return self.values + self.characters // TEXT_CHARACTERS_PER_VALUE


def _is_small(value: Any, among: int) -> bool:
    values_max = PROMPT_VALUES_MAX // among
    return _measure(value, values_max).size <= values_max


def _measure(value: Any, most: int) -> Measured:
    """Measure a value; stop above `most` values."""
    measured = Measured()
    waiting = [value]
    while waiting and measured.values <= most:
        item = waiting.pop()
        measured.values += 1
        if isinstance(item, str):
            measured.characters += len(item)
        elif isinstance(item, Mapping | list):
            measured.length = max(measured.length, len(item))
            if len(item) > most:
                measured.values += len(item)
                break
            waiting.extend(item.values() if isinstance(item, Mapping) else item)
    return measured
