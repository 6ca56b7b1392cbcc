"""Regular expressions mean the same in every Python the project runs on."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from tests.tidy import sources

# Before Python 3.11.5 a possessive quantifier over a lookahead or a choice matches too much:
# on the Python of Debian 12 no template was ever closed (CPython gh-100061, gh-106052).
UNSOUND = {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}

_parser: Any = importlib.import_module("re._parser")


def _patterns() -> Iterator[tuple[str, str]]:
    for name in sources.python():
        if not name.startswith(("libs/", "services/")):
            continue
        for node in sources.nodes(name):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                yield f"{name}:{node.lineno}", node.args[0].value


def _operations(parsed: Any) -> set[str]:
    """The names of all operations in what the parser made of a pattern."""
    if isinstance(parsed, _parser.SubPattern):
        return _operations(list(parsed))
    if isinstance(parsed, tuple | list):
        found: Iterable[set[str]] = (_operations(part) for part in parsed)
        return set().union(*found)
    return {str(parsed)}


def test_no_pattern_is_possessive() -> None:
    """Linear time is had without: branches that begin differently, nothing tried twice."""
    patterns = list(_patterns())
    assert len(patterns) > 50
    wrong = [place for place, pattern in patterns if UNSOUND & _operations(_parser.parse(pattern))]
    assert not wrong, sources.lines(wrong)


def test_a_possessive_pattern_is_found() -> None:
    """What is looked for is what the parser calls it."""
    for pattern in (r"(?:a|b(?!c))*+", r"x{1,2}+", r"(?>ab?)c"):
        assert re.compile(pattern)
        assert UNSOUND & _operations(_parser.parse(pattern))
