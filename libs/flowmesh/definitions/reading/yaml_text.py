"""YAML restricted to data, read from the C parser's events without recursion.

Scalars follow the YAML 1.2 core schema (`no` and `on` are strings, `012` is twelve). Anchors,
aliases, tags, merge keys and duplicate keys are refused. Also locates paths in a text, JSON
included.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml
from yaml import events

from flowmesh.contract.json_value import Json
from flowmesh.definitions.limits import DOCUMENTS_MAX, NESTING_MAX
from flowmesh.definitions.problems import Path, Problem, placed
from flowmesh.definitions.reading.string_positions import SURROGATES, within
from flowmesh.definitions.reading.yaml_reasons import (
    UNPRINTABLE,
    syntax_reason,
    unreadable_character,
)

Node = tuple[int, Path, bool]
"""Document, path, and True if the key of the member is meant instead of its value."""


class Place(NamedTuple):
    """A value, or the key of a member; with an offset, a character of the string `text`."""

    document: int
    path: Path
    at_key: bool = False
    offset: int = -1
    text: str = ""

    @property
    def node(self) -> Node:
        return self.document, self.path, self.at_key


_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_NUMBER_BEGINNINGS = frozenset("+-.0123456789")
INTEGER_DIGITS_MAX = 20
_MERGE = "<<"
_PAIRED = re.compile(r"\\u[dD]")
_PAIR = re.compile(rf"\\(?:({SURROGATES})|.)", re.DOTALL)


class Unreadable(Exception):
    """The text is not a document; the problem holds the reason and the place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        documents = problem.document + 1
        self.problem = placed(
            problem, documents=documents, line=problem.line, column=problem.column
        )


class _Frame:
    """A mapping or sequence that is being read."""

    __slots__ = ("container", "key", "key_mark")

    def __init__(self, container: dict[str, Json] | list[Json]) -> None:
        self.container = container
        self.key: str | int | None = None if isinstance(container, dict) else -1
        self.key_mark: Any = None


class _Reader:
    """One pass over the events; records the marks of `wanted` places.

    With `sought` it ends after all of these places.
    """

    def __init__(self, wanted: Iterable[Node] = (), sought: Iterable[Node] = ()) -> None:
        self.documents: list[Json] = []
        self.wanted = frozenset(wanted)
        self._sought = set(sought)
        self._ends_early = bool(self._sought)
        self.marks: dict[Node, tuple[int, int]] = {}
        # Strings at wanted places as written.
        self.scalars: dict[Node, Any] = {}
        self._stack: list[_Frame] = []
        self._index = 0

    def read(self, text: str) -> None:
        parser: Any = yaml.CSafeLoader(text)
        try:
            while not isinstance(event := parser.get_event(), events.StreamEndEvent):
                self._take(event)
                if self._ends_early and not self._sought:
                    return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise self._syntax(syntax_reason(error, text), *where) from error
        except yaml.YAMLError as error:
            raise self._syntax(*unreadable_character(text)) from error
        finally:
            parser.dispose()

    def _syntax(self, reason: str, line: int, column: int) -> Unreadable:
        where = f" at line {line}, column {column}" if line else ""
        message = f"this is not YAML{where}: {reason}"
        return Unreadable(
            Problem("YAML_INVALID", message, document=self._index, line=line, column=column)
        )

    def _refuse(self, code: str, message: str, mark: Any) -> Unreadable:
        path = tuple(frame.key for frame in self._stack if frame.key is not None)
        return Unreadable(
            Problem(code, message, path, self._index, line=mark.line + 1, column=mark.column + 1)
        )

    def _take(self, event: Any) -> None:
        mark = event.start_mark
        if isinstance(event, events.ScalarEvent):
            self._scalar(event, mark)
        elif isinstance(event, events.CollectionStartEvent):
            container: dict[str, Json] | list[Json] = (
                {} if isinstance(event, events.MappingStartEvent) else []
            )
            self._open(event, container, mark)
        elif isinstance(event, events.CollectionEndEvent):
            self._stack.pop()
            self._after_value()
        elif isinstance(event, events.AliasEvent):
            raise self._refuse("YAML_FORBIDDEN", f"the alias *{event.anchor} is not accepted", mark)
        elif isinstance(event, events.DocumentEndEvent):
            self._index += 1

    def _open(self, event: Any, container: dict[str, Json] | list[Json], mark: Any) -> None:
        self._check_plain(event, mark)
        if len(self._stack) >= NESTING_MAX:
            message = f"values may be nested {NESTING_MAX} levels deep"
            raise self._refuse("NESTING_TOO_DEEP", message, mark)
        self._put(container, event)
        self._stack.append(_Frame(container))

    def _check_plain(self, event: Any, mark: Any) -> None:
        if event.anchor is not None:
            message = f"the anchor &{event.anchor} is not accepted"
            raise self._refuse("YAML_FORBIDDEN", message, mark)
        if event.tag is not None:
            raise self._refuse("YAML_FORBIDDEN", f"the tag {event.tag} is not accepted", mark)

    def _scalar(self, event: Any, mark: Any) -> None:
        self._check_plain(event, mark)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None:
            self._take_key(frame, event, mark)
            return
        value = self._resolved(event.value, mark) if event.implicit[0] else event.value
        self._put(value, event)
        self._after_value()

    def _take_key(self, frame: _Frame, event: Any, mark: Any) -> None:
        if event.value == _MERGE and event.implicit[0]:
            raise self._refuse("YAML_FORBIDDEN", "the merge key << is not accepted", mark)
        if event.value in frame.container:
            frame.key = event.value
            raise self._refuse("YAML_FORBIDDEN", f"the key {event.value!r} is there twice", mark)
        frame.key, frame.key_mark = event.value, mark

    def _put(self, value: Json, event: Any) -> None:
        """Store a value in its container before its contents are read."""
        mark = event.start_mark
        if not self._stack:
            if len(self.documents) >= DOCUMENTS_MAX:
                message = f"a source holds at most {DOCUMENTS_MAX} documents"
                raise self._refuse("DEFINITION_TOO_LARGE", message, mark)
            self.documents.append(value)
        else:
            frame = self._stack[-1]
            if isinstance(frame.container, list):
                frame.key = len(frame.container)
                frame.container.append(value)
            elif frame.key is None:
                message = "a key must be a string, not a list or a mapping"
                raise self._refuse("YAML_FORBIDDEN", message, mark)
            else:
                frame.container[str(frame.key)] = value
        if self.wanted:
            self._remember(event)

    def _after_value(self) -> None:
        if self._stack and isinstance(self._stack[-1].container, dict):
            self._stack[-1].key = None

    def _remember(self, event: Any) -> None:
        path = tuple(frame.key for frame in self._stack if frame.key is not None)
        if (place := (self._index, path, False)) in self.wanted:
            mark = event.start_mark
            self.marks[place] = (mark.line + 1, mark.column + 1)
            if isinstance(event, events.ScalarEvent):
                self.scalars[place] = event
            self._sought.discard(place)
        key_mark = self._stack[-1].key_mark if self._stack else None
        if key_mark is not None and (place := (self._index, path, True)) in self.wanted:
            self.marks[place] = (key_mark.line + 1, key_mark.column + 1)
            self._sought.discard(place)

    def _resolved(self, text: str, mark: Any) -> Json:
        """Return the value of a plain scalar in the core schema."""
        if text in _NULL:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if text[0] not in _NUMBER_BEGINNINGS:
            return text
        if _NOT_FINITE.match(text):
            raise self._refuse("YAML_INVALID", f"{text} is no number that JSON has", mark)
        if _INTEGER.match(text):
            if len(text) > INTEGER_DIGITS_MAX:
                message = "an integer of this size cannot be kept exactly; write it as a string"
                raise self._refuse("JSON_INVALID", message, mark)
            return int(text)
        if _OCTAL.match(text) or _HEX.match(text):
            return int(text[2:], 8 if text[1] == "o" else 16)
        return float(text) if _FLOAT.match(text) else text


def read_yaml(text: str) -> list[Json]:
    """Return the documents of a text. Raises Unreadable."""
    reader = _Reader()
    reader.read(text)
    return reader.documents


def _readable(text: str) -> str:
    """Return JSON as YAML of the same length with all positions kept."""
    text = UNPRINTABLE.sub("x", text)
    return _PAIR.sub(_one_character, text) if _PAIRED.search(text) else text


def _one_character(found: re.Match[str]) -> str:
    """Return a replacement as long as two surrogates, which only JSON writes as escapes: a letter
    and a blank.
    """
    return "\\u4e00\\u2028" if found[1] else found[0]


def locate(text: str, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
    """Return line and column (1-based) of each place, or of the nearest enclosing place."""
    wanted = list(places)
    nodes = {place.node for place in wanted}
    around = set(nodes)
    for document, path, _ in nodes:
        lengths = range(len(path) + 1)
        around.update((document, path[:length], False) for length in lengths)
    reader = _Reader(around, nodes)
    try:
        reader.read(_readable(text))
    except Unreadable:
        # JSON that YAML reads differently: places passed so far are known.
        wanted = [place for place in wanted if place.node in reader.marks]
    return {place: _located(text, place, reader) for place in wanted}


def _located(text: str, place: Place, reader: _Reader) -> tuple[int, int]:
    if place.offset >= 0 and (scalar := reader.scalars.get(place.node)) is not None:
        found = within(text, scalar, place.text, place.offset)
        if found is not None:
            return found
    if place.node in reader.marks:
        return reader.marks[place.node]
    for length in range(len(place.path), -1, -1):
        if (around := (place.document, place.path[:length], False)) in reader.marks:
            return reader.marks[around]
    return (0, 0)
