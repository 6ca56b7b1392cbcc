"""What is wrong with a definition and where: one record for errors and for warnings.

Paths are tuples of keys and indexes into the source document; they become text and get their line
and column only when somebody is told.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import orjson

from flowmesh.definitions.limits import PROBLEMS_MAX, WARNINGS_MAX
from flowmesh.errors import REASONS, Invalid, TooLarge, Violation

Path = tuple[str | int, ...]
_PLAIN_KEY = re.compile(r"[\w$-]+\Z")
# A resource's tasks are told apart without the `spec` they all stand in.
_OMITTED_KEY = "spec"
# Comparing names costs some 10 µs each, and a source may have 100 that are unknown.
_SUGGESTED_FROM_MAX = 300
_LENGTHS_APART_MAX = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong. `code` is a reason of flowmesh.errors; `document` counts from 0.

    `at_key` points at the key of a member instead of its value (unknown and missing members).
    """

    code: str
    message: str
    path: Path = ()
    document: int = 0
    warning: bool = False
    at_key: bool = False
    place: str = ""
    line: int = 0
    column: int = 0
    # The character of the string there that it is about, -1 if none; it counts in `inside` where
    # that is only a part of the string.
    offset: int = -1
    inside: str = ""

    def text(self) -> str:
        """The message with its place in front, unless it names the place itself."""
        if not self.place or self.place in self.message or self.code == "GRAPH_CYCLE":
            return self.message
        return f"{self.place}: {self.message}"


class Problems:
    """Collects the problems of one document; bounded, so that a hostile one costs little."""

    def __init__(self, document: int = 0, *, checked: bool = False) -> None:
        """`checked` documents were stored after all checks; what takes long is not done again."""
        self.document = document
        self.checked = checked
        self.found: list[Problem] = []
        # Ids seen to be well-formed; a large graph names the same ones again and again.
        self.well_formed: set[str] = set()

    def add(
        self,
        code: str,
        message: str,
        path: Path = (),
        *,
        at_key: bool = False,
        offset: int = -1,
        inside: str = "",
    ) -> None:
        if len(self.found) < PROBLEMS_MAX:
            found = Problem(code, message, path, self.document, at_key=at_key)
            if offset >= 0:
                found = replace(found, offset=offset, inside=inside)
            self.found.append(found)

    def warn(self, code: str, message: str, path: Path = ()) -> None:
        """Leaves room for errors: a document is not right because there is much to warn of."""
        if len(self.found) < WARNINGS_MAX:
            found = Problem(code, message, path, self.document, warning=True, at_key=True)
            self.found.append(found)

    @property
    def full(self) -> bool:
        return len(self.found) >= PROBLEMS_MAX


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where something is close."""
    is_typo_of = (one for one in known if abs(len(one) - len(name)) <= _LENGTHS_APART_MAX)
    some = list(islice(is_typo_of, _SUGGESTED_FROM_MAX))
    near = difflib.get_close_matches(name, some, n=1)
    near = near or [one for one in some if one.lower() == name.lower()]
    return f"; did you mean {near[0]!r}?" if near else ""


def path_text(path: Path) -> str:
    """`("spec", "tasks", 1, "input")` as `tasks[1].input`."""
    keys = path[1:] if len(path) > 1 and path[0] == _OMITTED_KEY else path
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        elif not _PLAIN_KEY.match(key):
            text += f"[{orjson.dumps(key).decode()}]"
        else:
            text += f".{key}" if text else key
    return text


def placed(problem: Problem, *, documents: int, line: int = 0, column: int = 0) -> Problem:
    """The problem as its reader needs it: with its path as text, and its line and column."""
    place = path_text(problem.path)
    if documents > 1:
        place = f"documents[{problem.document}]" + (f".{place}" if place else "")
    return replace(problem, place=place, line=line, column=column)


def errors_in(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if not problem.warning]


def warnings_in(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.warning]


def refuse(problems: Sequence[Problem]) -> None:
    """Raises what the errors among `problems` amount to; returns if there are none.

    Problems of one kind are raised under its reason, several kinds as WORKFLOW_INVALID.
    """
    errors = errors_in(problems)
    if not errors:
        return
    codes = {problem.code for problem in errors}
    reason = codes.pop() if len(codes) == 1 else "WORKFLOW_INVALID"
    too_large = REASONS[reason].error is TooLarge
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise (TooLarge if too_large else Invalid)(
        reason,
        errors[0].text() + more,
        violations=tuple(Violation(p.place, p.message, p.code, p.line, p.column) for p in errors),
    )
