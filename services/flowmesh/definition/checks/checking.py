"""Checks of sources against the catalog, and of the workflows that a changed task affects."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import orjson

from flowmesh.access import current
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.checks.compiled import CompilationCache, SourceText, digest, tasks_digest
from flowmesh.definition.checks.plain_secrets import plain_secrets
from flowmesh.definition.checks.references import References, shared_with_caller
from flowmesh.definition.storage.records import Dependent, ReferredTask, ResolvedReference
from flowmesh.definition.storage.store import DefinitionStore, VersionId
from flowmesh.definitions import (
    Problem,
    Read,
    Reading,
    Task,
    TaskRef,
    Workflow,
    check,
    errors_in,
    load_task,
    load_workflow,
    task_ref,
)
from flowmesh.definitions.builtins import built_in
from flowmesh.definitions.lint import lint
from flowmesh.definitions.problems import BrokenWorkflow
from flowmesh.definitions.reading.documents import Source
from flowmesh.definitions.task_refs import is_task_ref
from flowmesh.dryrun.source import plan_in

Tasks = Mapping[TaskRef, Task]


@dataclass(frozen=True, slots=True)
class Checked:
    """The problems of a source, and the stored state that the check depends on.

    `affected` are the versions that will use a task of the source in place of an older one.
    """

    problems: tuple[Problem, ...]
    references: Mapping[TaskRef, ResolvedReference]
    dependents: tuple[Dependent, ...]
    affected: tuple[VersionId, ...]


NOTHING_CHECKED = Checked((), {}, (), ())


class Functions(Protocol):
    """The functions of plugins that a namespace has."""

    async def missing(self, namespace: str, reading: Reading) -> tuple[Problem, ...]:
        """Return an error for each function of a source that is not installed."""


class Checker:
    """Checks sources against the stored definitions; stores nothing."""

    def __init__(
        self, store: DefinitionStore, compiled: CompilationCache, functions: Functions | None
    ) -> None:
        self._store = store
        self._compiled = compiled
        self._functions = functions

    async def check(self, namespace: str, text: SourceText) -> Checked:
        """Check a source, and the stored workflows that use the tasks it changes."""
        reading = text.reading
        own = own_tasks(namespace, reading)
        refs = refs_of(namespace, reading.task_refs)
        stored = await self._store.referred_tasks(shared_with_caller(refs | own.keys()))
        names = await self._names(namespace) if refs - own.keys() - stored.keys() else ()
        references = References(namespace, stored, own, names=names)
        found = await self._compiled.problems(
            digest("check", text.digest, namespace, tasks_digest(stored, own), *names),
            lambda: check(reading, references, references.problem_with),
        )
        problems = [*reading.problems, *found]
        if self._functions is not None:
            problems += await self._functions.missing(namespace, reading)
        if current() is not None and not errors_in(problems):
            problems += plain_secrets(reading)
        resolved = {ref: stored[ref].resolved for ref in refs - own.keys() if ref in stored}
        changed = {ref: task for ref, task in own.items() if ref in stored}
        if not changed:
            return Checked(tuple(problems), resolved, (), ())
        users = await self._store.dependents(namespace, [ref.name for ref in changed])
        affected = _affected(users, changed, stored, _replaced(namespace, reading))
        if not errors_in(problems):
            suspects = {ref.name for ref in changed if _flows_differ(stored[ref], changed[ref])}
            suspected = {
                version: min(names & suspects)
                for version, names in affected.items()
                if names & suspects
            }
            problems += await self._broken(suspected, own, text, resolved)
        return Checked(tuple(problems), resolved, tuple(users), tuple(affected))

    async def _names(self, namespace: str) -> list[str]:
        """Names of stored tasks, for suggestions."""
        most = limits.PAGE_SIZE_MAX
        page, _ = await self._store.tasks_page(namespace, after="", shared=False, count=most)
        return [task.name for task in page]

    async def _references(self, namespace: str, text: SourceText) -> tuple[References, str]:
        """Return the resolved references of a text, and the digest of both."""
        own = own_tasks(namespace, text.reading)
        refs = refs_of(namespace, text.reading.task_refs)
        stored = await self._store.referred_tasks(shared_with_caller(refs | own.keys()))
        key = digest(text.digest, namespace, tasks_digest(stored, own))
        return References(namespace, stored, own), key

    async def lint(self, namespace: str, text: SourceText) -> tuple[Problem, ...]:
        """Report likely mistakes that are not errors."""
        references, key = await self._references(namespace, text)
        return await self._compiled.problems(
            digest("lint", key), lambda: lint(text.reading, references)
        )

    async def plan(self, namespace: str, text: SourceText, name: str) -> plan_pb2.Plan:
        """Compile a workflow of a source without errors."""
        references, key = await self._references(namespace, text)
        return await self._compiled.plan(
            digest(key, name), lambda: plan_in(text.reading, references, name)
        )

    async def check_version(
        self, version: VersionId
    ) -> tuple[list[Problem], dict[TaskRef, ResolvedReference]]:
        """Return the current problems of a stored version, and its resolved references."""
        resolved: dict[TaskRef, ResolvedReference] = {}
        async for _, problems in self._rechecked([version], {}, "", resolved):
            return problems, resolved
        return [], resolved

    async def _broken(
        self,
        suspected: Mapping[VersionId, str],
        own: Tasks,
        text: SourceText,
        resolved: dict[TaskRef, ResolvedReference],
    ) -> list[Problem]:
        """Find the problems that the tasks of a source cause in stored workflows."""
        reading = text.reading
        assert reading.source is not None
        broken: list[Problem] = []
        async for version, problems in self._rechecked(list(suspected), own, text.digest, resolved):
            if problems:
                before, _ = await self.check_version(version)
                # Checks may have become stricter since the registration: report only new problems.
                known = {(problem.code, problem.path, problem.message) for problem in before}
                broken += (
                    _blamed(problem, version, suspected[version], reading)
                    for problem in problems
                    if (problem.code, problem.path, problem.message) not in known
                )
            if len(broken) >= limits.BROKEN_SHOWN_MAX:
                break
        return list(reading.source.place(broken))

    async def _rechecked(
        self,
        wanted: Sequence[VersionId],
        own: Tasks,
        own_digest: str,
        resolved: dict[TaskRef, ResolvedReference],
    ) -> AsyncIterator[tuple[VersionId, list[Problem]]]:
        """Yield each version with its errors, in batches; add to `resolved` what was used.

        `own_digest` is the digest of the text with the tasks `own`.
        """
        for start in range(0, len(wanted), limits.AFFECTED_AT_ONCE):
            bodies = await self._store.definitions(wanted[start : start + limits.AFFECTED_AT_ONCE])
            documents = {version: orjson.loads(body) for version, body in bodies.items()}
            workflows = {each: load_workflow(document) for each, document in documents.items()}
            refs = {
                ref
                for (namespace, _, _), workflow in workflows.items()
                for ref in refs_of(namespace, workflow.task_refs)
            }
            stored = await self._store.referred_tasks(refs - own.keys())
            resolved |= {ref: found.resolved for ref, found in stored.items()}
            for version, workflow in workflows.items():
                references = References(version[0], stored, own, settled=True)
                key = digest("version", version, own_digest, tasks_digest(stored, own))
                find = partial(_errors, workflow, documents[version], references)
                yield version, list(await self._compiled.problems(key, find))


def own_tasks(namespace: str, reading: Reading) -> dict[TaskRef, Task]:
    """Return the tasks that a source contains."""
    tasks = (read.resource for read in reading.resources if isinstance(read.resource, Task))
    return {TaskRef(namespace, task.name): task for task in tasks}


def refs_of(namespace: str, texts: Collection[str]) -> set[TaskRef]:
    """Return the references to tasks in workflows of a namespace, without built-in tasks."""
    return {
        task_ref(text, namespace) for text in texts if built_in(text) is None and is_task_ref(text)
    }


def _replaced(namespace: str, reading: Reading) -> set[tuple[str, str]]:
    """The workflows that get a new version in the same source."""
    return {(namespace, read.name) for read in reading.resources if read.kind == "Workflow"}


def _affected(
    users: Collection[Dependent],
    changed: Tasks,
    stored: Mapping[TaskRef, ReferredTask],
    replaced: Collection[tuple[str, str]],
) -> dict[VersionId, set[str]]:
    """Return the dependents of tasks that are about to change, each with those tasks."""
    by_name = {ref.name: ref for ref in changed}
    affected: dict[VersionId, set[str]] = {}
    for user in users:
        ref = by_name[user.task]
        moved = stored[ref].visibility != changed[ref].visibility.value
        superseded = not user.labelled and (user.namespace, user.workflow_id) in replaced
        if (not user.task_version or moved) and not superseded:
            version = user.namespace, user.workflow_id, user.version
            affected.setdefault(version, set()).add(user.task)
    return affected


def _flows_differ(stored: ReferredTask, task: Task) -> bool:
    """Return whether a change of the task is relevant for the checks of other workflows."""

    def seen(of: Task) -> Task:
        return replace(of, config={}, retry=None, timeout_ms=0, queue="", labels={})

    return seen(load_task(orjson.loads(stored.definition))) != seen(task)


def _errors(workflow: Workflow, document: object, references: References) -> tuple[Problem, ...]:
    source = Source("", (document,))
    reading = Reading(source, (Read(workflow, document, 0),), ())
    return tuple(errors_in(check(reading, references, references.problem_with)))


def _blamed(problem: Problem, version: VersionId, task: str, reading: Reading) -> Problem:
    """Report a problem of a workflow at the task that causes it."""
    broken = BrokenWorkflow(*version, f"{problem.place}: {problem.message}")
    number = next(
        read.number
        for read in reading.resources
        if isinstance(read.resource, Task) and read.name == task
    )
    return Problem(problem.code, str(broken), ("metadata", "name"), number, broken=broken)
