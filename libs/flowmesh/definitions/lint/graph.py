"""Rules for the graph: dead nodes, unused outputs, names, missing compensation."""

from flowmesh.definitions.graph import levels
from flowmesh.definitions.lint.subject import Subject, calls, changes, only_reads
from flowmesh.definitions.model import Dialect, Join, Node, StatesBody, Task
from flowmesh.definitions.scopes import Scope
from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition
from flowmesh.tasktypes.builtin.conditions import CONDITION


def check_dead_nodes(subject: Subject) -> None:
    """Warn of conditions that never hold, nodes behind them, and unreachable states."""
    for scope in subject.scope.every():
        reasons: dict[int, str] = {}
        for level in levels(scope.graph):
            for index in level:
                if reason := _dead(subject, scope, index, reasons):
                    reasons[index] = reason
        for index, reason in sorted(reasons.items()):
            node = scope.nodes[index]
            subject.warn("LINT_DEAD_NODE", f"{node.id} never runs: {reason}", node.path)
    for node in subject.nodes:
        if isinstance(node.body, StatesBody):
            _check_states(subject, node.body)


def _dead(subject: Subject, scope: Scope, index: int, reasons: dict[int, str]) -> str:
    node = scope.nodes[index]
    if node.condition and never_holds(node.condition, "cel"):
        return "its condition is always false"
    before = scope.graph.dependencies[index]
    dead = [scope.nodes[one].id for one in before if one in reasons]
    if dead and (node.join is Join.STRICT or len(dead) == len(before)):
        return f"it waits for {dead[0]}, which never runs"
    for one in before:
        task = subject.task(scope.nodes[one])
        if task is not None and task.executor == CONDITION.name and _refuses(task):
            return f"the condition {scope.nodes[one].id} is always false"
    return ""


def _refuses(task: Task) -> bool:
    language = "cel" if task.config.get("language") == "cel" else "javascript"
    return never_holds(str(task.config.get("expression", "")), language)


def never_holds(source: str, language: str) -> bool:
    """Return whether a condition reads nothing and is false."""
    try:
        dialect = "cel" if language == "cel" else "javascript"
        condition = compile_condition(source, dialect=dialect, roots=())  # type: ignore[arg-type]
        return condition is not None and condition.is_prompt({}) and not condition.evaluate({})
    except (ExpressionInvalid, RenderError):
        return False


def _check_states(subject: Subject, body: StatesBody) -> None:
    follows = {node.id: node.follow for node in body.nodes}
    reached, waiting = {""}, [body.start]
    while waiting:
        name = waiting.pop()
        follow = follows.get(name)
        if name in reached or follow is None:
            continue
        reached.add(name)
        waiting += [follow.next, *follow.among, *(catch.next for catch in follow.catches)]
    for node in body.nodes:
        if node.id not in reached and node.follow is not None:
            message = f"{node.id} never runs: nothing leads to it"
            subject.warn("LINT_DEAD_NODE", message, node.path)


def check_names(subject: Subject) -> None:
    """Warn if the result of a step replaces an input in the context of step JSON."""
    workflow = subject.workflow
    if workflow.dialect is Dialect.STEPS:
        schema = workflow.input_schema
        fields = schema.get("properties") if isinstance(schema, dict) else None
        for node in subject.nodes:
            if isinstance(fields, dict) and node.id in fields:
                message = f"the result of {node.id} takes the place of the input's {node.id!r}"
                subject.warn("LINT_SHADOWED_NAME", f"{message} in the context", (*node.path, "id"))


def check_uses(subject: Subject) -> None:
    """Warn of unused outputs, and of effects that nothing undoes."""
    handled = any(edge.on_failure for node in subject.nodes for edge in node.edges) or any(
        node.follow is not None and node.follow.catches for node in subject.nodes
    )
    for scope in subject.scope.every():
        undone = frozenset[int]() if handled else _undone(subject, scope)
        for index, node in enumerate(scope.nodes):
            readers = subject.read_by.get(node.path, [])
            if _unused(subject, scope, index, node) and not readers:
                message = f"nothing reads the output of {node.id}, its only effect"
                _warn(subject, "LINT_UNUSED_OUTPUT", message, node)
            if index in undone:
                message = f"if a step behind {node.id} fails, nothing undoes what {node.id} did"
                _warn(subject, "LINT_COMPENSATION", message, node)


def _warn(subject: Subject, code: str, message: str, node: Node) -> None:
    subject.warn(code, message, node.path)


def _unused(subject: Subject, scope: Scope, index: int, node: Node) -> bool:
    """Return whether the node has no purpose without a reader. The context of step JSON counts as
    one.
    """
    if subject.workflow.dialect is not Dialect.NATIVE or not only_reads(subject.task(node)):
        return False
    is_leaf = not scope.graph.successors[index]
    return not is_leaf or (scope.owner is None and subject.workflow.has_output)


def _undone(subject: Subject, scope: Scope) -> frozenset[int]:
    """Return critical nodes that change something and precede a node that may fail the workflow."""
    fails_later: set[int] = set()
    found = set()
    for level in reversed(levels(scope.graph)):
        for index in level:
            node = scope.nodes[index]
            if index in fails_later and node.critical and changes(subject.task(node)):
                found.add(index)
            may_fail = node.critical and (node.body is not None or calls(subject.task(node)))
            if may_fail or index in fails_later:
                fails_later.update(scope.graph.dependencies[index])
    return frozenset(found)
