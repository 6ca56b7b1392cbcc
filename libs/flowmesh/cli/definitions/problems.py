"""Output of the problems of definitions: place, code, and the source line with a caret."""

import os
import sys
from typing import Any, Protocol

from flowmesh.cli import output

LINE_CHARACTERS_MAX = 100
_COLORS = {"error": "31;1", "warning": "33;1", "hint": "2"}


class Lines(Protocol):
    """A text that maps its lines to the files they come from."""

    def place(self, line: int, column: int) -> str: ...

    def line(self, line: int) -> tuple[int, str] | None: ...


class Found(Protocol):
    """A problem as the SDK or the library of definitions returns it."""

    @property
    def code(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


def print_problem(problem: Found, severity: str, path: str, source: Lines) -> None:
    """Write a problem to standard error, in one line; on a terminal also its source line."""
    place = source.place(problem.line, problem.column)
    message = problem.message
    subject = "" if message.startswith(f"{path}:") else path
    texts = map(output.visible, filter(None, (place, subject, message)))
    parts = ": ".join((colored(severity, severity), *texts))
    output.colored_problem(f"{parts} [{problem.code}]")
    found = source.line(problem.line) if problem.line and sys.stderr.isatty() else None
    if found is not None:
        for shown in snippet(*found, problem.column):
            output.colored_problem(shown)


def snippet(number: int, text: str, column: int) -> list[str]:
    """Return the line with its number and a caret; for a long line the part around the caret."""
    text = text.rstrip().replace("\t", " ")
    at = min(max(column - 1, 0), len(text))
    begin = max(0, at - LINE_CHARACTERS_MAX // 2) if len(text) > LINE_CHARACTERS_MAX else 0
    shown = text[begin : begin + LINE_CHARACTERS_MAX]
    before, after = "…" if begin else "", "…" if begin + len(shown) < len(text) else ""
    margin = f"{number:>6} | "
    caret = " " * (len(margin) - 2) + "| " + " " * (at - begin + len(before))
    shown = output.visible(shown)
    return [colored(margin, "hint") + before + shown + after, caret + colored("^", "error")]


def colored(text: str, kind: str) -> str:
    """Return the text in the color of its kind if standard error is a terminal."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLORS.get(kind, '0')}m{text}\x1b[0m"


def as_json(problem: Found, severity: str, path: str, source: Lines) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "code": problem.code,
        "severity": severity,
        "message": problem.message,
        "path": path,
    }
    if problem.line:
        shown |= {"line": problem.line, "column": problem.column}
    if place := source.place(problem.line, problem.column):
        shown["place"] = place
    return shown
