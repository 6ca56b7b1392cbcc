"""Requests of a completion, and suggestions."""

from collections.abc import Mapping
from dataclasses import dataclass

Suggestions = list[tuple[str, str]]
"""Values with their descriptions."""


@dataclass(frozen=True, slots=True)
class Request:
    """The word to complete, with the words before it."""

    incomplete: str
    arguments: tuple[str, ...]
    """The arguments before it, without options."""

    options: Mapping[str, str]
    """The options before it that have a value, by name."""
