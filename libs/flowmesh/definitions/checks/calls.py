"""Checks of SQL statements, permissions, secrets, start limits and caches of tasks."""

from flowmesh.definitions.builtins import (
    AT_NO_WORKER,
    BUILT_IN_EXECUTORS,
    NEVER_RUN,
    NO_UNDO,
    NOT_FOR_UNDO,
    RECEIVE,
)
from flowmesh.definitions.checks.templates import note_invalid
from flowmesh.definitions.formats.native.outcomes import START_LIMIT
from flowmesh.definitions.model import Node, Task
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.references import data_roots
from flowmesh.expressions import TemplateInvalid, compile_template
from flowmesh.expressions.secrets import input_secrets, split_key
from flowmesh.sql import SqlForbidden, Statement, read_statement
from flowmesh.tasktypes import TASK_TYPES
from flowmesh.tasktypes.builtin.databases import DB_EXEC, DB_QUERY

_CODE = "SQL_FORBIDDEN"
_EFFECTS = frozenset(name for name, task_type in TASK_TYPES.items() if task_type.changes_always)
# A parameter that the executor adds itself.
_ALWAYS_THERE = frozenset({"idempotency_key"})


def check_statement(task: Task, problems: Problems) -> None:
    """Note the problems of a task's statement; only the worker knows the permitted tables."""
    text, path = str(task.config.get("statement", "")), task.at("statement")
    identifiers = task.config.get("identifiers") or {}
    if not text or not all(each["of"] for each in identifiers.values()):
        return  # which is noted already
    if "{{" in text:
        message = "a statement holds no templates; write :name and give it as a parameter"
        problems.add(_CODE, message, path)
        return
    first = {name: each["of"][0] for name, each in identifiers.items()}
    try:
        statement = _read(text, first)
    except SqlForbidden as error:
        problems.add(_CODE, error.message, path)
        return
    _check_kind(task, statement, problems)
    given = {*(task.config.get("parameters") or {})}
    for name in statement.parameters:
        if name not in given | _ALWAYS_THERE:
            message = f"the statement uses :{name}, which is not among its parameters"
            problems.add("DEFINITION_INVALID", message, path)
    for name in sorted(given - {*statement.parameters}):
        message = f"the statement does not use :{name}"
        problems.warn("DEFINITION_INVALID", message, task.at("parameters", name))


def _read(text: str, identifiers: dict[str, str]) -> Statement:
    try:
        return read_statement(text, "postgres", identifiers)
    except SqlForbidden as error:
        try:
            return read_statement(text, "sqlite", identifiers)
        except SqlForbidden:
            raise error from None


def _check_kind(task: Task, statement: Statement, problems: Problems) -> None:
    if task.executor == DB_QUERY.name and not statement.reads_only:
        message = f"{DB_QUERY.name} only reads; use {DB_EXEC.name} to write"
    elif task.executor == DB_EXEC.name and statement.reads_only:
        message = f"{DB_EXEC.name} inserts, updates or deletes; use {DB_QUERY.name} to read"
    else:
        return
    problems.add(_CODE, message, task.at("statement"))


def check_permissions(node: Node, task: Task | None, problems: Problems) -> None:
    """Refuse permissions on a node that no worker runs, where they would be ignored."""
    asked = {*node.permissions, *(task.permissions if task is not None else ())}
    if asked and task is not None and task.executor in AT_NO_WORKER:
        message = f"permissions are for what workers run; {task.executor} is no such task"
        place = (*node.path, "permissions" if node.permissions else "taskRef")
        problems.add("DEFINITION_INVALID", message, place)


def check_repeatable(node: Node, task: Task | None, problems: Problems) -> None:
    """Refuse `repeatable` on a node that no worker runs, where it would be ignored."""
    if node.repeatable and task is not None and task.executor in AT_NO_WORKER:
        message = f"repeatable is for what workers run; {task.executor} is no such task"
        problems.add("DEFINITION_INVALID", message, (*node.path, "repeatable"))


def check_secrets(node: Node, task: Task | None, problems: Problems) -> None:
    """Refuse secrets in the input of a task that may not receive them."""
    if not node.has_input or task is None or node.task_ref == RECEIVE:
        return
    task_type = TASK_TYPES.get(task.executor)
    remote = task_type is None and task.executor not in AT_NO_WORKER
    for secret in input_secrets(node.input):
        place = (*node.input_path, *secret.path)
        try:
            names = sorted({split_key(key)[0] for key in secret.keys})
        except ValueError as error:
            problems.add("TEMPLATE_UNKNOWN_REFERENCE", str(error), place)
            continue
        if remote and (missing := [name for name in names if name not in task.secrets]):
            kind = task.name or task.type
            message = f"{kind} does not declare the secret {missing[0]}; add it to `secrets`"
            declared = ", ".join(sorted({*task.secrets, *missing}))
            message += f" of its WorkflowTask: secrets: [{declared}]"
        elif not remote and (task_type is None or not task_type.takes_secrets):
            message = f"the input of {task.type} is stored, so it cannot read secrets; pass them"
            message += " to tasks that call another system, or to a task type of your workers"
        else:
            continue
        problems.add("DEFINITION_INVALID", message, place)


def check_undo(node: Node, task: Task | None, problems: Problems) -> None:
    """Refuse a compensation by a task that neither a worker nor the compensation itself runs."""
    undo = node.outcome.undo
    if undo is not None and task is not None and task.executor in NOT_FOR_UNDO:
        message = f"{undo.task_ref or task.type} cannot compensate: {NO_UNDO} ({task.executor})"
        problems.add("DEFINITION_INVALID", message, (*undo.path, "taskRef"))


def check_start_limit(node: Node, task: Task | None, problems: Problems) -> None:
    """Refuse a start limit on a node that waits for no worker."""
    what = task.executor if task is not None else ""
    if node.body is not None or what in AT_NO_WORKER:
        message = "only a task that a worker runs waits for one to begin it"
        problems.add("DEFINITION_INVALID", message, (*node.path, START_LIMIT), at_key=True)


def check_cache(node: Node, task: Task | None, problems: Problems) -> None:
    """Refuse a cache on a task whose results cannot be reused."""
    cache = node.cache
    if cache is None or task is None:
        return
    if task.executor not in BUILT_IN_EXECUTORS - NEVER_RUN:
        message = f"results of {task.executor} cannot be cached: it is not run by the suite"
        problems.add("FEATURE_UNSUPPORTED", message, cache.path)
    elif task.executor in _EFFECTS:
        message = f"{task.executor} is there for its effect, which a cached result does not have"
        problems.add("DEFINITION_INVALID", message, cache.path)
    try:
        compile_template(cache.key, data_roots(task))
    except TemplateInvalid as error:
        note_invalid(error, (*cache.path, "key"), problems)
