"""Typed access to members of a parsed document; problems are noted and reading continues.

Every getter returns a usable value for any document, so one pass finds every problem.
"""

import re
from collections.abc import Callable, Collection

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.problems import Path, Problems, nearest
from flowmesh.definitions.task_refs import FORM, is_task_ref

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_STRINGS = frozenset({str})
_SUGGESTIONS_MAX = 12
_SUGGESTED_FROM_MAX = 1_000
_SHOWN_MAX = 64


def kind_of(value: Json) -> str:
    """Return the JSON type of a value with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def shown(value: Json) -> str:
    """Return a scalar as text, a long text shortened; for other values their type."""
    if isinstance(value, str):
        return f"{value[:_SHOWN_MAX]!r}{'…' if len(value) > _SHOWN_MAX else ''}"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, int | float) else kind_of(value)


def is_id(value: str) -> bool:
    return _ID.match(value) is not None


class Reader:
    """One object of a document. It records the members that were read."""

    __slots__ = ("_known", "path", "problems", "value")

    def __init__(self, value: dict[str, Json], path: Path, problems: Problems) -> None:
        self.value = value
        self.path = path
        self.problems = problems
        self._known: set[str] = set()

    def has(self, key: str) -> bool:
        self._known.add(key)
        return key in self.value

    def raw(self, key: str) -> Json:
        self._known.add(key)
        return self.value.get(key)

    def wrong(self, key: str, expected: str, code: str = "DEFINITION_INVALID") -> None:
        """Note that the member is not `expected`."""
        message = f"{key} must be {expected}, not {shown(self.value.get(key))}"
        self.problems.add(code, message, (*self.path, key))

    def missing(self, key: str, expected: str) -> None:
        message = f"{key} is missing; it is {expected}"
        self.problems.add("DEFINITION_INVALID", message, (*self.path, key), at_key=True)

    def text(self, key: str, *, most: int = limits.NAME_CHARACTERS_MAX) -> str:
        value = self.raw(key)
        if isinstance(value, str):
            if len(value) > most:
                message = f"{key} has {len(value)} characters; at most {most} are allowed"
                self.problems.add("DEFINITION_INVALID", message, (*self.path, key))
                return value[:most]
            return value
        if value is not None or key in self.value:
            self.wrong(key, "a string")
        return ""

    def required_text(self, key: str, expected: str) -> str:
        """Return a required text that is not blank; long texts are code."""
        if not self.has(key):
            self.missing(key, expected)
            return ""
        value = self.text(key, most=limits.CODE_CHARACTERS_MAX)
        if isinstance(self.value[key], str) and not value.strip():
            message = f"{key} is empty; it is {expected}"
            self.problems.add("DEFINITION_INVALID", message, (*self.path, key))
            return ""
        return value

    def identifier(self, key: str, what: str, *, required: bool = True) -> str:
        """Return an id; empty if missing or invalid, which is noted."""
        if not self.has(key):
            if required:
                self.missing(key, what)
            return ""
        value = self.value[key]
        if not isinstance(value, str):
            self.wrong(key, "a string")
            return ""
        return value if self._checked_id(value, (*self.path, key), key) else ""

    def task_ref(self, key: str, *, required: bool = True) -> str:
        """Return a reference to a task, optionally with a version or of another namespace."""
        if not self.has(key):
            if required:
                self.missing(key, "the name of a WorkflowTask or of a built-in task")
            return ""
        value = self.value[key]
        if isinstance(value, str) and is_task_ref(value):
            return value
        if isinstance(value, str):
            message = f"{key} {value[:64]!r} is not {FORM}"
            self.problems.add("ID_INVALID", message, (*self.path, key))
        else:
            self.wrong(key, "a string")
        return ""

    def _checked_id(self, value: str, path: Path, what: str) -> bool:
        if is_id(value):
            return True
        message = f"{what} {value[:64]!r} must match [A-Za-z0-9._:-]{{1,128}}"
        self.problems.add("ID_INVALID", message, path)
        return False

    def identifiers(
        self, key: str, of_object: Callable[["Reader"], str] | None = None
    ) -> tuple[str, ...]:
        """Return a list of ids by index; an empty id stands for an invalid one, which is noted.

        `of_object` returns the id of an item that is an object.
        """
        if self.raw(key) is None:
            return ()
        items, well_formed = self.items(key), self.problems.well_formed
        if set(map(type, items)) == _STRINGS and well_formed.issuperset(items):
            return tuple(items)
        return tuple(
            value
            if value.__class__ is str and value in well_formed
            else self._item_id(key, index, value, of_object)
            for index, value in enumerate(items)
        )

    def _item_id(
        self, key: str, index: int, value: Json, of_object: Callable[["Reader"], str] | None
    ) -> str:
        path = (*self.path, key, index)
        if of_object is not None and isinstance(value, dict):
            return of_object(Reader(value, path, self.problems))
        if not isinstance(value, str):
            message = f"{key} holds ids, not {kind_of(value)}"
            self.problems.add("DEFINITION_INVALID", message, path)
            return ""
        if not self._checked_id(value, path, "id"):
            return ""
        self.problems.well_formed.add(value)
        return value

    def items(self, key: str) -> list[Json]:
        value = self.raw(key)
        if isinstance(value, list):
            return value
        if value is not None or key in self.value:
            self.wrong(key, "an array")
        return []

    def object(self, key: str) -> "Reader":
        """Return the object under `key`; an empty one if there is none."""
        value = self.raw(key)
        if not isinstance(value, dict):
            if value is not None:
                self.wrong(key, "an object")
            value = {}
        return Reader(value, (*self.path, key), self.problems)

    def flag(self, key: str, default: bool) -> bool:
        value = self.raw(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.wrong(key, "true or false")
        return default

    def number(
        self, key: str, default: float, least: float, most: float, code: str = "DEFINITION_INVALID"
    ) -> float:
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(key, "a number", code)
            return default
        if not least <= value <= most:
            message = f"{key} is {value:.15g}; it must be from {least:.15g} to {most:.15g}"
            self.problems.add(code, message, (*self.path, key))
            return default
        return value

    def integer(
        self, key: str, default: int, least: int, most: int, code: str = "DEFINITION_INVALID"
    ) -> int:
        value = self.number(key, default, least, most, code)
        if value != int(value):
            self.wrong(key, "a whole number", code)
            return default
        return int(value)

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, str) and value.upper() in choices:
            return value.upper()
        if isinstance(value, str):
            near = nearest(value.upper(), choices)
            message = f"{key} must be one of {', '.join(choices)}, not {value[:64]!r}{near}"
            self.problems.add("DEFINITION_INVALID", message, (*self.path, key))
        else:
            self.wrong(key, "one of " + ", ".join(choices))
        return default

    def labels(self, key: str = "labels") -> dict[str, str]:
        reader = self.object(key)
        found: dict[str, str] = {}
        for name, value in reader.value.items():
            most = limits.LABEL_CHARACTERS_MAX
            if not isinstance(value, str) or len(value) > most or not 0 < len(name) <= most:
                message = f"a label is a string of at most {most} characters"
                self.problems.add("DEFINITION_INVALID", message, (*reader.path, name))
            else:
                found[name] = value
        if len(found) > limits.LABELS_MAX:
            message = f"{key} holds {len(found)} labels; at most {limits.LABELS_MAX} are allowed"
            self.problems.add("DEFINITION_INVALID", message, reader.path)
        return found

    def unknown(self) -> list[str]:
        """Return members that were not read."""
        return [key for key in self.value if key not in self._known]

    def refuse_unknown(self) -> None:
        for key in self.unknown():
            if self.problems.full:
                return
            near = nearest(key, self._known)
            known = ", ".join(sorted(self._known)[:_SUGGESTIONS_MAX])
            message = f"unknown field {key[:64]!r}{near or f'; known here: {known}'}"
            self.problems.add("DEFINITION_INVALID", message, (*self.path, key), at_key=True)

    def warn_of_unknown(self) -> None:
        for key in self.unknown():
            if self.problems.full:
                return
            near = nearest(key, self._known)
            message = f"{key[:64]!r} is not known; it is kept and has no effect{near}"
            self.problems.warn("DEFINITION_INVALID", message, (*self.path, key))

    def warn_of_misspelt(self) -> None:
        """Warn of members that resemble one that is read; an open object has others, too."""
        for key in self.unknown():
            if near := nearest(key, self._known):
                message = f"{key[:64]!r} is not known; it is kept and has no effect{near}"
                self.problems.warn("DEFINITION_INVALID", message, (*self.path, key))
