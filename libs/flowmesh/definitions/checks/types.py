"""Whether what flows into a task fits what the task declares, as far as schemas say it plainly.

Followed: declared types of references, of constants and of text, member by member and item by
item; members that are required and never given; members a closed input does not have.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from flowmesh.definitions.checks.known import Known, TaskOf
from flowmesh.definitions.model import Json, Node, Workflow
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import roots_of, split_input
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.shapes import (
    TYPES,
    closed,
    declared,
    plain,
    required,
    step_into,
    type_of_value,
    types_of,
)
from flowmesh.expressions import TemplateInvalid, compile_template, schema_of

_CODE = "TYPE_MISMATCH"
_OPEN = "{{"
# What a map runs over.
_LIST = {"type": "array"}
# An integer is a number; a number may be an integer, so neither is a plain mismatch.
_NUMBERS = frozenset({"integer", "number"})


def check_types(workflow: Workflow, scope: Scope, task_of_node: TaskOf, problems: Problems) -> None:
    known = Known(workflow, task_of_node)
    for inner in scope.every():
        for node in inner.nodes:
            task = task_of_node(node)
            if node.map is not None:
                need: Json = _LIST if node.has_input else None
            else:
                need = task.input_schema if task is not None else None
            if isinstance(need, dict) and node.path not in inner.invalid:
                flow = _Flow(known, inner, node, problems)
                flow.value(split_input(node)[0], need, node.input_path)


@dataclass(frozen=True, slots=True)
class _Flow:
    """What flows into one node."""

    known: Known
    scope: Scope
    node: Node
    problems: Problems

    def value(self, given: Json, need: Json, path: Path) -> None:
        """A part of the input template against the schema of that part."""
        if not plain(need):
            return
        if isinstance(given, str) and _OPEN in given:
            self._template(given, need, path)
        elif not _fits(frozenset({type_of_value(given)}), types_of(need)):
            self._mismatch(type_of_value(given), need, path, "")
        elif isinstance(given, dict):
            self._object(given, need, path)
        elif isinstance(given, list):
            for index, item in enumerate(given):
                self.value(item, step_into(need, index), (*path, index))

    def _object(self, given: dict[str, Json], need: Json, path: Path) -> None:
        for name in required(need):
            if name not in given:
                message = f"{name!r} is missing; {self._expects()} requires it"
                self.problems.add(_CODE, message, path)
        members = declared(need)
        for name, value in given.items():
            if name in members:
                self.value(value, members[name], (*path, name))
            elif closed(need):
                message = f"{self._expects()} has no such field"
                self.problems.add(_CODE, message, (*path, name), at_key=True)

    def _expects(self) -> str:
        return self.node.task_ref or self.node.id

    def _template(self, text: str, need: Json, path: Path) -> None:
        try:
            template = compile_template(text, roots_of(self.node))
        except TemplateInvalid:
            return
        if template.expression is None:
            if not _fits(frozenset({"string"}), types_of(need)):
                self._mismatch("string", need, path, "")
            return
        known = partial(self.known.value, self.scope)
        self._schema(schema_of(template.expression, known), need, path, str(template.expression))

    def _schema(self, given: Json, need: Json, path: Path, source: str) -> None:
        """One schema against another, as deep as both speak plainly; bounded by their nesting."""
        waiting: list[tuple[Any, Any, Path, str]] = [(given, need, path, source)]
        while waiting:
            given, need, path, source = waiting.pop()
            if not plain(given) or not plain(need):
                continue
            if not _fits(types_of(given), types_of(need)):
                self._mismatch(_named(types_of(given)), need, path, source)
                continue
            members = declared(given)
            if members and "object" in types_of(need):
                self._required(members, given, need, path, source)
                for name in members.keys() & declared(need).keys():
                    below = (members[name], declared(need)[name])
                    waiting.append((*below, (*path, name), f"{source}.{name}"))
            if "array" in types_of(given) & types_of(need):
                items = (step_into(given, 0), step_into(need, 0))
                waiting.append((*items, (*path, 0), f"{source}[0]"))

    def _required(self, members: Any, given: Json, need: Json, path: Path, source: str) -> None:
        if given.get("additionalProperties") or "patternProperties" in given:
            return
        for name in required(need):
            if name not in members:
                message = f"{source} has no field {name!r}, which {self._expects()} requires"
                self.problems.add(_CODE, message, path)

    def _mismatch(self, given: str, need: Json, path: Path, source: str) -> None:
        origin = f" (from {source})" if source else ""
        message = (
            f"{given} does not fit {_named(types_of(need))} expected by {self._expects()}{origin}"
        )
        self.problems.add(_CODE, message, path)


def _fits(given: frozenset[str], need: frozenset[str]) -> bool:
    """Whether a value of one of the given types can be what is needed."""
    if given & need or TYPES in (given, need):
        return True
    return bool(given & _NUMBERS and need & _NUMBERS)


def _named(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))
