"""Lint rules: warnings about likely mistakes, with codes that begin with LINT_.

lint(reading, resolve)    warnings for a source; tasks that do not resolve are skipped
strict(problems)          the same problems with warnings as errors
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from flowmesh.definitions.lint.graph import check_dead_nodes, check_names, check_uses
from flowmesh.definitions.lint.steps import check_step, check_task
from flowmesh.definitions.lint.subject import Subject
from flowmesh.definitions.lint.texts import check_secrets
from flowmesh.definitions.model import Task, Workflow
from flowmesh.definitions.problems import Problem, Problems
from flowmesh.definitions.sources import Read, Reading, Resolve

IGNORE = "flowmesh.io/lint-ignore"
"""The annotation that lists codes to ignore for a document, separated by commas."""

_RULES: tuple[Callable[[Subject], None], ...] = (check_dead_nodes, check_names, check_uses)


def lint(reading: Reading, resolve: Resolve) -> tuple[Problem, ...]:
    """Return warnings for every resource of a source, each with its place."""
    if reading.source is None:
        return ()
    own = frozenset(r.name for r in reading.resources if isinstance(r.resource, Task))
    resolve = reading.with_own_tasks(resolve)
    found: list[Problem] = []
    for read in reading.resources:
        problems = Problems(read.number)
        if isinstance(read.resource, Workflow):
            subject = Subject(read.resource, resolve, problems)
            for node in subject.nodes:
                check_step(subject, node, own)
            for rule in _RULES:
                rule(subject)
        elif isinstance(read.resource, Task):
            check_task(read.resource, problems)
        check_secrets(read.document, problems)
        ignored = _ignored(read)
        found += (problem for problem in problems.found if problem.code not in ignored)
    placed = reading.source.place(found)
    return tuple(sorted(placed, key=lambda each: (each.line, each.column)))


def strict(problems: Iterable[Problem]) -> list[Problem]:
    return [replace(problem, warning=False) for problem in problems]


def _ignored(read: Read) -> frozenset[str]:
    value: Any = read.document
    for key in ("metadata", "annotations", IGNORE):
        value = value.get(key) if isinstance(value, dict) else None
    return (
        frozenset(code.strip() for code in value.split(","))
        if isinstance(value, str)
        else (frozenset())
    )
