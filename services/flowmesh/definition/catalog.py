"""The library of definitions: what may be registered, and what is there."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace

import orjson

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.api.paging import page_size, parse_filter
from flowmesh.definition.checks.checking import NOTHING_CHECKED, Checked, Checker
from flowmesh.definition.checks.compiled import Compiled, Text
from flowmesh.definition.checks.references import References
from flowmesh.definition.notices import Notices
from flowmesh.definition.registration import applied_of, write
from flowmesh.definition.storage.caching import Cache, CacheMetrics
from flowmesh.definition.storage.records import (
    NOBODY,
    Action,
    Applied,
    Author,
    Done,
    PlanKey,
    PublicNode,
    Referred,
    Request,
    TasksMoved,
    TaskVersion,
    Usage,
    User,
    WorkflowVersion,
)
from flowmesh.definition.storage.store import DefinitionStore, VersionId
from flowmesh.definitions import (
    TEMPLATE_LABEL,
    Reading,
    TaskRef,
    Workflow,
    load_workflow,
    plan_workflow,
    refuse,
)
from flowmesh.definitions.lint import strict
from flowmesh.errors import Invalid, NotFound, Overloaded, Violation, WrongState
from flowmesh.failpoints import failpoint
from flowmesh.rpc import last_of, page_token, valid_id
from flowmesh.telemetry import Metrics

VERSION_MAX = 2**31 - 1
SELECTOR_DIGITS_MAX = 12


class DefinitionCatalog:
    """Workflows and tasks of all namespaces."""

    def __init__(self, *, store: DefinitionStore, notices: Notices, metrics: Metrics) -> None:
        self._store = store
        self._notices = notices
        caches = CacheMetrics(metrics)
        self._compiled = Compiled(caches)
        self.checker = Checker(store, self._compiled)
        self._plans: Cache[PlanKey, plan_pb2.Plan] = Cache(
            "plan",
            caches,
            count_max=limits.PLANS_CACHED_MAX,
            bytes_max=limits.PLANS_CACHED_BYTES_MAX,
        )
        self._versions: Cache[VersionId, WorkflowVersion] = Cache(
            "workflow",
            caches,
            count_max=limits.VERSIONS_CACHED_MAX,
            bytes_max=limits.VERSIONS_CACHED_BYTES_MAX,
        )
        self._created = metrics.counter(
            "flowmesh_workflows_created", "Workflows that are new, by where from.", ("origin",)
        )

    async def apply(
        self,
        namespace: str,
        source: bytes,
        content_type: str,
        request_id: str,
        author: Author = NOBODY,
        *,
        one_workflow: bool = False,
    ) -> tuple[list[Applied], Checked]:
        """Writes what a source holds, all or nothing; the second is what was found with it."""
        request = request_of(request_id, b"register" if one_workflow else b"apply", source)
        return await self.apply_as(
            request, namespace, source, content_type, author, one_workflow=one_workflow
        )

    async def apply_as(
        self,
        request: Request | None,
        namespace: str,
        source: bytes,
        content_type: str,
        author: Author,
        *,
        one_workflow: bool = False,
    ) -> tuple[list[Applied], Checked]:
        """The same for any call that makes a source."""
        if request is not None:
            earlier = await self._store.answer(namespace, request)
            if earlier is not None:
                return applied_of(earlier), NOTHING_CHECKED
        text = await self.read(source, content_type)
        reading = text.reading
        for _ in range(limits.APPLY_ATTEMPTS_MAX):
            checked = await self.checker.check(namespace, text)
            refuse(checked.problems)
            if one_workflow:
                _require_one_workflow(reading)
            failpoint("definition.checked")
            try:
                applied = await write(
                    self._store, self._compiled, namespace, reading, checked, author, request
                )
            except TasksMoved:
                continue
            failpoint("definition.committed")
            self._count(reading, applied)
            await self._tell(namespace, applied, checked)
            failpoint("definition.told")
            return applied, checked
        message = "the tasks it refers to keep changing; apply it again"
        raise Overloaded("OVERLOADED", message, retry_after_ms=100)

    def _count(self, reading: Reading, applied: list[Applied]) -> None:
        """Counts workflows that are new, by whether a template made them."""
        for read, resource in zip(reading.resources, applied, strict=True):
            if isinstance(read.resource, Workflow) and resource.created and resource.version == 1:
                made = TEMPLATE_LABEL in read.resource.labels
                self._created.labels("template" if made else "scratch").inc()

    async def _tell(self, namespace: str, applied: list[Applied], checked: Checked) -> None:
        """Tells who may have plans of what changed, in every namespace that uses it."""
        changed = sorted({resource.name for resource in applied if resource.created})
        await self._notices.changed(namespace, changed)
        if changed:
            for other in sorted({user[0] for user in checked.affected} - {namespace}):
                await self._notices.changed(other, changed)

    async def validate(
        self,
        namespace: str,
        source: bytes,
        content_type: str,
        *,
        linted: bool = False,
        strictly: bool = False,
    ) -> Checked:
        """Everything that is wrong with a source, and whom it affects; stores nothing."""
        text = await self.read(source, content_type)
        checked = await self.checker.check(namespace, text)
        problems = list(checked.problems)
        if linted:
            problems += await self.checker.lint(namespace, text)
        return replace(checked, problems=tuple(strict(problems) if strictly else problems))

    async def plan_of(
        self, namespace: str, source: bytes, content_type: str, name: str
    ) -> plan_pb2.Plan:
        """The plan of a workflow in a source that need not be stored."""
        text = await self.read(source, content_type)
        refuse((await self.checker.check(namespace, text)).problems)
        return await self.checker.plan(namespace, text, name)

    async def read(self, source: bytes, content_type: str) -> Text:
        """What a source holds."""
        return await self._compiled.read(source, content_type)

    async def workflow(
        self, namespace: str, workflow_id: str, version: int, label: str = ""
    ) -> WorkflowVersion:
        """By number or label; the newest without both."""
        number = found = None
        _check_choice(version, label)
        if version <= VERSION_MAX:
            number = await self._store.version_number(namespace, workflow_id, version, label)
        if number is not None:
            found = await self._read(namespace, workflow_id, number)
        if found is None:
            raise await self._missing(namespace, workflow_id, version, label)
        return found

    async def _read(self, namespace: str, workflow_id: str, number: int) -> WorkflowVersion | None:
        """A version that is there; a number never stands for two contents."""
        key = (namespace, workflow_id, number)
        found = self._versions.get(key)
        if found is None:
            found = await self._store.workflow(namespace, workflow_id, number)
            if found is not None:
                self._versions.put(key, found, len(found.definition))
        return found

    async def chosen(self, namespace: str, workflow_id: str, selector: str) -> WorkflowVersion:
        """The version that a number, a label or an empty text stands for."""
        return await self.workflow(namespace, workflow_id, *choice_of(selector))

    async def version_of(self, namespace: str, workflow_id: str, selector: str) -> int:
        version, label = choice_of(selector)
        number = None
        if version <= VERSION_MAX:
            number = await self._store.version_number(namespace, workflow_id, version, label)
        if number is None:
            raise await self._missing(namespace, workflow_id, version, label)
        return number

    async def _missing(
        self, namespace: str, workflow_id: str, version: int, label: str
    ) -> NotFound:
        if label and await self._store.workflow_lives(namespace, workflow_id):
            return no_label(workflow_id, label)
        return no_workflow(workflow_id, version)

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
            raise no_workflow(workflow_id, 0)
        return found, page_token(name, str(found[-1].version)) if more else ""

    async def delete_workflow(
        self, namespace: str, workflow_id: str, request_id: str, author: Author = NOBODY
    ) -> None:
        request = request_of(request_id, b"delete-workflow", workflow_id.encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            newest = await change.lock_workflow(workflow_id)
            if newest is None or not await change.retire_workflow(workflow_id):
                raise no_workflow(workflow_id, 0)
            done = Done("Workflow", workflow_id, Action.DELETED, previous_version=newest.version)
            await change.note(done, author)
            if request is not None:
                await change.remember(request, True)
        await self._notices.changed(namespace, [workflow_id])

    async def analysis(
        self,
        namespace: str,
        workflow_id: str,
        version: int,
        path_count_max: int,
        durations_ms: Mapping[str, int],
    ) -> tuple[int, definition_pb2.Analysis]:
        """The analysis stored with a version, or another one where another one is asked for."""
        _check_durations(durations_ms)
        found = await self.workflow(namespace, workflow_id, version)
        if not path_count_max and not durations_ms:
            stored = await self._store.analysis(namespace, workflow_id, found.version)
            if stored is not None:
                return found.version, definition_pb2.Analysis.FromString(stored)
        made = await self._compiled.analysis(
            found.digest,
            lambda: load_workflow(orjson.loads(found.definition)),
            path_count_max,
            durations_ms,
        )
        return found.version, made

    async def public_nodes(
        self, namespace: str, *, size: int, token: str
    ) -> tuple[list[PublicNode], str]:
        name = f"public-nodes/{namespace}"
        found, more = await self._store.public_nodes(
            namespace, after=last_of(token, name), count=page_size(size)
        )
        return found, page_token(name, found[-1].workflow_id) if more else ""

    async def task(self, namespace: str, name: str, version: int) -> TaskVersion:
        found = None
        if version <= VERSION_MAX:
            found = await self._store.task(namespace, name, version)
        if found is None:
            raise no_task(name, version)
        return found

    async def tasks(
        self, namespace: str, *, shared: bool, size: int, token: str
    ) -> tuple[list[TaskVersion], str]:
        """The tasks of a namespace, or with `shared` the public ones of all."""
        name = f"tasks/{'' if shared else namespace}"
        found, more = await self._store.tasks_page(
            namespace, after=last_of(token, name), shared=shared, count=page_size(size)
        )
        last = f"{found[-1].namespace}/{found[-1].name}" if more else ""
        return found, page_token(name, last) if more else ""

    async def task_versions(
        self, namespace: str, task: str, *, size: int, token: str
    ) -> tuple[list[TaskVersion], str]:
        name = f"task-versions/{namespace}/{task}"
        before = int(last_of(token, name) or VERSION_MAX)
        found, more = await self._store.task_versions_page(
            namespace, task, before=before, count=page_size(size)
        )
        if not found:
            await self.task(namespace, task, 0)
        return found, page_token(name, str(found[-1].version)) if more else ""

    async def usages(
        self, namespace: str, task: str, version: int, *, size: int, token: str
    ) -> tuple[list[Usage], str]:
        """Versions in use that refer to a task or, if named, to one version of it."""
        await self.task(namespace, task, version)
        name = f"usages/{namespace}/{task}/{version}"
        last = last_of(token, name).split("/") if token else ["", "", "0"]
        found, more = await self._store.usages_page(
            namespace, task, version, after=(last[0], last[1], int(last[2])), count=page_size(size)
        )
        if not more:
            return found, ""
        usage = found[-1]
        return found, page_token(name, f"{usage.namespace}/{usage.workflow_id}/{usage.version}")

    async def delete_task(
        self,
        namespace: str,
        name: str,
        request_id: str,
        author: Author = NOBODY,
        *,
        version: int = 0,
    ) -> None:
        """Deletes a task, or one version of it; what a version in use refers to stays."""
        request = request_of(request_id, b"delete-task", f"{name}\0{version}".encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            newest = (await change.lock_tasks([name], ()))[name]
            if not newest.live:
                raise no_task(name, 0)
            # Who floats has the newest version; who is pinned has the one named.
            users = [
                user
                for user in await change.users([name])
                if not version or (user.task_version or newest.version) == version
            ]
            if users:
                raise _in_use(name, version, namespace, users)
            if not version:
                await change.retire_task(name)
            elif version > VERSION_MAX or await change.task_definition(name, version) is None:
                raise no_task(name, version)
            elif version == newest.version:
                message = f"version {version} of task {name!r} is the newest; delete the task"
                raise WrongState("TASK_IN_USE", message)
            else:
                await change.delete_task_version(name, version)
            done = Done("WorkflowTask", name, Action.DELETED, 0, version or newest.version)
            await change.note(done, author)
            if request is not None:
                await change.remember(request, True)
        await self._notices.changed(namespace, [name])

    async def plan(
        self, namespace: str, workflow_id: str, version: int, label: str = ""
    ) -> plan_pb2.Plan:
        """The plan of a version with the tasks that its references mean now."""
        _check_choice(version, label)
        key = None
        if version <= VERSION_MAX:
            key = await self._store.plan_key(namespace, workflow_id, version, label)
        if key is None:
            raise await self._missing(namespace, workflow_id, version, label)
        plan = self._plans.get(key)
        if plan is None:
            found = await self.workflow(namespace, workflow_id, key.version)
            tasks = await self._store.referred([ref for ref, _ in key.tasks])
            workflow = await self._compiled.workflow(found)
            plan = await asyncio.to_thread(plan_of, workflow, found, tasks)
            # Between the two reads a task may have changed: then this is the plan of another key.
            if tuple((ref, tasks[ref].version) for ref in sorted(tasks)) == key.tasks:
                self._plans.put(key, plan, plan.ByteSize())
        return plan


def plan_of(
    workflow: Workflow, found: WorkflowVersion, tasks: Mapping[TaskRef, Referred]
) -> plan_pb2.Plan:
    """The plan of a version, which says `workflow`, with these tasks."""
    return plan_workflow(
        workflow,
        References(found.namespace, tasks, {}, settled=True),
        namespace=found.namespace,
        version=found.version,
        version_digest=found.digest,
    )


def request_of(request_id: str, call: bytes, content: bytes) -> Request | None:
    if not request_id:
        return None
    return Request(request_id, hashlib.sha256(call + b"\0" + content).hexdigest())


def _require_one_workflow(reading: Reading) -> None:
    kinds = [read.kind for read in reading.resources]
    if kinds != ["Workflow"]:
        held = ", ".join(kinds[:8]) or "nothing"
        message = f"exactly one workflow is registered at once; this source holds {held}"
        raise Invalid("WORKFLOW_INVALID", message)


def no_workflow(workflow_id: str, version: int) -> NotFound:
    which = f"workflow {workflow_id!r}" + (f" has no version {version}" if version else "")
    return NotFound("WORKFLOW_NOT_FOUND", which if version else f"there is no {which}")


def no_task(name: str, version: int) -> NotFound:
    which = f"task {name!r}" + (f" has no version {version}" if version else "")
    return NotFound("TASK_NOT_FOUND", which if version else f"there is no {which}")


def no_label(workflow_id: str, label: str) -> NotFound:
    return NotFound("LABEL_NOT_FOUND", f"workflow {workflow_id!r} has no label {label!r}")


def choice_of(selector: str) -> tuple[int, str]:
    """A version chosen by text, as a number or a label."""
    if selector.isascii() and selector.isdecimal():
        return int(selector[:SELECTOR_DIGITS_MAX]), ""
    return 0, valid_id(selector, "version") if selector else ""


def _check_choice(version: int, label: str) -> None:
    if version and label:
        message = "name a version by its number or by a label, not by both"
        violation = Violation("version_label", message, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", message, violations=(violation,))


def _check_durations(durations_ms: Mapping[str, int]) -> None:
    for node, duration_ms in durations_ms.items():
        if not 0 <= duration_ms <= limits.DURATION_MS_MAX:
            message = f"a duration is from 0 to {limits.DURATION_MS_MAX} ms, not {duration_ms}"
            violation = Violation(f"durations_ms[{node}]", message, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", message, violations=(violation,))


def _in_use(name: str, version: int, namespace: str, users: list[User]) -> WrongState:
    named = dict.fromkeys(
        user.workflow_id if user.namespace == namespace else f"{user.namespace}/{user.workflow_id}"
        for user in users
    )
    shown = ", ".join(list(named)[:8])
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    which = f"version {version} of task {name!r}" if version else f"task {name!r}"
    return WrongState("TASK_IN_USE", f"{which} is used by {shown}{more}")
