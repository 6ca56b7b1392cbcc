"""Findings of a document: errors and warnings, each with code, path, line and column.

They are the problems of definitions, placed in the file that they come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flowmesh.definitions.problems import Path as Keys
from flowmesh.definitions.problems import Problem
from flowmesh.definitions.reading.documents import Source
from flowmesh.errors import Invalid, Violation

FINDINGS_MAX = 200


@dataclass(frozen=True, slots=True)
class SourcePath:
    """A place: the number of the file, and the keys that lead to a value in it."""

    file: int = 0
    keys: Keys = ()

    def __truediv__(self, key: str | int) -> "SourcePath":
        return SourcePath(self.file, (*self.keys, key))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the application with its text."""

    path: Path
    source: Source

    @property
    def folder(self) -> Path:
        return self.path.parent


class Findings:
    """The findings of one application; bounded against hostile documents."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def error(self, code: str, message: str, at: SourcePath, *, at_key: bool = False) -> None:
        self._add(Problem(code, message, at.keys, at.file, at_key=at_key))

    def warn(self, code: str, message: str, at: SourcePath, *, at_key: bool = False) -> None:
        self._add(Problem(code, message, at.keys, at.file, warning=True, at_key=at_key))

    @property
    def failed(self) -> bool:
        return any(not each.warning for each in self.found)

    def placed(self, files: Sequence[SourceFile], *, strict: bool = False) -> list[Problem]:
        """Return the findings with line and column; with `strict`, warnings are errors."""
        placed = self.placed_with(self.found, files)
        unplaced = [each for each in self.found if each.document >= len(files)]
        ordered = sorted([*placed, *unplaced], key=lambda each: (each.document, each.line))
        return [replace(each, warning=False) for each in ordered] if strict else ordered

    def placed_with(self, found: Sequence[Problem], files: Sequence[SourceFile]) -> list[Problem]:
        """Return problems of these files with line and column."""
        placed: list[Problem] = []
        for number, file in enumerate(files):
            own = [replace(each, document=0) for each in found if each.document == number]
            placed += [replace(each, document=number) for each in file.source.place(own)]
        return placed

    def _add(self, problem: Problem) -> None:
        if len(self.found) < FINDINGS_MAX and problem not in self.found:
            self.found.append(problem)


def refuse(problems: Sequence[Problem], files: Sequence[SourceFile]) -> None:
    """Raise the errors among placed findings; return if there are none."""
    errors = [each for each in problems if not each.warning]
    if not errors:
        return
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    violations = tuple(
        Violation(f"{where(each, files)}", each.message, each.code) for each in errors
    )
    text = f"{where(first, files)}: {first.message}{more}"
    raise Invalid("APP_INVALID", text, violations=violations)


def where(problem: Problem, files: Sequence[SourceFile]) -> str:
    """Return `file:line:column: path` of a placed finding, as far as it is known."""
    name = str(files[problem.document].path) if problem.document < len(files) else ""
    spot = f"{name}:{problem.line}:{problem.column}" if problem.line else name
    return ": ".join(filter(None, (spot, problem.place)))
