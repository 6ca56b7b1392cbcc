"""JSONPath (RFC 9535): compiled queries with a limit on steps.

jsonpath-rfc9535 parses and checks a query; this module evaluates it, because a query such as
`$..[?@..*]` takes a power of the data's size in steps and must be stopped. Patterns of `match` and
`search` are RE2, whose time is linear.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from iregexp_check import check as is_iregexp
from jsonpath_rfc9535 import (
    JSONPathEnvironment,
    JSONPathError,
    JSONPathQuery,
    JSONPathTypeError,
)
from jsonpath_rfc9535.filter_expressions import (
    ComparisonExpression,
    Expression,
    FilterExpression,
    FilterExpressionLiteral,
    FilterQuery,
    FunctionExtension,
    LogicalExpression,
    PrefixExpression,
    RootFilterQuery,
)
from jsonpath_rfc9535.lex import tokenize
from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import (
    FilterSelector,
    IndexSelector,
    JSONPathSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

from flowmesh.contract.json_value import Json
from flowmesh.expressions.errors import ExpressionInvalid, RenderError
from flowmesh.expressions.patterns import ProgramTooLarge, compile_pattern

SOURCE_CHARACTERS_MAX = 4_096
TOKENS_MAX = 200
STEPS_MAX = 250_000
"""The steps of one evaluation, each well below a microsecond."""
NESTING_MAX = 32
PATTERNS_KEPT = 256
PATTERN_PROGRAM_BYTES = 256 * 1024
# The compilation of a pattern counts like so many characters of text.
COMPILATION_CHARACTERS = 32


class _Nothing:
    """The result of a singular query without a value."""


_NOTHING = _Nothing()
_TESTS = frozenset({"match", "search"})


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A compiled query; immutable, so it can be shared."""

    source: str
    _query: JSONPathQuery

    @property
    def keys(self) -> tuple[str | int, ...] | None:
        """Return the path of a singular query; None for a query that can select more values."""
        if not self._query.singular_query():
            return None
        return tuple(_key(segment.selectors[0]) for segment in self._query.segments)

    def select(self, value: Json) -> list[Json]:
        """Return the selected values in order. Raises RenderError above the limit on steps."""
        return _Evaluation(value).query(self._query, value)


def _key(selector: JSONPathSelector) -> str | int:
    if isinstance(selector, IndexSelector):
        return selector.index
    assert isinstance(selector, NameSelector)
    return selector.name


def compile_jsonpath(source: str) -> JsonPath:
    """Compile a query. Raises ExpressionInvalid (EXPRESSION_INVALID, EXPRESSION_TOO_COMPLEX)."""
    if len(source) > SOURCE_CHARACTERS_MAX:
        message = f"a JSONPath has at most {SOURCE_CHARACTERS_MAX} characters"
        raise ExpressionInvalid("EXPRESSION_TOO_COMPLEX", message)
    _check_nesting(source)
    try:
        if len(tokenize(source)) > TOKENS_MAX:
            message = f"a JSONPath has at most {TOKENS_MAX} parts"
            raise ExpressionInvalid("EXPRESSION_TOO_COMPLEX", message)
        query = JSONPathEnvironment().compile(source)
        _check_query(query)
        return JsonPath(source, query)
    except JSONPathError as error:
        offset = error.token.index if error.token is not None else -1
        place = f" at offset {offset}" if offset >= 0 else ""
        message = f"not a JSONPath: {error.args[0]}{place}"
        raise ExpressionInvalid("EXPRESSION_INVALID", message, offset=offset) from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise ExpressionInvalid("EXPRESSION_INVALID", "not a JSONPath") from error


def _check_nesting(source: str) -> None:
    """Limit the nesting, because the parser is recursive; brackets in strings count too."""
    depth = 0
    for offset, character in enumerate(source):
        depth += (character in "([") - (character in ")]")
        if depth > NESTING_MAX:
            message = f"a JSONPath is nested at most {NESTING_MAX} levels deep"
            raise ExpressionInvalid("EXPRESSION_TOO_COMPLEX", message, offset=offset)


def _check_query(query: JSONPathQuery) -> None:
    """Reject a test in place of a value and the reverse, which the parser accepts."""
    for segment in query.segments:
        for selector in segment.selectors:
            if isinstance(selector, FilterSelector):
                _check_test(selector.expression.expression)


def _check_test(expression: Expression) -> None:
    match expression:
        case LogicalExpression():
            _check_test(expression.left)
            _check_test(expression.right)
        case PrefixExpression():
            _check_test(expression.right)
        case ComparisonExpression():
            _check_value(expression.left)
            _check_value(expression.right)
        case FilterQuery():
            _check_query(expression.query)
        case FunctionExtension() if expression.name in _TESTS:
            for argument in expression.args:
                _check_value(argument)
        case _:
            raise JSONPathTypeError("a value is not a test", token=expression.token)


def _check_value(expression: Expression) -> None:
    match expression:
        case FilterExpressionLiteral():
            pass
        case FilterQuery():
            _check_query(expression.query)
        case FunctionExtension() if expression.name not in _TESTS:
            for argument in expression.args:
                _check_value(argument)
        case _:
            raise JSONPathTypeError("a test is not a value", token=expression.token)


class _Evaluation:
    """One evaluation over one value."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._left = STEPS_MAX

    def _step(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            message = f"the JSONPath takes more than {STEPS_MAX} steps over this data"
            raise RenderError("", message, code="EXPRESSION_BUDGET")

    def query(self, query: JSONPathQuery, value: Json) -> list[Json]:
        nodes = [value]
        for segment in query.segments:
            nodes = self._segment(segment, nodes)
        return nodes

    def _segment(self, segment: JSONPathSegment, nodes: list[Json]) -> list[Json]:
        deep = isinstance(segment, JSONPathRecursiveDescentSegment)
        found: list[Json] = []
        for node in nodes:
            for each in self._descendants(node) if deep else (node,):
                for selector in segment.selectors:
                    self._step()
                    found += self._selected(selector, each)
        return found

    def _descendants(self, node: Json) -> Iterator[Json]:
        """Yield the node and all its descendants, parents first."""
        waiting = [node]
        while waiting:
            each = waiting.pop()
            self._step()
            yield each
            children = _children(each)
            self._step(len(children))
            waiting.extend(child for child in reversed(children) if isinstance(child, dict | list))

    def _selected(self, selector: JSONPathSelector, node: Json) -> list[Json]:
        match selector:
            case NameSelector():
                held = isinstance(node, dict) and selector.name in node
                return [node[selector.name]] if held else []
            case IndexSelector():
                index = selector.index
                held = isinstance(node, list) and -len(node) <= index < len(node)
                return [node[index]] if held else []
            case SliceSelector():
                if not isinstance(node, list) or selector.slice.step == 0:
                    return []
                found: list[Json] = node[selector.slice]
            case WildcardSelector():
                found = _children(node)
            case FilterSelector():
                found = [each for each in _children(node) if self._holds(selector.expression, each)]
            case _:
                raise AssertionError(f"{type(selector).__name__} is not a selector of RFC 9535")
        self._step(len(found))
        return found

    # --- filters ---

    def _holds(self, expression: Expression, current: Json) -> bool:
        self._step()
        match expression:
            case FilterExpression():
                return self._holds(expression.expression, current)
            case LogicalExpression():
                left = self._holds(expression.left, current)
                if left == (expression.operator == "||"):
                    return left
                return self._holds(expression.right, current)
            case PrefixExpression():
                return not self._holds(expression.right, current)
            case ComparisonExpression():
                left = self._value(expression.left, current)
                return self._compared(
                    left, expression.operator, self._value(expression.right, current)
                )
            case FilterQuery():
                return bool(self._nodes(expression, current))
            case FunctionExtension():
                return self._function(expression, current) is True
        raise AssertionError(f"{type(expression).__name__} is not a test of RFC 9535")

    def _nodes(self, expression: FilterQuery, current: Json) -> list[Json]:
        start = self._root if isinstance(expression, RootFilterQuery) else current
        return self.query(expression.query, start)

    def _value(self, expression: Expression, current: Json) -> Json:
        """Evaluate a literal, a function, or a singular query."""
        match expression:
            case FilterExpressionLiteral():
                return expression.value
            case FunctionExtension():
                return self._function(expression, current)
            case FilterQuery():
                nodes = self._nodes(expression, current)
                return nodes[0] if len(nodes) == 1 else _NOTHING
        raise AssertionError(f"{type(expression).__name__} is not a value of RFC 9535")

    def _function(self, call: FunctionExtension, current: Json) -> Json:
        if call.name in {"count", "value"}:
            query = call.args[0]
            assert isinstance(query, FilterQuery)
            nodes = self._nodes(query, current)
            if call.name == "count":
                return len(nodes)
            return nodes[0] if len(nodes) == 1 else _NOTHING
        values = [self._value(each, current) for each in call.args]
        if call.name == "length":
            return len(values[0]) if isinstance(values[0], str | list | dict) else _NOTHING
        text, pattern = values
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        self._step((len(text) + len(pattern)) // 16)
        compiled = _pattern(pattern)
        if compiled is None:
            return False
        self._step(compiled.programsize * (len(text) + COMPILATION_CHARACTERS) // 32)
        find = compiled.fullmatch if call.name == "match" else compiled.search
        return find(text) is not None

    def _compared(self, left: Json, operator: str, right: Json) -> bool:
        match operator:
            case "==":
                return self._equal(left, right)
            case "!=":
                return not self._equal(left, right)
            case "<":
                return _less(left, right)
            case ">":
                return _less(right, left)
            case "<=":
                return _less(left, right) or self._equal(left, right)
        return _less(right, left) or self._equal(left, right)

    def _equal(self, left: Json, right: Json) -> bool:
        """Compare JSON values; each nested value is a step."""
        waiting = [(left, right)]
        while waiting:
            self._step()
            left, right = waiting.pop()
            if isinstance(left, dict) and isinstance(right, dict):
                if left.keys() != right.keys():
                    return False
                self._step(len(left))
                waiting.extend((left[key], right[key]) for key in left)
            elif isinstance(left, list) and isinstance(right, list):
                if len(left) != len(right):
                    return False
                self._step(len(left))
                waiting.extend(zip(left, right, strict=True))
            elif isinstance(left, bool) != isinstance(right, bool) or left != right:
                return False
        return True


def _children(value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


def _less(left: Json, right: Json) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    return _is_number(left) and _is_number(right) and bool(left < right)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=PATTERNS_KEPT)
def _pattern(source: str) -> Any:
    """Compile an I-Regexp; an invalid one is None and matches nothing."""
    if len(source) > SOURCE_CHARACTERS_MAX or not is_iregexp(source):
        return None
    try:
        return compile_pattern(_as_re2(source), bytes_max=PATTERN_PROGRAM_BYTES)
    except ProgramTooLarge as error:
        raise RenderError("", str(error), code="EXPRESSION_BUDGET") from error
    except ValueError:
        return None


def _as_re2(source: str) -> str:
    """Convert an I-Regexp to RE2; a dot excludes both kinds of line breaks."""
    written, escaped, in_class = "", False, False
    for character in source:
        if character == "." and not escaped and not in_class:
            written += r"[^\n\r]"
            continue
        if not escaped and character in "[]":
            in_class = character == "["
        escaped = character == "\\" and not escaped
        written += character
    return written
