"""Regular expressions of tenants: RE2, bounded in compilation and in search.

RE2 searches in linear time, but the factor is the size of the compiled program, which a short
pattern may blow up: `\\pL{50}` has 60,000 instructions. So compilation has a bound of memory, and
callers compare instructions times characters with what they can afford.
"""

from functools import lru_cache
from typing import Protocol

import re2

# A program has at most one instruction in 16 bytes, and compiles within 100 ms.
PATTERN_BYTES_MAX = 1024 * 1024
# Patterns of this size compile within a few ms.
PROMPT_PATTERN_BYTES_MAX = 64 * 1024


class Pattern(Protocol):
    """A compiled pattern."""

    @property
    def programsize(self) -> int:
        """Return the number of instructions."""

    def search(self, text: str) -> object | None:
        """Return a match anywhere in a text."""

    def fullmatch(self, text: str) -> object | None:
        """Return a match of a whole text."""


class ProgramTooLarge(ValueError):
    """The program of a pattern exceeds the bound."""


def compile_pattern(text: str, *, bytes_max: int = PATTERN_BYTES_MAX) -> Pattern:
    """Compile a pattern. Raises ValueError, ProgramTooLarge."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = bytes_max
    try:
        pattern: Pattern = re2.compile(text, options)
    except re2.error as error:
        if b"too large" in error.args[0]:
            raise ProgramTooLarge("the pattern has too large repeats") from error
        message = "not a pattern of RE2 (it has no look-around and no back-references)"
        raise ValueError(message) from error
    return pattern


@lru_cache(maxsize=1_000)
def cached_pattern(text: str) -> Pattern:
    """Compile a pattern, or return it from the cache. Raises ValueError."""
    return compile_pattern(text)


def instructions(text: str) -> int:
    """Return the size of the program of a pattern; -1 if it does not compile in a few ms."""
    try:
        return compile_pattern(text, bytes_max=PROMPT_PATTERN_BYTES_MAX).programsize
    except ValueError:
        return -1
