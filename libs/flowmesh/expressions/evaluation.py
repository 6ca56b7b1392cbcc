"""Compilation of expressions to closures that are called for each render."""

from collections.abc import Callable, Mapping
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.expressions.calls import Call, Expression, Literal
from flowmesh.expressions.errors import RenderError
from flowmesh.expressions.functions.signatures import (
    ITEMS_MAX,
    Unfit,
    bounded_number,
    bounded_text,
)
from flowmesh.expressions.moments import MOMENT
from flowmesh.expressions.references import Reference, getter

Scope = Mapping[str, Any]

NESTING_MAX = 64
RENDER_BYTES_MAX = 8 * 1024 * 1024
CALL_CHARACTERS_NAMED_MAX = 80
_ITEM_BYTES = 8


class Budget:
    """The remaining bytes of text that one render can write and functions can process."""

    __slots__ = ("left",)

    def __init__(self, left: int = RENDER_BYTES_MAX) -> None:
        self.left = left

    def charge(self, amount: int, path: str) -> None:
        self.left -= amount
        if self.left < 0:
            raise too_large(path, RENDER_BYTES_MAX)


Render = Callable[[Scope, Budget], Any]


def too_large(path: str, limit: int) -> RenderError:
    message = f"the rendered text is larger than {limit // 1024} KiB"
    return RenderError(path, message, code="OUTPUT_TOO_LARGE")


PLAIN = frozenset({dict, list, str, int, float, bool, type(None)})


def plain(value: Any, name: object, depth: int = 0) -> Json:
    """Convert a value with lazy members to dicts and lists."""
    if depth > NESTING_MAX:
        raise RenderError(str(name), f"the value is nested more than {NESTING_MAX} levels deep")
    if isinstance(value, Mapping):
        return {str(key): plain(value[key], name, depth + 1) for key in value}
    if isinstance(value, list | tuple):
        return [plain(item, name, depth + 1) for item in value]
    return value


def renderer(expression: Expression) -> Render:
    """Return a closure that computes the expression. It raises RenderError."""
    if isinstance(expression, Reference):
        return getter(expression)
    if isinstance(expression, Literal):
        value = expression.value
        return lambda _scope, _budget: value
    if expression.function.lazy:
        return _lazy(expression)
    return _strict(expression)


def _argument(expression: Expression) -> Render:
    if not isinstance(expression, Reference):
        return renderer(expression)
    get = getter(expression)

    def render(scope: Scope, budget: Budget) -> Json:
        value = get(scope, budget)
        return value if value.__class__ in PLAIN else plain(value, expression)

    return render


def _strict(call: Call) -> Render:
    function, place = call.function, call.place
    arguments = tuple(
        (_argument(each), function.parameter(index).checked)
        for index, each in enumerate(call.arguments)
    )

    def render(scope: Scope, budget: Budget) -> Json:
        values = [value(scope, budget) for value, _ in arguments]
        try:
            given = [check(value) for value, (_, check) in zip(values, arguments, strict=True)]
            if function.momentary:
                given = [_moment(scope), place, *given]
            result = _bounded(function.apply(*given))
        except _FAILURES as error:
            raise _failed(call, error) from error
        budget.charge(sum(map(_size, values)) + _size(result), function.name)
        return result

    return render


def _lazy(call: Call) -> Render:
    function = call.function
    arguments = tuple(map(_argument, call.arguments))

    def render(scope: Scope, budget: Budget) -> Json:
        later = [lambda value=value: value(scope, budget) for value in arguments]
        budget.charge(1, function.name)
        try:
            return function.apply(*later)
        except _FAILURES as error:
            raise _failed(call, error) from error

    return render


# Unfit values, and errors of Python for unusual numbers and nesting.
_FAILURES = (ValueError, ArithmeticError, RecursionError)


def _failed(call: Call, error: Exception) -> RenderError:
    message = str(error) if isinstance(error, Unfit) else "it cannot use these values"
    text = str(call)
    if len(text) > CALL_CHARACTERS_NAMED_MAX:
        text = f"{text[:CALL_CHARACTERS_NAMED_MAX]}…"
    return RenderError(text, message)


def _moment(scope: Scope) -> Any:
    try:
        return scope[MOMENT]
    except KeyError:
        raise Unfit("it is only available for a task") from None


def _bounded(result: Json) -> Json:
    if result.__class__ is str:
        bounded_text(len(result))
    elif result.__class__ is list and len(result) > ITEMS_MAX:
        raise Unfit(f"the result has more than {ITEMS_MAX} items")
    elif result.__class__ in (int, float):
        return bounded_number(result)
    return result


def _size(value: Json) -> int:
    if isinstance(value, str):
        return len(value) + 1
    return len(value) * _ITEM_BYTES + 1 if isinstance(value, list | dict) else 1
