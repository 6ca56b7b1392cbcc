"""Warnings about outputs that may be missing: of nodes that are skipped or may fail.

If a node is skipped, every node that waits for it is skipped too, and their outputs are missing. No
warning is given if the reader depends on the same condition.
"""

from flowmesh.definitions.checks.known_schemas import may_be_skipped
from flowmesh.definitions.model import Join, Node, Workflow
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import output_roots_of, task_of
from flowmesh.definitions.scopes import Scope
from flowmesh.expressions import Template, TemplateInvalid, compile_template

_CODE = "OUTPUT_MAY_BE_MISSING"


def check_missing(workflow: Workflow, scope: Scope, problems: Problems) -> None:
    for inner in scope.every():
        for node in inner.nodes:
            for place, template in inner.templates_of(node):
                _check_uses(inner, node, template, place, problems)
    if workflow.has_output:
        _check_output(workflow, scope, problems)


def _check_uses(
    inner: Scope, node: Node, template: Template, place: Path, problems: Problems
) -> None:
    needed = set(map(task_of, template.needed))
    for name in dict.fromkeys(filter(None, map(task_of, template.references))):
        used = inner.visible.get(name)
        if used is None or (name not in needed and _runs_without(used, node)):
            continue
        why = _why(used, node, inner)
        if why:
            problems.warn(_CODE, f"the output of {name} may be missing: {why}", place)


def _check_output(workflow: Workflow, scope: Scope, problems: Problems) -> None:
    """Check the output of the workflow. A missing output fails it, so nodes skipped with others
    count too.
    """
    try:
        needed = compile_template(workflow.output, output_roots_of(workflow)).needed
    except TemplateInvalid:
        return
    path: Path = (*workflow.schema_path, "output")
    for name in dict.fromkeys(filter(None, map(task_of, needed))):
        culprit = _skipped_with(name, scope)
        if culprit is not None:
            message = f"the output of {name} may be missing: {_reason(culprit)}"
            problems.warn(_CODE, f"{message}, and then the workflow fails", path)


def _why(used: Node, user: Node, scope: Scope) -> str:
    """Return the reason why the output may be missing when the user runs; empty if it cannot be."""
    if _takes_failure(used, user):
        return f"{user.id} runs when {used.id} has failed"
    if _runs_without(used, user):
        return f"{user.id} runs even if {used.id} has not"
    if not may_be_skipped(used):
        return ""
    nearby = [user, *(scope.ids[name] for name in user.dependencies if name in scope.ids)]
    nearby = [node for node in nearby if node is not used]
    if used.condition and any(node.condition == used.condition for node in nearby):
        return ""
    if not used.critical and not used.condition and not user.critical:
        return ""
    return f"{_reason(used)}, and then {user.id} is skipped"


def _runs_without(used: Node, user: Node) -> bool:
    """Return whether a fallback value is ever used; a strict dependent is skipped with the node."""
    joins = user.join is not Join.STRICT and len(user.edges) > 1
    return joins or _takes_failure(used, user)


def _takes_failure(used: Node, user: Node) -> bool:
    return any(edge.on_failure for edge in user.edges if edge.source == used.id)


def _reason(node: Node) -> str:
    if node.condition:
        return f"{node.id} has a condition"
    if not node.critical:
        return f"{node.id} is not critical and may fail"
    return f"{node.id} runs on a branch"


def _skipped_with(name: str, scope: Scope) -> Node | None:
    """Return the node that may be skipped, or the first one that would cause it to be."""
    places = {node.id: index for index, node in reversed(list(enumerate(scope.nodes)))}
    waiting, seen = [places[name]] if name in places else [], set[int]()
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        node = scope.nodes[index]
        if may_be_skipped(node):
            return node
        if node.join is Join.STRICT:
            waiting += scope.graph.dependencies[index]
    return None
