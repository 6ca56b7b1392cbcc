"""Whether every template parses and refers to something that is there."""

import re
from collections.abc import Callable, Iterable

import orjson

from flowmesh.definitions.checks.graphs import nearest
from flowmesh.definitions.model import Json, Node, Task, Workflow
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import (
    CONDITION_ROOTS,
    NATIVE_ROOTS,
    Templates,
    ids_in,
    task_of,
    tasks_in_condition,
    under_input,
)
from flowmesh.definitions.shapes import at_path, closed, declared, step_into
from flowmesh.expressions import (
    ExpressionInvalid,
    Reference,
    TemplateInvalid,
    compile_condition,
    compile_template,
)

_UNKNOWN = "TEMPLATE_UNKNOWN_REFERENCE"
_SEGMENT = re.compile(r'\.?([\w$][\w$-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')
TaskOf = Callable[[Node], Task | None]


def split_path(text: str) -> Path:
    """A path as expressions write it (`items[0].email`) as keys and indexes."""
    keys: list[str | int] = []
    for name, index, quoted in _SEGMENT.findall(text):
        keys.append(name or (int(index) if index else orjson.loads(quoted)))
    return tuple(keys)


def note_invalid(error: TemplateInvalid, base: Path, problems: Problems) -> None:
    for found in error.problems:
        problems.add(found.code, found.message, (*base, *split_path(found.path)))


def check_templates(
    workflow: Workflow, templates: Templates, task_of_node: TaskOf, problems: Problems
) -> None:
    """The inputs and conditions of all nodes, and the workflow's own output."""
    checker = _Checker(workflow, task_of_node, problems)
    for index, node in enumerate(workflow.nodes):
        base = (*node.path, "input")
        if index in templates.invalid:
            note_invalid(templates.invalid[index], base, problems)
        elif index in templates.inputs:
            checker.references(templates.inputs[index].references, base)
        if node.condition:
            checker.condition(node)
    if workflow.has_output:
        base = (*workflow.schema_path, "output")
        try:
            checker.references(compile_template(workflow.output, NATIVE_ROOTS).references, base)
        except TemplateInvalid as error:
            note_invalid(error, base, problems)


class _Checker:
    """Looks references of one workflow up."""

    def __init__(self, workflow: Workflow, task_of_node: TaskOf, problems: Problems) -> None:
        self._workflow = workflow
        self._nodes = {node.id: node for node in workflow.nodes}
        self._ids = frozenset(self._nodes)
        self._task_of_node = task_of_node
        self._problems = problems

    def references(self, references: Iterable[Reference], base: Path) -> None:
        for reference in references:
            path = (*base, *split_path(reference.at))
            if reference.root == "tasks":
                self._task_output(reference, path)
            elif reference.root == "input":
                check_input_field(
                    reference, self._workflow.input_schema, path, self._problems, "the workflow"
                )

    def _task_output(self, reference: Reference, path: Path) -> None:
        name = task_of(reference)
        if not name:
            message = f"{reference}: name a task, as in tasks.<id>.output"
            self._problems.add(_UNKNOWN, message, path)
        elif name not in self._ids:
            message = f"{reference}: there is no task {name!r}{nearest(name, self._ids)}"
            self._problems.add(_UNKNOWN, message, path)
        elif len(reference.path) > 1 and reference.path[1] != "output":
            message = f"{reference}: a task has output, not {str(reference.path[1])[:64]!r}"
            self._problems.add(_UNKNOWN, message, path)
        else:
            self._output_field(reference, self._nodes[name], path)

    def _output_field(self, reference: Reference, node: Node, path: Path) -> None:
        """An output may hold more than its schema declares, unless that says otherwise."""
        task = self._task_of_node(node)
        schema: Json = task.output_schema if task is not None else None
        for key in reference.path[2:]:
            if isinstance(key, str) and closed(schema) and key not in declared(schema):
                message = f"{reference}: the output of {node.id} has no field {key!r}"
                self._problems.add(_UNKNOWN, message, path)
                return
            schema = step_into(schema, key)

    def condition(self, node: Node) -> None:
        path = (*node.path, "condition")
        steps = ids_in(node.condition, self._ids)
        try:
            compile_condition(node.condition, dialect="cel", steps=steps, roots=CONDITION_ROOTS)
            # As it will run, which is a little longer.
            compile_condition(under_input(node.condition), dialect="cel", steps=steps)
        except ExpressionInvalid as error:
            self._problems.add(error.reason, error.message, path)
            return
        for name in tasks_in_condition(node.condition, self._ids):
            if name not in self._ids:
                message = f"there is no task {name!r}{nearest(name, self._ids)}"
                self._problems.add(_UNKNOWN, message, path)


def check_input_field(
    reference: Reference, schema: Json, path: Path, problems: Problems, owner: str
) -> None:
    """Refuses a field that an input schema with properties does not declare.

    A schema that says itself that there may be more (`additionalProperties`) is taken at its word.
    """
    for position, key in enumerate(reference.path):
        names = declared(schema)
        if isinstance(key, str) and names and key not in names and not _open(schema):
            message = (
                f"{reference}: the input of {owner} has no field {key!r}"
                f"{nearest(key, frozenset(names))}"
            )
            problems.add(_UNKNOWN, message, path)
            return
        schema = at_path(schema, reference.path[position : position + 1])


def _open(schema: Json) -> bool:
    return bool(schema.get("additionalProperties")) or "patternProperties" in schema
