"""Every template of a workflow's nodes, compiled once: what it refers to and what it implies."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowmesh.definitions.builtins import TRANSFORM
from flowmesh.definitions.model import Dialect, Json, Node, Task, Workflow
from flowmesh.definitions.problems import Path
from flowmesh.expressions import Reference, Template, TemplateInvalid, compile_template
from flowmesh.expressions.cel_source import tokenize

NATIVE_ROOTS = frozenset({"input", "tasks", "execution"})
STEPS_ROOTS = frozenset({"context"})
TASK_ROOTS = frozenset({"input"})
CONDITION_ROOTS = ("input", "tasks")

_OPEN = "{{"
_TASK_IN_CONDITION = re.compile(
    r"""\btasks\s*(?:\.\s*([\w$-]+)|\[\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*\])"""
)
_WORD = re.compile(r"""([\w$][\w$-]*)|"([^"\\]*)"|'([^'\\]*)'""")


@dataclass(frozen=True, slots=True)
class Templates:
    """The compiled input of each node by index, and the tasks that each node refers to."""

    inputs: dict[int, Template]
    implied: dict[int, tuple[str, ...]]
    invalid: dict[int, TemplateInvalid]


def split_input(node: Node) -> tuple[Json, Json]:
    """A node's input as what is rendered for it, and a literal pipeline that is not.

    The pipeline of the built-in transform has templates of its own over the items it sees, so it
    travels unrendered unless it refers to the workflow.
    """
    given = node.input if node.has_input else {}
    if node.task_ref != TRANSFORM or not isinstance(given, dict):
        return given, None
    pipeline = given.get("pipeline")
    if not isinstance(pipeline, list) or _refers(pipeline):
        return given, None
    return {key: value for key, value in given.items() if key != "pipeline"}, pipeline


_WORKFLOW_REFERENCE = re.compile(r"\{\{\s*(?:input|tasks|execution)\b")


def _refers(value: Json) -> bool:
    return any(_WORKFLOW_REFERENCE.search(text) for text in texts_of(value))


def texts_of(value: Json) -> Iterator[str]:
    """Every string in a value of bounded nesting."""
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


def templates_of(workflow: Workflow) -> Templates:
    """Compiles every node's input and finds the dependencies that references imply."""
    templates = Templates({}, {}, {})
    if workflow.dialect is not Dialect.NATIVE:
        return templates
    ids = frozenset(node.id for node in workflow.nodes)
    for index, node in enumerate(workflow.nodes):
        names: dict[str, None] = {}
        if node.has_input:
            try:
                template = compile_template(split_input(node)[0], NATIVE_ROOTS)
                templates.inputs[index] = template
                names.update(dict.fromkeys(filter(None, map(task_of, template.references))))
            except TemplateInvalid as error:
                templates.invalid[index] = error
        names.update(dict.fromkeys(tasks_in_condition(node.condition, ids)))
        if names:
            templates.implied[index] = tuple(names)
    return templates


def task_of(reference: Reference) -> str:
    """The task a reference reads; empty where it reads none."""
    if reference.root == "tasks" and reference.path and isinstance(reference.path[0], str):
        return reference.path[0]
    return ""


def tasks_in_condition(source: str, ids: frozenset[str]) -> list[str]:
    """The tasks a condition reads; `tasks.a-b` is the task `a-b` where there is one, else `a`."""
    found = []
    for match in _TASK_IN_CONDITION.finditer(source):
        name = match.group(1) or match.group(2) or match.group(3) or ""
        while name not in ids and "-" in name and match.group(1):
            name = name.rpartition("-")[0]
        found.append(name)
    return found


def under_input(source: str) -> str:
    """A condition over `input` and `tasks` as one over a task's input that holds both."""
    written, position, before = "", 0, ""
    for token in tokenize(source):
        if token.kind == "name" and token.text in CONDITION_ROOTS and before != ".":
            written += f"{source[position : token.offset]}input."
            position = token.offset
        before = token.text
    return written + source[position:]


def ids_in(source: str, ids: frozenset[str]) -> list[str]:
    """The ids that an expression names: as a word, or as a quoted key."""
    found: dict[str, None] = {}
    for match in _WORD.finditer(source):
        name = match.group(1) or match.group(2) or match.group(3)
        while name and name not in ids and match.group(1):
            name = name.rpartition("-")[0]
        if name in ids:
            found[name] = None
    return list(found)


def config_roots(task: Task) -> frozenset[str]:
    """What the templates in a task's own configuration may begin with."""
    return TASK_ROOTS if task.dialect is Dialect.NATIVE else STEPS_ROOTS


def task_path(node: Node, task: Task) -> Path:
    """Where a node's configuration stands in the document of the workflow."""
    return task.config_path if node.task is not None else node.path
