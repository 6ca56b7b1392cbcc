"""JSONata in the Amazon States Language: texts in `{% %}` of a template.

Expressions are checked here; a sandbox evaluates them.
"""

import sys
from collections.abc import Iterator

from flowmesh.contract.json_value import Json

Problem = tuple[tuple[str | int, ...], str]

CHARACTERS_MAX = 8 * 1024
_OPEN, _CLOSE = "{%", "%}"


def is_expression(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(_OPEN)


def has_expression(template: Json) -> bool:
    return any(is_expression(text) for _, text in _texts(template))


def problems_of(template: Json) -> Iterator[Problem]:
    """Yield the problems of a template's expressions with their paths."""
    for path, text in _texts(template):
        if is_expression(text) and (why := _problem_of(text)):
            yield path, why


def _problem_of(text: str) -> str:
    if not text.endswith(_CLOSE) or len(text) < len(_OPEN + _CLOSE):
        return f"an expression of JSONata ends with {_CLOSE}"
    if len(text) > CHARACTERS_MAX:
        return f"an expression of JSONata has at most {CHARACTERS_MAX} characters"
    # Imported here: importing the library raises the recursion limit of the process.
    limit = sys.getrecursionlimit()
    try:
        return _syntax_error(text[len(_OPEN) : -len(_CLOSE)].strip())
    finally:
        sys.setrecursionlimit(limit)


def _syntax_error(expression: str) -> str:
    from jsonata import Jsonata
    from jsonata.jexception import JException

    try:
        Jsonata(expression)
    except JException as error:
        return f"not JSONata: {error}"
    # The parser is recursive and does not accept every text.
    except (RecursionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return "not JSONata"
    return ""


def _texts(template: Json) -> Iterator[tuple[tuple[str | int, ...], str]]:
    waiting: list[tuple[Json, tuple[str | int, ...]]] = [(template, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, list):
            waiting += [(item, (*path, index)) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            waiting += [(item, (*path, key)) for key, item in value.items()]
