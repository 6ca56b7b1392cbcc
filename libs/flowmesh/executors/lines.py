"""Lines that a task logs, as they are kept with its node: few, short, and in order."""

from typing import Any

Json = Any
LINES_MAX = 100
LINE_CHARACTERS_MAX = 1_000


def log_lines(text: str) -> list[Json]:
    """What code printed, a line each; the last says how many were left out."""
    lines = text.splitlines()
    kept: list[Json] = [
        {"level": "info", "message": line[:LINE_CHARACTERS_MAX]} for line in lines[:LINES_MAX]
    ]
    if len(lines) > LINES_MAX:
        kept.append({"level": "warning", "message": f"{len(lines) - LINES_MAX} more lines"})
    return kept
