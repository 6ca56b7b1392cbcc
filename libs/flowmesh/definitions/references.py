"""References of templates and conditions of a workflow's nodes."""

import re
from collections.abc import Collection, Container, Iterator

from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import TRANSFORM
from flowmesh.definitions.model import Dialect, Node, Task, Workflow
from flowmesh.definitions.problems import Path
from flowmesh.expressions import Reference
from flowmesh.expressions.cel_source import Token, tokenize
from flowmesh.expressions.secrets import ROOT as SECRETS
from flowmesh.expressions.secrets import with_placeholders
from flowmesh.tasktypes import TASK_TYPES
from flowmesh.tasktypes.builtin.conditions import DECISION

NATIVE_ROOTS = frozenset({"input", "tasks", "execution"})
STEPS_ROOTS = frozenset({"context"})
TASK_ROOTS = frozenset({"input"})
CONDITION_ROOTS = ("input", "tasks")

# Executors whose configuration refers to tasks of the workflow.
_REFERRING_EXECUTORS = frozenset({"decision", "subworkflow"})

_OPEN = "{{"
_EXPRESSION = re.compile(r"\{\{((?:[^}\"']|\"[^\"]*\"|'[^']*'|\}(?!\}))*)")
_NAME = re.compile(r"""\"[^\"]*\"|'[^']*'|(?<![.\w$-])([A-Za-z_$][\w$-]*)""")
_TASK_IN_CONDITION = re.compile(
    r"""\btasks\s*(?:\.\s*([\w$-]+)|\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\])"""
)
_VARIABLE_IN_CONDITION = re.compile(
    r"""variables\s*(?:\.\s*(\w+)|\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\])"""
)
_STEP = re.compile(r"""\s*(?:\.\s*(\w+)|\[\s*(?:"([^"\\]*)"|'([^'\\]*)'|(\d+))\s*\])""")
_STEPS = re.compile(f"(?:{_STEP.pattern})+")
_HAS = re.compile(r"\bhas\s*\(\s*\Z")
_WORD = re.compile(r"""([\w$][\w$-]*)|"([^"\\]*)"|'([^'\\]*)'""")


def roots_of(node: Node) -> frozenset[str]:
    """Return the roots that templates of a native node may use."""
    return NATIVE_ROOTS | node.bound


def output_roots_of(workflow: Workflow) -> frozenset[str]:
    """Return the roots that templates of a workflow's output may use."""
    return NATIVE_ROOTS | workflow.bound


def condition_roots_of(node: Node) -> tuple[str, ...]:
    """Return the roots that the condition of a node may use."""
    return (*CONDITION_ROOTS, *sorted(node.bound, reverse=True))


def conditions_of(node: Node) -> Iterator[tuple[str, Path]]:
    """Yield the CEL conditions of a native node with their paths."""
    if node.condition:
        yield node.condition, (*node.path, "condition")
    if node.task is None or not decides(node):
        return
    for number, one in enumerate(node.task.config["conditions"]):
        path = node.path if node.follow is not None else (*node.path, "decision")
        here = () if node.follow is not None else ("conditions", number, "expression")
        # A missing or blank condition is already reported.
        if one["expression"]:
            yield one["expression"], (*path, *here)


def refers(node: Node) -> bool:
    """Return whether a node has templates or conditions, apart from its body."""
    task = node.task
    asks = task is not None and task.executor in _REFERRING_EXECUTORS
    return node.has_input or bool(node.condition) or asks


def decides(node: Node) -> bool:
    """Return whether the node is a native decision over `input` and `tasks`."""
    task = node.task
    return task is not None and task.executor == DECISION.name and task.dialect is Dialect.NATIVE


def names_of(node: Node) -> dict[str, str]:
    """Return the templates of a node that starts a workflow: `workflow`, `id`."""
    if node.task is None or node.task.executor != "subworkflow":
        return {}
    config = node.task.config
    templates = {"id": config["id"]} if "id" in config else {}
    if has_template(config["workflow"]):
        templates["workflow"] = config["workflow"]
    return templates


def templates_of(node: Node) -> Iterator[tuple[Path, Json]]:
    """Yield the templates of a node with their paths."""
    if node.has_input:
        yield node.input_path, split_input(node)[0]
    if node.task is not None:
        for key, text in names_of(node).items():
            yield node.task.at(key), text


def split_input(node: Node) -> tuple[Json, Json]:
    """Split a node's input into the rendered part and a literal pipeline.

    The pipeline of the built-in transform has its own templates over the items, so it is passed
    unrendered unless it refers to the workflow. Secrets are rendered by the worker service: here
    placeholders stand for them.
    """
    given = with_placeholders(node.input) if node.has_input else {}
    if node.task_ref != TRANSFORM or not isinstance(given, dict):
        return given, None
    pipeline = given.get("pipeline")
    if not isinstance(pipeline, list) or _refers(pipeline, roots_of(node)):
        return given, None
    return {key: value for key, value in given.items() if key != "pipeline"}, pipeline


def _refers(value: Json, roots: Collection[str]) -> bool:
    """Return whether an expression in the value uses one of `roots`."""
    return any(
        name.group(1) in roots
        for text in texts_of(value)
        for expression in _EXPRESSION.finditer(text)
        for name in _NAME.finditer(expression.group(1))
    )


def texts_of(value: Json) -> Iterator[str]:
    """Yield every string of a value of bounded nesting."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def has_template(value: Json) -> bool:
    return any(_OPEN in text for text in texts_of(value))


def task_of(reference: Reference) -> str:
    """Return the task that a reference reads; empty if none."""
    if reference.root == "tasks" and reference.path and isinstance(reference.path[0], str):
        return reference.path[0]
    return ""


def tasks_in_condition(source: str, ids: Container[str]) -> list[str]:
    """Return the tasks that a condition reads; `tasks.a-b` is the task `a-b` if it exists, else
    `a`.
    """
    found = []
    for match in _TASK_IN_CONDITION.finditer(source):
        name = match.group(1) or match.group(2) or match.group(3) or ""
        while name not in ids and "-" in name and match.group(1):
            name = name.rpartition("-")[0]
        found.append(name)
    return found


def variables_in_condition(source: str) -> Iterator[str]:
    """Yield the variables that a condition reads; an empty name means all of them."""
    for token in _beginnings(source, ("variables",)):
        match = _VARIABLE_IN_CONDITION.match(source, token.offset)
        yield (match[1] or match[2] or match[3] or "") if match is not None else ""


def paths_in_condition(source: str, roots: Collection[str]) -> Iterator[Reference]:
    """Yield the values that a condition reads, as far as their paths are written out.

    A value whose presence alone is asked, `has(input.card)`, is left out.
    """
    for token in _beginnings(source, roots):
        if _HAS.search(source, 0, token.offset) is None:
            steps = _STEPS.match(source, token.offset + len(token.text))
            found = _STEP.finditer(steps[0]) if steps is not None else ()
            path = tuple(int(m[4]) if m[4] else m[1] or m[2] or m[3] or "" for m in found)
            for length in range(1, len(path) + 1):
                yield Reference(token.text, path[:length])


def under_input(source: str, roots: Collection[str]) -> str:
    """Rewrite a condition over `roots` for a task's input that holds them all."""
    written, position = "", 0
    for token in _beginnings(source, roots):
        written += f"{source[position : token.offset]}input."
        position = token.offset
    return written + source[position:]


def roots_in(source: str, roots: Collection[str]) -> list[str]:
    """Return those of `roots` that a condition reads."""
    return list(dict.fromkeys(token.text for token in _beginnings(source, roots)))


def _beginnings(source: str, roots: Collection[str]) -> Iterator[Token]:
    before = ""
    for token in tokenize(source):
        if token.kind == "name" and token.text in roots and before != ".":
            yield token
        before = token.text


def ids_in(source: str, ids: Container[str]) -> list[str]:
    """Return the ids that an expression names, as a word or as a quoted key."""
    found: dict[str, None] = {}
    for match in _WORD.finditer(source):
        name = match.group(1) or match.group(2) or match.group(3)
        while name and name not in ids and match.group(1):
            name = name.rpartition("-")[0]
        if name in ids:
            found[name] = None
    return list(found)


def config_roots(task: Task) -> frozenset[str]:
    """Return the roots that templates in a task's own configuration may use."""
    task_type = TASK_TYPES.get(task.executor)
    if task_type is not None and task_type.takes_secrets:
        return data_roots(task) | {SECRETS}
    return data_roots(task)


def data_roots(task: Task) -> frozenset[str]:
    """Return the roots of values that may be stored, without secrets."""
    return TASK_ROOTS if task.dialect is Dialect.NATIVE else STEPS_ROOTS
