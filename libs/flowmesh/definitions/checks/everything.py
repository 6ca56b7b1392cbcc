"""All checks of a source."""

from collections.abc import Callable

from flowmesh.definitions.builtins import BUILT_IN_NAMES, built_in
from flowmesh.definitions.checks.bodies import Bodies, check_built_in
from flowmesh.definitions.checks.calls import (
    check_cache,
    check_permissions,
    check_repeatable,
    check_secrets,
    check_start_limit,
    check_undo,
)
from flowmesh.definitions.checks.graphs import check_graph, check_size
from flowmesh.definitions.checks.known_schemas import KnownSchemas, TaskOf
from flowmesh.definitions.checks.missing import check_missing
from flowmesh.definitions.checks.parts import Parts
from flowmesh.definitions.checks.templates import check_templates
from flowmesh.definitions.checks.triggers import check_triggers
from flowmesh.definitions.checks.types import check_types
from flowmesh.definitions.checks.variables import check_variables
from flowmesh.definitions.instantiation import check_template
from flowmesh.definitions.model import (
    APPROVAL,
    Dialect,
    Node,
    Task,
    Workflow,
    WorkflowTemplate,
    every_node,
)
from flowmesh.definitions.problems import Path, Problem, Problems, nearest
from flowmesh.definitions.references import decides
from flowmesh.definitions.schema_checks import check_defaults, check_schema
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.sources import Read, Reading, Resolve

_CYCLE = "GRAPH_CYCLE"


def unknown_task_message(ref: str) -> str:
    return f"task {ref!r} is not in the library"


def check(
    reading: Reading, resolve: Resolve, why: Callable[[str], str] | None = None
) -> tuple[Problem, ...]:
    """Return the problems of the resources beyond those of reading; cycles first.

    `why` returns the problem of a reference that does not resolve.
    """
    if reading.source is None:
        return ()
    why = why or _without_library(reading)
    resolve = reading.with_own_tasks(resolve)
    parts = Parts()
    bodies = Bodies(parts)
    found: list[Problem] = []
    names: set[tuple[str, str]] = set()
    for read in reading.resources:
        problems = Problems(read.number)
        _check_name(read, names, problems)
        if isinstance(read.resource, Workflow):
            _check_workflow(read.resource, resolve, why, bodies, parts, problems)
        elif isinstance(read.resource, Task):
            _check_task(read.resource, bodies, problems)
        else:
            _check_template(read.resource, problems)
        found += problems.found
    found.sort(key=lambda problem: problem.code != _CYCLE)
    return reading.source.place(found)


def _without_library(reading: Reading) -> Callable[[str], str]:
    own = [read.name for read in reading.resources if isinstance(read.resource, Task)]
    known = frozenset((*own, *BUILT_IN_NAMES))
    return lambda ref: unknown_task_message(ref) + nearest(ref, known)


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


def _check_template(template: WorkflowTemplate, problems: Problems) -> None:
    if check_schema(template.parameters, (*template.path, "parameters"), problems):
        check_template(template, problems)


def _check_workflow(
    workflow: Workflow,
    resolve: Resolve,
    why: Callable[[str], str],
    bodies: Bodies,
    parts: Parts,
    problems: Problems,
) -> None:
    if not check_size(workflow, problems):
        return
    path = (*workflow.schema_path, "inputSchema")
    if check_schema(workflow.input_schema, path, problems):
        check_defaults(workflow.input_schema, path, problems)
    check_schema(workflow.output_schema, (*workflow.schema_path, "outputSchema"), problems)
    check_variables(workflow, problems)
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
    _check_tasks(workflow, task_of_node, why, bodies, problems)
    known = KnownSchemas(workflow, task_of_node, parts)
    check_templates(workflow, scope, known, problems)
    check_types(workflow, scope, known, task_of_node, problems)
    check_missing(workflow, scope, problems)
    check_triggers(workflow, problems)


def _check_tasks(
    workflow: Workflow,
    task_of_node: TaskOf,
    why: Callable[[str], str],
    bodies: Bodies,
    problems: Problems,
) -> None:
    steps = frozenset(node.id for node in workflow.nodes)
    for node in every_node(workflow.nodes):
        if node.cache is not None:
            check_cache(node, task_of_node(node), problems)
        check_permissions(node, task_of_node(node), problems)
        check_repeatable(node, task_of_node(node), problems)
        check_secrets(node, task_of_node(node), problems)
        if node.outcome.undo is not None:
            check_undo(node, task_of_node(node.outcome.undo), problems)
            check_secrets(node.outcome.undo, task_of_node(node.outcome.undo), problems)
        if node.outcome.start_timeout_ms:
            check_start_limit(node, task_of_node(node), problems)
        if decides(node):
            continue  # its conditions are checked with those of other nodes
        if node.task is not None and node.task.executor == APPROVAL:
            check_schema(node.task.config["form"], (*node.task.config_path, "form"), problems)
        elif node.task is not None:
            for key, schema in (
                ("inputSchema", node.task.input_schema),
                ("outputSchema", node.task.output_schema),
            ):
                check_schema(schema, node.task.at(key), problems)
            bodies.check(node.task, steps, problems)
        elif built_in(node.task_ref) is not None:
            check_built_in(node, problems)
        elif problems.full:
            return
        elif node.task_ref and task_of_node(node) is None:
            problems.add("TASK_NOT_FOUND", why(node.task_ref), (*node.path, "taskRef"))
