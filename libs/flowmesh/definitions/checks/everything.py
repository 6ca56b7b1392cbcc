"""Runs every check over every resource of a source."""

from collections.abc import Collection

from flowmesh.definitions.builtins import BUILT_IN_NAMES, built_in
from flowmesh.definitions.checks.bodies import Bodies, check_built_in
from flowmesh.definitions.checks.graphs import check_graph, check_size
from flowmesh.definitions.checks.known import TaskOf
from flowmesh.definitions.checks.schemas import check_schema
from flowmesh.definitions.checks.templates import check_templates
from flowmesh.definitions.checks.types import check_types
from flowmesh.definitions.model import Dialect, Node, Task, Workflow, every_node
from flowmesh.definitions.problems import Path, Problem, Problems, nearest
from flowmesh.definitions.reading import Read, Reading, Resolve
from flowmesh.definitions.references import decides
from flowmesh.definitions.scopes import Scope

_CYCLE = "GRAPH_CYCLE"


def check(reading: Reading, resolve: Resolve, library: Collection[str] = ()) -> tuple[Problem, ...]:
    """All problems of the resources beyond those of reading them, circles first.

    `library` are names of tasks, of which one may have been meant where another is unknown.
    """
    if reading.source is None:
        return ()
    own = (read.name for read in reading.resources if isinstance(read.resource, Task))
    known = frozenset((*library, *own, *BUILT_IN_NAMES))
    resolve = reading.with_own_tasks(resolve)
    bodies = Bodies()
    found: list[Problem] = []
    names: set[tuple[str, str]] = set()
    for read in reading.resources:
        problems = Problems(read.number)
        _check_name(read, names, problems)
        if isinstance(read.resource, Workflow):
            _check_workflow(read.resource, resolve, known, bodies, problems)
        else:
            _check_task(read.resource, bodies, problems)
        found += problems.found
    found.sort(key=lambda problem: problem.code != _CYCLE)
    return reading.source.place(found)


def _check_name(read: Read, names: set[tuple[str, str]], problems: Problems) -> None:
    if (read.kind, read.name) in names:
        message = f"the {read.kind} {read.name!r} is in this source twice"
        problems.add("DEFINITION_INVALID", message, _name_path(read))
    names.add((read.kind, read.name))


def _name_path(read: Read) -> Path:
    return ("metadata", "name") if read.resource.dialect is Dialect.NATIVE else ("id",)


def _check_task(task: Task, bodies: Bodies, problems: Problems) -> None:
    if built_in(task.name) is not None:
        message = f"{task.name!r} is a built-in task; choose another name"
        problems.add("DEFINITION_INVALID", message, ("metadata", "name"))
    check_schema(task.input_schema, (*task.path, "inputSchema"), problems)
    check_schema(task.output_schema, (*task.path, "outputSchema"), problems)
    bodies.check(task, frozenset(), problems)


def _check_workflow(
    workflow: Workflow,
    resolve: Resolve,
    known: Collection[str],
    bodies: Bodies,
    problems: Problems,
) -> None:
    if not check_size(workflow, problems):
        return
    sound = check_schema(workflow.input_schema, (*workflow.schema_path, "inputSchema"), problems)
    check_schema(workflow.output_schema, (*workflow.schema_path, "outputSchema"), problems)
    tasks: dict[str, Task | None] = {}

    def task_of_node(node: Node) -> Task | None:
        if node.task is not None:
            return node.task
        if node.task_ref not in tasks:
            tasks[node.task_ref] = built_in(node.task_ref) or resolve(node.task_ref)
        return tasks[node.task_ref]

    scope = Scope(workflow.nodes)
    for graph in scope.every():
        check_graph(graph, problems)
    _check_tasks(workflow, task_of_node, known, bodies, problems)
    check_templates(workflow, scope, task_of_node, problems)
    if sound:
        check_types(workflow, scope, task_of_node, problems)


def _check_tasks(
    workflow: Workflow,
    task_of_node: TaskOf,
    known: Collection[str],
    bodies: Bodies,
    problems: Problems,
) -> None:
    steps = frozenset(node.id for node in workflow.nodes)
    for node in every_node(workflow.nodes):
        if decides(node):
            continue  # its conditions are checked with those of other nodes
        if node.task is not None:
            bodies.check(node.task, steps, problems)
        elif built_in(node.task_ref) is not None:
            check_built_in(node, problems)
        elif problems.full:
            return
        elif node.task_ref and task_of_node(node) is None:
            near = nearest(node.task_ref, known)
            message = f"task {node.task_ref!r} is not in the library{near}"
            problems.add("TASK_NOT_FOUND", message, (*node.path, "taskRef"))
