"""Checks a source against the library: what it holds, and the workflows that its tasks affect."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.checks.compiled import Compiled, Text, digest, tasks_digest
from flowmesh.definition.checks.references import References
from flowmesh.definition.storage.records import Meaning, Referred, User
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
from flowmesh.definitions.reading.documents import Source
from flowmesh.definitions.task_refs import is_task_ref
from flowmesh.dryrun.source import plan_in

Tasks = Mapping[TaskRef, Task]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and what it was found with: what references mean, and the users.

    `affected` are the versions that will run with a task of the source in place of an older one.
    """

    problems: tuple[Problem, ...]
    references: Mapping[TaskRef, Meaning]
    users: tuple[User, ...]
    affected: tuple[VersionId, ...]


NOTHING_CHECKED = Checked((), {}, (), ())


class Checker:
    """Checks sources against what is stored; stores nothing."""

    def __init__(self, store: DefinitionStore, compiled: Compiled) -> None:
        self._store = store
        self._compiled = compiled

    async def check(self, namespace: str, text: Text) -> Checked:
        """Everything that is wrong with a source, or would be with what it changes."""
        reading = text.reading
        own = own_tasks(namespace, reading)
        refs = refs_of(namespace, reading.task_refs)
        stored = await self._store.referred(refs | own.keys())
        names = await self._names(namespace) if refs - own.keys() - stored.keys() else ()
        references = References(namespace, stored, own, names=names)
        found = await self._compiled.problems(
            digest("check", text.digest, namespace, tasks_digest(stored, own), *names),
            lambda: check(reading, references, references.why),
        )
        problems = [*reading.problems, *found]
        meanings = {ref: stored[ref].meaning for ref in refs - own.keys() if ref in stored}
        changed = {ref: task for ref, task in own.items() if ref in stored}
        if not changed:
            return Checked(tuple(problems), meanings, (), ())
        users = await self._store.users(namespace, [ref.name for ref in changed])
        affected = _affected(users, changed, stored, _replaced(namespace, reading))
        if not errors_in(problems):
            suspects = {ref.name for ref in changed if _flows_differ(stored[ref], changed[ref])}
            suspected = {
                version: min(names & suspects)
                for version, names in affected.items()
                if names & suspects
            }
            problems += await self._broken(suspected, own, text, meanings)
        return Checked(tuple(problems), meanings, tuple(users), tuple(affected))

    async def _names(self, namespace: str) -> list[str]:
        """Some tasks of the catalog, of which one may have been meant."""
        most = limits.PAGE_SIZE_MAX
        page, _ = await self._store.tasks_page(namespace, after="", shared=False, count=most)
        return [task.name for task in page]

    async def _references(self, namespace: str, text: Text) -> tuple[References, str]:
        """What the references of a text mean, and the digest of both."""
        own = own_tasks(namespace, text.reading)
        refs = refs_of(namespace, text.reading.task_refs)
        stored = await self._store.referred(refs | own.keys())
        key = digest(text.digest, namespace, tasks_digest(stored, own))
        return References(namespace, stored, own), key

    async def lint(self, namespace: str, text: Text) -> tuple[Problem, ...]:
        """What is allowed and likely to be regretted."""
        references, key = await self._references(namespace, text)
        return await self._compiled.problems(
            digest("lint", key), lambda: lint(text.reading, references)
        )

    async def plan(self, namespace: str, text: Text, name: str) -> plan_pb2.Plan:
        """The plan of a workflow of a source without errors."""
        references, key = await self._references(namespace, text)
        return await self._compiled.plan(
            digest(key, name), lambda: plan_in(text.reading, references, name)
        )

    async def check_version(
        self, version: VersionId
    ) -> tuple[list[Problem], dict[TaskRef, Meaning]]:
        """What is wrong with a stored version now, and what its references mean."""
        meanings: dict[TaskRef, Meaning] = {}
        async for _, problems in self._rechecked([version], {}, "", meanings):
            return problems, meanings
        return [], meanings

    async def _broken(
        self,
        suspected: Mapping[VersionId, str],
        own: Tasks,
        text: Text,
        meanings: dict[TaskRef, Meaning],
    ) -> list[Problem]:
        """What the tasks of a source break in workflows, told of the tasks."""
        reading = text.reading
        assert reading.source is not None
        broken: list[Problem] = []
        async for version, problems in self._rechecked(list(suspected), own, text.digest, meanings):
            if problems:
                before, _ = await self.check_version(version)
                # Checks may have become stricter since it was registered.
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
        meanings: dict[TaskRef, Meaning],
    ) -> AsyncIterator[tuple[VersionId, list[Problem]]]:
        """Each version with its errors, some at a time; adds what it was checked with.

        `own_digest` is that of the text that brings the tasks `own`.
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
            stored = await self._store.referred(refs - own.keys())
            meanings |= {ref: found.meaning for ref, found in stored.items()}
            for version, workflow in workflows.items():
                references = References(version[0], stored, own, settled=True)
                key = digest("version", version, own_digest, tasks_digest(stored, own))
                find = partial(_errors, workflow, documents[version], references)
                yield version, list(await self._compiled.problems(key, find))


def own_tasks(namespace: str, reading: Reading) -> dict[TaskRef, Task]:
    """The tasks that a source holds."""
    tasks = (read.resource for read in reading.resources if isinstance(read.resource, Task))
    return {TaskRef(namespace, task.name): task for task in tasks}


def refs_of(namespace: str, texts: Collection[str]) -> set[TaskRef]:
    """What references in workflows of a namespace refer to, built-in tasks left out."""
    return {
        task_ref(text, namespace) for text in texts if built_in(text) is None and is_task_ref(text)
    }


def _replaced(namespace: str, reading: Reading) -> set[tuple[str, str]]:
    """The workflows that get a version of their own in the same source."""
    return {(namespace, read.name) for read in reading.resources if read.kind == "Workflow"}


def _affected(
    users: Collection[User],
    changed: Tasks,
    stored: Mapping[TaskRef, Referred],
    replaced: Collection[tuple[str, str]],
) -> dict[VersionId, set[str]]:
    """Users of tasks that are about to be other ones, each with those tasks."""
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


def _flows_differ(stored: Referred, task: Task) -> bool:
    """Whether anything changed that another workflow's checks look at."""

    def seen(of: Task) -> Task:
        return replace(of, config={}, retry=None, timeout_ms=0, queue="", labels={})

    return seen(load_task(orjson.loads(stored.definition))) != seen(task)


def _errors(workflow: Workflow, document: object, references: References) -> tuple[Problem, ...]:
    source = Source("", (document,))
    reading = Reading(source, (Read(workflow, document, 0),), ())
    return tuple(errors_in(check(reading, references, references.why)))


def _blamed(problem: Problem, version: VersionId, task: str, reading: Reading) -> Problem:
    """A problem of a workflow as one of the task that causes it."""
    namespace, workflow_id, number = version
    message = (
        f"workflow {workflow_id} of namespace {namespace}, version {number}, would break: "
        f"{problem.place}: {problem.message}"
    )
    number = next(
        read.number
        for read in reading.resources
        if isinstance(read.resource, Task) and read.name == task
    )
    return Problem(problem.code, message, ("metadata", "name"), number)
