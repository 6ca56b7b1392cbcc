"""A workflow prepared for the rules: graphs, tasks, readers of each output."""

from flowmesh.definitions.model import Node, Task, Workflow, every_node
from flowmesh.definitions.planning.planner import task_of_node
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import (
    conditions_of,
    output_roots_of,
    task_of,
    tasks_in_condition,
)
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.sources import Resolve
from flowmesh.expressions import TemplateInvalid, compile_template
from flowmesh.tasktypes import TASK_TYPES

# Links to other executions, which the engine starts itself.
_LINKS = frozenset({"subworkflow", "continueAsNew"})


class Subject:
    """A workflow under check; `read_by` holds the readers of each node's output by its path."""

    def __init__(self, workflow: Workflow, resolve: Resolve, problems: Problems) -> None:
        self.workflow = workflow
        self.problems = problems
        self.nodes = tuple(every_node(workflow.nodes))
        self.scope = Scope(workflow.nodes)
        self._tasks: dict[str, Task | None] = {}
        self._resolve = resolve
        self.read_by: dict[Path, list[str]] = {}
        for scope in self.scope.every():
            for node in scope.nodes:
                self._note_reads(scope, node)
        self._note_output()

    def task(self, node: Node) -> Task | None:
        if node.task is not None:
            return node.task
        if node.task_ref not in self._tasks:
            self._tasks[node.task_ref] = task_of_node(node, self._resolve)
        return self._tasks[node.task_ref]

    def warn(self, code: str, message: str, path: Path) -> None:
        self.problems.warn(code, message, path)

    def _note_reads(self, scope: Scope, node: Node) -> None:
        names: set[str] = set()
        for condition, _ in conditions_of(node):
            names.update(tasks_in_condition(condition, scope.visible))
        for _, template in scope.templates_of(node):
            names.update(map(task_of, template.references))
        for name in names:
            if name in scope.visible:
                self.read_by.setdefault(scope.visible[name].path, []).append(node.id)

    def _note_output(self) -> None:
        if not self.workflow.has_output:
            return
        try:
            references = compile_template(
                self.workflow.output, output_roots_of(self.workflow)
            ).references
        except TemplateInvalid:
            return
        for name in set(map(task_of, references)):
            if name in self.scope.ids:
                path = self.scope.ids[name].path
                self.read_by.setdefault(path, []).append("the output of the workflow")


def calls(task: Task | None) -> bool:
    """Return whether the task calls another system."""
    if task is None or task.executor in _LINKS:
        return False
    task_type = TASK_TYPES.get(task.executor)
    return task_type is None or not task_type.stays_inside


def changes(task: Task | None) -> bool:
    """Return whether the task is known to change another system."""
    task_type = None if task is None else TASK_TYPES.get(task.executor)
    return task is not None and task_type is not None and task_type.changes(task.config)


def only_reads(task: Task | None) -> bool:
    """Return whether the task serves nothing but its output."""
    task_type = None if task is None else TASK_TYPES.get(task.executor)
    return task is not None and task_type is not None and task_type.only_reads(task.config)
