"""Nouns in texts, by number."""

from collections.abc import Mapping
from string import Formatter
from typing import Any


def plural(noun: str) -> str:
    """Return the plural, as in `companies` and `workflows`."""
    return f"{noun[:-1]}ies" if noun.endswith(("ny", "ry")) else f"{noun}s"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 entry` and `2,000 entries`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


class _Counting(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if not format_spec:
            return str(value)
        # A placeholder stands for any number.
        is_number = isinstance(value, int)
        return counted(value, format_spec) if is_number else f"{value} {plural(format_spec)}"


def text_of(pattern: str, values: Mapping[str, Any]) -> str:
    """Return a text with its values; `{left:task}` is a number with its noun."""
    return _Counting().vformat(pattern, (), values)
