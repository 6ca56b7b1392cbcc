"""Splits a string with `{{ }}` into literal text and expressions."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from flowmesh.expressions.calls import Expression, references_in
from flowmesh.expressions.errors import Problem
from flowmesh.expressions.parser import Compilation, parse_expression
from flowmesh.expressions.references import ReferenceInvalid

OPEN = "{{"
CLOSE = "}}"
EXPRESSION_CHARACTERS_MAX = 4_096
EXPRESSIONS_MAX = 10_000
"""The limit of one template; scanning stops above it."""
PROBLEMS_MAX = 1_000
ROOTS_NAMED_MAX = 8
# Text up to braces or an unclosed quote, without backtracking. It uses no possessive quantifiers,
# because with a lookahead they match too much before Python 3.11.5.
_INSIDE = re.compile(
    r"""(?:[^"'{}]+|"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'|\}(?!\})|\{(?!\{))*""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Placed:
    """An expression and the 0-based offset of its opening braces."""

    expression: Expression
    offset: int


Part = str | Placed


def scan(
    text: str,
    roots: Collection[str],
    at: str,
    problems: list[Problem],
    compilation: Compilation | None = None,
) -> list[Part]:
    """Return the parts of `text` in order; append errors to `problems`."""
    compilation = compilation or Compilation()
    parts: list[Part] = []
    literal = 0
    while (start := text.find(OPEN, literal)) >= 0:
        if len(problems) >= PROBLEMS_MAX or len(parts) > 2 * EXPRESSIONS_MAX:
            return parts
        if start > literal:
            parts.append(text[literal:start])
        end = _closing(text, start + len(OPEN))
        if end < 0:
            problems.append(Problem(at, _unclosed(start, end), offset=start))
            return parts
        placed = _placed(text, start, end, roots, at, problems, compilation)
        if placed is not None:
            parts.append(placed)
        literal = end + len(CLOSE)
    if literal < len(text):
        parts.append(text[literal:])
    return parts


_UNCLOSED, _TOO_LONG = -1, -2


def _closing(text: str, position: int) -> int:
    """Return the offset of the closing braces; braces in quoted keys do not count."""
    last = min(len(text), position + EXPRESSION_CHARACTERS_MAX + len(CLOSE))
    found = _INSIDE.match(text, position, last)
    end = found.end() if found is not None else position
    if text.startswith(CLOSE, end, last):
        return end
    return _UNCLOSED if last == len(text) or text.startswith(OPEN, end) else _TOO_LONG


def _unclosed(start: int, found: int) -> str:
    if found == _TOO_LONG:
        limit = EXPRESSION_CHARACTERS_MAX
        return f"the expression at offset {start} is longer than {limit} characters"
    return f"the {OPEN} at offset {start} is not closed; {CLOSE} is missing"


def _placed(
    text: str,
    start: int,
    end: int,
    roots: Collection[str],
    at: str,
    problems: list[Problem],
    compilation: Compilation,
) -> Placed | None:
    source, known = text[start : end + 2], len(problems)
    compilation.mistakes.clear()
    try:
        expression = parse_expression(text, start + len(OPEN), end, at, compilation)
    except ReferenceInvalid as error:
        message = f"{source!r} at offset {error.offset}: {error.message}"
        problems.append(Problem(at, message, offset=error.offset))
        return None
    for mistake in compilation.mistakes:
        message = f"{source!r} at offset {mistake.offset}: {mistake.message}"
        problems.append(Problem(at, message, mistake.code, mistake.offset))
    for reference in references_in(expression):
        if reference.root not in roots:
            names = ", ".join(sorted(roots)[:ROOTS_NAMED_MAX]) or "none"
            message = (
                f"unknown name {reference.root!r} in {source!r} at offset {start}; "
                f"known here: {names}"
            )
            offset = max(start, reference.offset)
            problems.append(Problem(at, message, "TEMPLATE_UNKNOWN_REFERENCE", offset))
    return Placed(expression, start) if len(problems) == known else None
