"""Rewrites templates in the Go form (`templates: go`) of native resources.

In a workflow, `.steps.<id>.<field>` reads the output of a task, names bound by a body keep their
meaning, and every other field is one of the workflow's input. In a task, every field is one of its
input. Conditions are CEL in either form.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import TRANSFORM
from flowmesh.definitions.formats.native.bodies import CURSOR_INPUT
from flowmesh.definitions.model import Node, SearchKind, Task, Workflow
from flowmesh.definitions.problems import Path, Problems, split_path
from flowmesh.definitions.references import names_of
from flowmesh.expressions import Problem, Reference
from flowmesh.expressions.go_templates import Fields, Locate, rewrite_value

_STEPS = "steps"
_OF_EXECUTIONS = "execution"
_HTTP = ("url", "headers", "body", "payload", "duration")


def from_go(resource: Workflow | Task, problems: Problems) -> Workflow | Task:
    if isinstance(resource, Workflow):
        return _workflow(resource, problems)
    return _task(resource, problems)


def _workflow(workflow: Workflow, problems: Problems) -> Workflow:
    """Return the workflow with every template of its graph rewritten."""
    return replace(
        workflow,
        nodes=tuple(_node(node, problems) for node in workflow.nodes),
        output=_value(
            workflow.output,
            _of_workflow(workflow.bound),
            (*workflow.schema_path, "output"),
            problems,
        ),
        search=tuple(
            replace(each, template=_value(each.template, _of_workflow(()), each.path, problems))
            if each.kind is not SearchKind.ANY
            else each
            for each in workflow.search
        ),
    )


def _task(task: Task, problems: Problems) -> Task:
    """Return the task with the templates of its configuration rewritten."""
    config = {
        key: _value(value, _of_task, (*task.config_path, key), problems) if key in _HTTP else value
        for key, value in task.config.items()
    }
    return replace(task, config=config)


def _node(node: Node, problems: Problems) -> Node:
    locate = _of_workflow(node.bound)
    given: Any = node.input
    if node.task_ref == TRANSFORM and isinstance(given, dict):
        # The pipeline has its own templates, over the items it sees.
        source = {key: value for key, value in given.items() if key != "pipeline"}
        given = {**given, **_value(source, locate, node.input_path, problems)}
    elif not (node.map is not None and node.map.next_path) and given is not CURSOR_INPUT:
        # Hidden nodes are in no document.
        given = _value(given, locate, node.input_path, problems)
    body = node.body
    if body is not None:
        body = replace(body, nodes=tuple(_node(inner, problems) for inner in body.nodes))
    task = node.task
    if task is not None and (names := names_of(node)):
        for key, text in names.items():
            names[key] = _value(text, locate, task.at(key), problems)
        task = replace(task, config={**task.config, **names})
    outcome = node.outcome
    if outcome.undo is not None:
        outcome = replace(outcome, undo=_node(outcome.undo, problems))
    return replace(node, input=given, task=task, body=body, outcome=outcome)


def _value(value: Json, locate: Locate, path: Path, problems: Problems) -> Json:
    found: list[Problem] = []
    rewritten = rewrite_value(value, locate, found)
    for problem in found:
        problems.add(problem.code, problem.message, (*path, *split_path(problem.path)))
    return rewritten


def _of_workflow(bound: Collection[str]) -> Locate:
    def locate(fields: Fields) -> Reference:
        first = fields[0] if fields else ""
        if first == _STEPS:
            task = fields[1:2]
            return Reference("tasks", (*task, "output", *fields[2:]) if task else ())
        if first == _OF_EXECUTIONS or first in bound:
            return Reference(str(first), fields[1:])
        return Reference("input", fields)

    return locate


def _of_task(fields: Fields) -> Reference:
    return Reference("input", fields)
