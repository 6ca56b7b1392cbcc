"""Stored workflows and tasks: registration, queries, deletion, plans."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson

from flowmesh.api.definition.v1 import definition_pb2, plan_pb2
from flowmesh.definition import limits
from flowmesh.definition.checks.checking import NOTHING_CHECKED, Checked, Checker, Functions
from flowmesh.definition.checks.compiled import CompilationCache, SourceText
from flowmesh.definition.checks.references import References, visible_namespaces
from flowmesh.definition.notices import Notices
from flowmesh.definition.paging import page_size, parse_filter
from flowmesh.definition.registration import applied_of, require_one_workflow, write
from flowmesh.definition.storage.caching import Cache, CacheMetrics
from flowmesh.definition.storage.records import (
    NO_AUTHOR,
    Action,
    Applied,
    Author,
    ChangeDetails,
    ConcurrentChange,
    Conditions,
    Dependent,
    PlanKey,
    PublicNode,
    ReferredTask,
    Request,
    TaskVersion,
    Usage,
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
from flowmesh.rpc import last_of_token, page_token, valid_id
from flowmesh.telemetry import Metrics

VERSION_MAX = 2**31 - 1
SELECTOR_DIGITS_MAX = 12


class DefinitionCatalog:
    """Workflows and tasks of all namespaces; a quota of 0 workflows is unlimited."""

    def __init__(
        self,
        *,
        store: DefinitionStore,
        notices: Notices,
        metrics: Metrics,
        workflows_max: Callable[[str], int],
        functions: Functions | None = None,
    ) -> None:
        self._workflows_max = workflows_max
        self._store, self._notices = store, notices
        caches = CacheMetrics(metrics)
        self._compiled = CompilationCache(caches)
        self.checker = Checker(store, self._compiled, functions)
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
            "flowmesh_workflows_created", "New workflows, by origin.", ("origin",)
        )

    async def apply(
        self,
        namespace: str,
        source: bytes,
        content_type: str,
        request_id: str,
        author: Author = NO_AUTHOR,
        *,
        one_workflow: bool = False,
        expected_digest: str | None = None,
    ) -> tuple[list[Applied], Checked]:
        """Store all resources of a source, or none. Return them and the result of the check.

        An expected digest is that of the newest version of the only workflow.
        """
        request = request_of(request_id, b"register" if one_workflow else b"apply", source)
        return await self.apply_as(
            request,
            namespace,
            source,
            content_type,
            author,
            one_workflow=one_workflow,
            expected_digest=expected_digest,
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
        expected_digest: str | None = None,
    ) -> tuple[list[Applied], Checked]:
        """Store a source as the given request; see `apply`."""
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
                require_one_workflow(reading)
            failpoint("definition.checked")
            try:
                applied = await write(
                    self._store,
                    self._compiled,
                    namespace,
                    reading,
                    checked,
                    author,
                    request,
                    Conditions(self._workflows_max(namespace), expected_digest),
                )
            except ConcurrentChange:
                continue
            failpoint("definition.committed")
            self._count(reading, applied)
            await self._notify(namespace, applied, checked)
            failpoint("definition.notified")
            return applied, checked
        message = "the tasks that the source refers to keep changing; apply it again"
        raise Overloaded("OVERLOADED", message, retry_after_ms=100)

    def _count(self, reading: Reading, applied: list[Applied]) -> None:
        """Count new workflows by origin: a template or not."""
        for read, resource in zip(reading.resources, applied, strict=True):
            if isinstance(read.resource, Workflow) and resource.created and resource.version == 1:
                made = TEMPLATE_LABEL in read.resource.labels
                self._created.labels("template" if made else "scratch").inc()

    async def _notify(self, namespace: str, applied: list[Applied], checked: Checked) -> None:
        """Notify orchestrators of changed names, in every namespace that uses them."""
        changed = sorted({each.name for each in applied if each.created or each.granted})
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
        """Check a source without storing it; report its problems and the affected versions."""
        text = await self.read(source, content_type)
        checked = await self.checker.check(namespace, text)
        problems = list(checked.problems)
        if linted:
            problems += await self.checker.lint(namespace, text)
        return replace(checked, problems=tuple(strict(problems) if strictly else problems))

    async def plan_of(
        self, namespace: str, source: bytes, content_type: str, name: str
    ) -> plan_pb2.Plan:
        """Compile a workflow of a source without storing it."""
        text = await self.read(source, content_type)
        refuse((await self.checker.check(namespace, text)).problems)
        return await self.checker.plan(namespace, text, name)

    async def read(self, source: bytes, content_type: str) -> SourceText:
        """Parse a source."""
        return await self._compiled.read(source, content_type)

    async def workflow(
        self, namespace: str, workflow_id: str, version: int, label: str = ""
    ) -> WorkflowVersion:
        """Return a version by number or label, or the newest without both."""
        number = found = None
        _check_selector(version, label)
        if version <= VERSION_MAX:
            number = await self._store.version_number(namespace, workflow_id, version, label)
        if number is not None:
            found = await self._read(namespace, workflow_id, number)
        if found is None:
            raise await self._missing(namespace, workflow_id, version, label)
        return found

    async def _read(self, namespace: str, workflow_id: str, number: int) -> WorkflowVersion | None:
        """Return an existing version. The content of a number never changes."""
        key = (namespace, workflow_id, number)
        found = self._versions.get(key)
        if found is None:
            found = await self._store.workflow(namespace, workflow_id, number)
            if found is not None:
                self._versions.put(key, found, len(found.definition))
        return found

    async def selected(self, namespace: str, workflow_id: str, selector: str) -> WorkflowVersion:
        """Return the version for a selector: a number, a label, or empty for the newest."""
        return await self.workflow(namespace, workflow_id, *parse_selector(selector))

    async def version_of(self, namespace: str, workflow_id: str, selector: str) -> int:
        version, label = parse_selector(selector)
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
            return label_not_found(workflow_id, label)
        return workflow_not_found(workflow_id, version)

    async def workflows(
        self, namespace: str, *, filter_text: str, size: int, token: str
    ) -> tuple[list[WorkflowVersion], str]:
        wanted = parse_filter(filter_text)
        name = f"workflows/{namespace}/{filter_text}"
        found, more = await self._store.workflows_page(
            namespace, wanted, after=last_of_token(token, name), count=page_size(size)
        )
        return found, page_token(name, found[-1].id) if more else ""

    async def workflow_count(self, namespace: str) -> int:
        return await self._store.workflow_count(namespace)

    async def versions(
        self, namespace: str, workflow_id: str, *, size: int, token: str
    ) -> tuple[list[WorkflowVersion], str]:
        name = f"versions/{namespace}/{workflow_id}"
        before = int(last_of_token(token, name) or VERSION_MAX)
        found, more = await self._store.versions_page(
            namespace, workflow_id, before=before, count=page_size(size)
        )
        if not found and not await self._store.workflow_lives(namespace, workflow_id):
            raise workflow_not_found(workflow_id, 0)
        return found, page_token(name, str(found[-1].version)) if more else ""

    async def delete_workflow(
        self, namespace: str, workflow_id: str, request_id: str, author: Author = NO_AUTHOR
    ) -> None:
        request = request_of(request_id, b"delete-workflow", workflow_id.encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            newest = await change.lock_workflow(workflow_id)
            if newest is None or not await change.retire_workflow(workflow_id):
                raise workflow_not_found(workflow_id, 0)
            details = ChangeDetails(
                "Workflow", workflow_id, Action.DELETED, previous_version=newest.version
            )
            await change.add_change(details, author)
            if request is not None:
                await change.store_answer(request, True)
        await self._notices.changed(namespace, [workflow_id])

    async def analysis(
        self,
        namespace: str,
        workflow_id: str,
        version: int,
        path_count_max: int,
        durations_ms: Mapping[str, int],
    ) -> tuple[int, definition_pb2.Analysis]:
        """Return the stored analysis of a version, or make one with other parameters."""
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
            namespace, after=last_of_token(token, name), count=page_size(size)
        )
        return found, page_token(name, found[-1].workflow_id) if more else ""

    async def task(self, namespace: str, name: str, version: int) -> TaskVersion:
        found = None
        if version <= VERSION_MAX:
            found = await self._store.task(namespace, name, version)
        if found is None:
            raise task_not_found(name, version)
        return found

    async def tasks(
        self, namespace: str, *, shared: bool, size: int, token: str
    ) -> tuple[list[TaskVersion], str]:
        """Return the tasks of a namespace, or with `shared` the public ones of all namespaces.

        A caller sees those of its companies.
        """
        name = f"tasks/{'' if shared else namespace}"
        found, more = await self._store.tasks_page(
            namespace,
            after=last_of_token(token, name),
            shared=shared,
            count=page_size(size),
            visible=visible_namespaces(),
        )
        last = f"{found[-1].namespace}/{found[-1].name}" if more else ""
        return found, page_token(name, last) if more else ""

    async def task_versions(
        self, namespace: str, task: str, *, size: int, token: str
    ) -> tuple[list[TaskVersion], str]:
        name = f"task-versions/{namespace}/{task}"
        before = int(last_of_token(token, name) or VERSION_MAX)
        found, more = await self._store.task_versions_page(
            namespace, task, before=before, count=page_size(size)
        )
        if not found:
            await self.task(namespace, task, 0)
        return found, page_token(name, str(found[-1].version)) if more else ""

    async def usages(
        self, namespace: str, task: str, version: int, *, size: int, token: str
    ) -> tuple[list[Usage], str]:
        """Return the versions in use that refer to a task, or to one version of it."""
        await self.task(namespace, task, version)
        name = f"usages/{namespace}/{task}/{version}"
        last = last_of_token(token, name).split("/") if token else ["", "", "0"]
        found, more = await self._store.usages_page(
            namespace,
            task,
            version,
            after=(last[0], last[1], int(last[2])),
            count=page_size(size),
            visible=visible_namespaces(),
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
        author: Author = NO_AUTHOR,
        *,
        version: int = 0,
    ) -> None:
        """Delete a task, or one version of it. Raise TASK_IN_USE if it is still referred to."""
        request = request_of(request_id, b"delete-task", f"{name}\0{version}".encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            newest = (await change.lock_tasks([name], ()))[name]
            if not newest.live:
                raise task_not_found(name, 0)
            # An unpinned reference uses the newest version, a pinned one the version it names.
            users = [
                user
                for user in await change.dependents([name])
                if not version or (user.task_version or newest.version) == version
            ]
            if users:
                raise _in_use(name, version, namespace, users)
            if not version:
                await change.retire_task(name)
            elif version > VERSION_MAX or await change.task_definition(name, version) is None:
                raise task_not_found(name, version)
            elif version == newest.version:
                message = f"version {version} of task {name!r} is the newest; delete the task"
                raise WrongState("TASK_IN_USE", message)
            else:
                await change.delete_task_version(name, version)
            details = ChangeDetails(
                "WorkflowTask", name, Action.DELETED, 0, version or newest.version
            )
            await change.add_change(details, author)
            if request is not None:
                await change.store_answer(request, True)
        await self._notices.changed(namespace, [name])

    async def plan(
        self, namespace: str, workflow_id: str, version: int, label: str = ""
    ) -> plan_pb2.Plan:
        """Return the plan of a version with the current tasks of its references."""
        _check_selector(version, label)
        key = None
        if version <= VERSION_MAX:
            key = await self._store.plan_key(namespace, workflow_id, version, label)
        if key is None:
            raise await self._missing(namespace, workflow_id, version, label)
        plan = self._plans.get(key)
        if plan is None:
            found = await self.workflow(namespace, workflow_id, key.version)
            tasks = await self._store.referred_tasks([ref for ref, _ in key.tasks])
            workflow = await self._compiled.workflow(found)
            plan = await asyncio.to_thread(plan_of, workflow, found, tasks)
            # A task may have changed between the two reads; then this plan belongs to another key.
            if tuple((ref, tasks[ref].version) for ref in sorted(tasks)) == key.tasks:
                self._plans.put(key, plan, plan.ByteSize())
        return plan


def plan_of(
    workflow: Workflow, found: WorkflowVersion, tasks: Mapping[TaskRef, ReferredTask]
) -> plan_pb2.Plan:
    """Compile a version, loaded as `workflow`, with the given tasks."""
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


def workflow_not_found(workflow_id: str, version: int) -> NotFound:
    which = f"workflow {workflow_id!r}" + (f" has no version {version}" if version else "")
    return NotFound("WORKFLOW_NOT_FOUND", which if version else f"there is no {which}")


def task_not_found(name: str, version: int) -> NotFound:
    which = f"task {name!r}" + (f" has no version {version}" if version else "")
    return NotFound("TASK_NOT_FOUND", which if version else f"there is no {which}")


def label_not_found(workflow_id: str, label: str) -> NotFound:
    return NotFound("LABEL_NOT_FOUND", f"workflow {workflow_id!r} has no label {label!r}")


def parse_selector(selector: str) -> tuple[int, str]:
    """Parse the selector of a version: a number or a label."""
    if selector.isascii() and selector.isdecimal():
        return int(selector[:SELECTOR_DIGITS_MAX]), ""
    return 0, valid_id(selector, "version") if selector else ""


def _check_selector(version: int, label: str) -> None:
    if version and label:
        message = "set either the number of a version or a label, not both"
        violation = Violation("version_label", message, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", message, violations=(violation,))


def _in_use(name: str, version: int, namespace: str, users: list[Dependent]) -> WrongState:
    named = dict.fromkeys(
        user.workflow_id if user.namespace == namespace else f"{user.namespace}/{user.workflow_id}"
        for user in users
    )
    shown = ", ".join(list(named)[:8])
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    which = f"version {version} of task {name!r}" if version else f"task {name!r}"
    return WrongState("TASK_IN_USE", f"{which} is used by {shown}{more}")
