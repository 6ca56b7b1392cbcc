"""Problems of definitions: one record for errors and warnings.

Paths are tuples of keys and indexes into the source document. Text, line and column are computed
only when a problem is reported.
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
# Left out of the text of paths: every task of a resource stands in its `spec`.
_OMITTED_KEY = "spec"
# Comparing names costs about 10 µs each, and a source may have 100 unknown names.
_SUGGESTED_FROM_MAX = 300
_LENGTHS_APART_MAX = 4


@dataclass(frozen=True, slots=True)
class BrokenWorkflow:
    """A workflow version in use, and a problem that it gets from the change of a task."""

    namespace: str
    workflow_id: str
    version: int
    problem: str

    def __str__(self) -> str:
        place = f"workflow {self.workflow_id} of namespace {self.namespace}"
        return f"{place}, version {self.version}, would break: {self.problem}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `code` is a reason of flowmesh.errors; `document` counts from 0.

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
    # Index of the character in the string that the problem is about, -1 if none; within `inside` if
    # that is only a part of the string.
    offset: int = -1
    inside: str = ""
    broken: BrokenWorkflow | None = None

    def text(self) -> str:
        """Return the message preceded by its place, unless it names the place itself."""
        if not self.place or self.place in self.message or self.code == "GRAPH_CYCLE":
            return self.message
        return f"{self.place}: {self.message}"


class Problems:
    """The problems of one document; bounded against hostile documents."""

    def __init__(self, document: int = 0, *, checked: bool = False) -> None:
        """Create an empty collection. `checked` documents passed all checks before; slow checks are
        skipped.
        """
        self.document = document
        self.checked = checked
        self.found: list[Problem] = []
        # Well-formed ids seen so far; a large graph repeats the same ids.
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
        """Add a warning unless the limit is reached; room for errors is kept."""
        if len(self.found) < WARNINGS_MAX:
            found = Problem(code, message, path, self.document, warning=True, at_key=True)
            self.found.append(found)

    @property
    def full(self) -> bool:
        return len(self.found) >= PROBLEMS_MAX


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` if a known name is close."""
    is_typo_of = (one for one in known if abs(len(one) - len(name)) <= _LENGTHS_APART_MAX)
    some = list(islice(is_typo_of, _SUGGESTED_FROM_MAX))
    near = difflib.get_close_matches(name, some, n=1)
    near = near or [one for one in some if one.lower() == name.lower()]
    return f"; did you mean {near[0]!r}?" if near else ""


def path_text(path: Path) -> str:
    """Return a path such as `("spec", "tasks", 1, "input")` as `tasks[1].input`."""
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
    """Return the problem with its path as text, and its line and column."""
    place = path_text(problem.path)
    if documents > 1:
        place = f"documents[{problem.document}]" + (f".{place}" if place else "")
    return replace(problem, place=place, line=line, column=column)


def errors_in(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if not problem.warning]


def warnings_in(problems: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.warning]


def refuse(problems: Sequence[Problem]) -> None:
    """Raise the errors among `problems`; return if there are none.

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


_SEGMENT = re.compile(r'\.?([\w$][\w$-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def split_path(text: str) -> Path:
    """Return the keys and indexes of a path as expressions write it (`items[0].email`)."""
    keys: list[str | int] = []
    for name, index, quoted in _SEGMENT.findall(text):
        keys.append(name or (int(index) if index else orjson.loads(quoted)))
    return tuple(keys)
