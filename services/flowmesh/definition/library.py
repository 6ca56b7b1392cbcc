"""The library of definitions: what may be registered, and what is there."""

import asyncio
import hashlib
from collections.abc import Mapping

import orjson

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.notices import Notices
from flowmesh.definition.paging import last_of, page_size, page_token, parse_filter
from flowmesh.definition.plans import PlanCache
from flowmesh.definition.records import (
    Applied,
    Request,
    TasksMoved,
    TaskVersion,
    Usage,
    WorkflowVersion,
)
from flowmesh.definition.registration import write
from flowmesh.definition.store import DefinitionStore
from flowmesh.definitions import (
    Problem,
    Reading,
    Task,
    analyse,
    check,
    load_task,
    load_workflow,
    plan_workflow,
    read_source,
    refuse,
)
from flowmesh.definitions.lint import lint, strict
from flowmesh.errors import Invalid, NotFound, Overloaded, WrongState
from flowmesh.failpoints import failpoint
from flowmesh.rehearsal.source import plan_in

VERSION_MAX = 2**31 - 1


class Library:
    """Workflows and tasks of all namespaces."""

    def __init__(self, *, store: DefinitionStore, notices: Notices) -> None:
        self._store = store
        self._notices = notices
        self._plans = PlanCache()

    async def apply(
        self,
        namespace: str,
        source: bytes,
        content_type: str,
        request_id: str,
        *,
        one_workflow: bool = False,
    ) -> tuple[list[Applied], list[Problem]]:
        """Writes what a source holds, all or nothing; the second of the answer are warnings."""
        request = _request(request_id, b"register" if one_workflow else b"apply", source)
        if request is not None:
            earlier = await self._store.answer(namespace, request)
            if earlier is not None:
                return [Applied(**resource) for resource in earlier], []
        reading = await asyncio.to_thread(read_source, source, content_type)
        for _ in range(limits.APPLY_ATTEMPTS_MAX):
            versions, problems = await self._checked(namespace, reading)
            refuse(problems)
            if one_workflow:
                _require_one_workflow(reading)
            failpoint("definition.checked")
            try:
                applied = await write(self._store, namespace, reading, versions, request)
            except TasksMoved:
                continue
            failpoint("definition.committed")
            changed = sorted({resource.name for resource in applied if resource.created})
            await self._notices.changed(namespace, changed)
            failpoint("definition.told")
            return applied, [problem for problem in problems if problem.warning]
        message = "the tasks it refers to keep changing; apply it again"
        raise Overloaded("OVERLOADED", message, retry_after_ms=100)

    async def validate(
        self,
        namespace: str,
        source: bytes,
        content_type: str,
        *,
        linted: bool = False,
        strictly: bool = False,
    ) -> list[Problem]:
        """Everything that is wrong with a source; stores nothing."""
        reading = await asyncio.to_thread(read_source, source, content_type)
        versions, problems = await self._checked(namespace, reading)
        if linted:
            rows = await self._store.newest_tasks(namespace, versions.keys())
            problems += await asyncio.to_thread(lint, reading, _tasks(rows).get)
        return strict(problems) if strictly else problems

    async def plan_of(
        self, namespace: str, source: bytes, content_type: str, name: str
    ) -> plan_pb2.Plan:
        """The plan of a workflow in a source that need not be stored."""
        reading = await asyncio.to_thread(read_source, source, content_type)
        versions, problems = await self._checked(namespace, reading)
        refuse(problems)
        rows = await self._store.newest_tasks(namespace, versions.keys())
        return await asyncio.to_thread(plan_in, reading, _tasks(rows).get, name)

    async def _checked(
        self, namespace: str, reading: Reading
    ) -> tuple[dict[str, int], list[Problem]]:
        """Versions of the tasks it was checked against, and the problems."""
        rows = await self._store.newest_tasks(namespace, reading.task_refs)
        tasks = _tasks(rows)
        names: list[str] = []
        if reading.task_refs - rows.keys():
            # Something is amiss, or brought along: of some names one may have been meant.
            most = limits.PAGE_SIZE_MAX
            page, _ = await self._store.tasks_page(namespace, after="", count=most)
            names = [task.name for task in page]
        found = await asyncio.to_thread(check, reading, tasks.get, names)
        versions = {name: version for name, (version, _) in rows.items()}
        return versions, [*reading.problems, *found]

    async def workflow(self, namespace: str, workflow_id: str, version: int) -> WorkflowVersion:
        found = None
        if version <= VERSION_MAX:
            found = await self._store.workflow(namespace, workflow_id, version)
        if found is None:
            raise _no_workflow(workflow_id, version)
        return found

    async def workflows(
        self, namespace: str, *, filter_text: str, size: int, token: str
    ) -> tuple[list[WorkflowVersion], str]:
        wanted = parse_filter(filter_text)
        name = f"workflows/{namespace}/{filter_text}"
        found, more = await self._store.workflows_page(
            namespace, wanted, after=last_of(token, name), count=page_size(size)
        )
        return found, page_token(name, found[-1].id) if more else ""

    async def versions(
        self, namespace: str, workflow_id: str, *, size: int, token: str
    ) -> tuple[list[WorkflowVersion], str]:
        name = f"versions/{namespace}/{workflow_id}"
        before = int(last_of(token, name) or VERSION_MAX)
        found, more = await self._store.versions_page(
            namespace, workflow_id, before=before, count=page_size(size)
        )
        if not found and not await self._store.workflow_lives(namespace, workflow_id):
            raise _no_workflow(workflow_id, 0)
        return found, page_token(name, str(found[-1].version)) if more else ""

    async def delete_workflow(self, namespace: str, workflow_id: str, request_id: str) -> None:
        request = _request(request_id, b"delete-workflow", workflow_id.encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            if not await change.retire_workflow(workflow_id):
                raise _no_workflow(workflow_id, 0)
            if request is not None:
                await change.remember(request, True)
        await self._notices.changed(namespace, [workflow_id])

    async def analysis(
        self, namespace: str, workflow_id: str, version: int, path_count_max: int
    ) -> tuple[int, definition_pb2.Analysis]:
        found = await self.workflow(namespace, workflow_id, version)
        workflow = load_workflow(orjson.loads(found.definition))
        return found.version, await asyncio.to_thread(analyse, workflow, path_count_max)

    async def task(self, namespace: str, name: str, version: int) -> TaskVersion:
        found = None
        if version <= VERSION_MAX:
            found = await self._store.task(namespace, name, version)
        if found is None:
            raise _no_task(name, version)
        return found

    async def tasks(
        self, namespace: str, *, size: int, token: str
    ) -> tuple[list[TaskVersion], str]:
        name = f"tasks/{namespace}"
        found, more = await self._store.tasks_page(
            namespace, after=last_of(token, name), count=page_size(size)
        )
        return found, page_token(name, found[-1].name) if more else ""

    async def usages(self, namespace: str, name: str) -> list[Usage]:
        await self.task(namespace, name, 0)
        return await self._store.usages(namespace, name)

    async def delete_task(self, namespace: str, name: str, request_id: str) -> None:
        request = _request(request_id, b"delete-task", name.encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            newest = await change.lock_tasks([name])
            if not newest[name].live:
                raise _no_task(name, 0)
            usages = await change.usages(name)
            if usages:
                raise _in_use(name, usages)
            await change.retire_task(name)
            if request is not None:
                await change.remember(request, True)
        await self._notices.changed(namespace, [name])

    async def plan(self, namespace: str, workflow_id: str, version: int) -> plan_pb2.Plan:
        """The plan of a version with the newest version of every task it refers to."""
        key = None
        if version <= VERSION_MAX:
            key = await self._store.plan_key(namespace, workflow_id, version)
        if key is None:
            raise _no_workflow(workflow_id, version)
        plan = self._plans.get(key)
        if plan is None:
            found = await self.workflow(namespace, workflow_id, key.version)
            rows = await self._store.newest_tasks(namespace, [name for name, _ in key.tasks])
            plan = await asyncio.to_thread(_plan, found, _tasks(rows))
            # Between the two reads a task may have changed: then this is the plan of another key.
            if tuple(sorted((name, row[0]) for name, row in rows.items())) == key.tasks:
                self._plans.put(key, plan)
        return plan


def _plan(found: WorkflowVersion, tasks: Mapping[str, Task]) -> plan_pb2.Plan:
    return plan_workflow(
        load_workflow(orjson.loads(found.definition)),
        tasks.get,
        namespace=found.namespace,
        version=found.version,
        version_digest=found.digest,
    )


def _tasks(rows: Mapping[str, tuple[int, bytes]]) -> dict[str, Task]:
    return {name: load_task(orjson.loads(body)) for name, (_, body) in rows.items()}


def _request(request_id: str, call: bytes, content: bytes) -> Request | None:
    if not request_id:
        return None
    return Request(request_id, hashlib.sha256(call + b"\0" + content).hexdigest())


def _require_one_workflow(reading: Reading) -> None:
    kinds = [read.kind for read in reading.resources]
    if kinds != ["Workflow"]:
        held = ", ".join(kinds[:8]) or "nothing"
        message = f"exactly one workflow is registered at once; this source holds {held}"
        raise Invalid("WORKFLOW_INVALID", message)


def _no_workflow(workflow_id: str, version: int) -> NotFound:
    which = f"workflow {workflow_id!r}" + (f" has no version {version}" if version else "")
    return NotFound("WORKFLOW_NOT_FOUND", which if version else f"there is no {which}")


def _no_task(name: str, version: int) -> NotFound:
    which = f"task {name!r}" + (f" has no version {version}" if version else "")
    return NotFound("TASK_NOT_FOUND", which if version else f"there is no {which}")


def _in_use(name: str, usages: list[Usage]) -> WrongState:
    names = ", ".join(usage.workflow_id for usage in usages[:8])
    more = f" and {len(usages) - 8} more" if len(usages) > 8 else ""
    return WrongState("TASK_IN_USE", f"task {name!r} is used by {names}{more}")
