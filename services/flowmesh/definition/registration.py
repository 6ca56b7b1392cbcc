"""Storing a checked source in one transaction: a new version for each new content."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from flowmesh.access import current
from flowmesh.definition.audit import change_to
from flowmesh.definition.checks.checking import Checked, refs_of
from flowmesh.definition.checks.compiled import CompilationCache
from flowmesh.definition.storage.records import (
    Applied,
    Author,
    ConcurrentChange,
    Conditions,
    Request,
    SourceRecord,
    TaskVersion,
    TemplateVersion,
    WorkflowVersion,
)
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.storage.transaction import Newest, Transaction
from flowmesh.definition.trigger_catalog import triggers_of
from flowmesh.definitions import (
    Read,
    Reading,
    Task,
    TaskRef,
    Workflow,
    WorkflowTemplate,
)
from flowmesh.errors import Invalid, WrongState
from flowmesh.runtime.namespace_quotas import quota_exceeded

# The database sets the time of the rows.
_UNDATED = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class _Locked:
    """The locked names of a source."""

    tasks: Mapping[str, Newest]
    workflows: Mapping[str, Newest]
    templates: Mapping[str, Newest]

    def of(self, read: Read) -> Newest:
        match read.resource:
            case Workflow():
                return self.workflows[read.name]
            case Task():
                return self.tasks[read.name]
            case WorkflowTemplate():
                return self.templates[read.name]


async def write(
    store: DefinitionStore,
    compiled: CompilationCache,
    namespace: str,
    reading: Reading,
    checked: Checked,
    author: Author,
    request: Request | None,
    conditions: Conditions,
) -> list[Applied]:
    """Store a checked source.

    Raise ConcurrentChange if state that the check depends on has changed, QUOTA_EXCEEDED beyond
    the quota, and ETAG_MISMATCH if the only workflow has another digest than the expected one.
    """
    async with store.change(namespace) as change:
        if request is not None:
            earlier = await change.claim(request)
            if earlier is not None:
                return applied_of(earlier)
        locked = await _lock(change, reading, checked)
        _check_digest(locked.workflows, conditions.expected_digest)
        new = sum(not newest.live for newest in locked.workflows.values())
        if conditions.workflows_max and new:
            await _check_quota(change, new, conditions.workflows_max)
        applied, triggers = [], []
        caller = current()
        applied_by = caller.id if caller else ""
        for read in reading.resources:
            newest, granted = locked.of(read), False
            if newest.digest != read.digest:
                await change.add_change(await change_to(change, read, newest), author)
                version = newest.version + 1
                await _write(change, compiled, namespace, read, version, checked, locked)
                if isinstance(read.resource, Workflow):
                    triggers.append(triggers_of(namespace, read.resource, version, applied_by))
            else:
                if author.owner.name:
                    await change.owners.claim(read.kind, read.name, author)
                if isinstance(read.resource, Workflow) and applied_by:
                    granted = await change.trigger_grants.take_over(read.name, applied_by)
            result = Applied(
                read.kind,
                read.name,
                newest.version + (newest.digest != read.digest),
                read.digest,
                created=newest.digest != read.digest,
                granted=granted,
            )
            if (source := _source_of(read, reading)) is not None:
                await change.sources.set(read.name, result.version, source)
            applied.append(result)
        await change.set_triggers(triggers)
        if request is not None:
            await change.store_answer(request, _answer_of(applied, reading, request))
        return applied


def require_one_workflow(reading: Reading) -> None:
    """Raise WORKFLOW_INVALID for a source of other resources."""
    kinds = [read.kind for read in reading.resources]
    if kinds != ["Workflow"]:
        held = ", ".join(kinds[:8]) or "nothing"
        message = f"the source must hold exactly one workflow; it holds {held}"
        raise Invalid("WORKFLOW_INVALID", message)


def _check_digest(workflows: Mapping[str, Newest], expected: str | None) -> None:
    """Raise ETAG_MISMATCH if the only workflow has another digest than the caller has read."""
    if expected is None:
        return
    if len(workflows) != 1:
        text = f"an expected digest is that of one workflow; the source holds {len(workflows)}"
        raise Invalid("REQUEST_INVALID", text)
    [(name, newest)] = workflows.items()
    stored = newest.digest if newest.live else ""
    if stored == expected:
        return
    now = f"is at version {newest.version}, digest {stored}" if stored else "is not stored"
    before = f"you have read digest {expected}" if expected else "it was expected to be new"
    text = f"workflow {name} {now}; {before}: read it again and merge your change"
    raise WrongState("ETAG_MISMATCH", text)


def _source_of(read: Read, reading: Reading) -> SourceRecord | None:
    """Return the text to store with a workflow; None if it says no more than the definition."""
    if reading.source is None or not isinstance(read.resource, Workflow):
        return None
    text = reading.source.text.encode()
    if text.strip() == orjson.dumps(read.document):
        return None
    # Documents in a row are YAML, also if each is JSON, which has no line break in a text.
    json = text.lstrip()[:1] in (b"{", b"[") and b"\n---" not in text
    return SourceRecord("application/json" if json else "application/yaml", text)


async def _check_quota(change: Transaction, new: int, workflows_max: int) -> None:
    """Raise QUOTA_EXCEEDED if the namespace has no room for new workflows."""
    count = await change.workflow_count.locked()
    if count + new > workflows_max:
        raise quota_exceeded("definitions", workflows_max, count)


def applied_of(answer: Any) -> list[Applied]:
    """Return the applied resources from a stored answer."""
    resources = answer["resources"] if isinstance(answer, dict) else answer
    return [Applied(**resource) for resource in resources]


def _answer_of(applied: list[Applied], reading: Reading, request: Request) -> Any:
    resources = [asdict(resource) for resource in applied]
    if not request.with_source or reading.source is None:
        return resources
    return {"resources": resources, "source": reading.source.text}


async def _lock(change: Transaction, reading: Reading, checked: Checked) -> _Locked:
    own = [read.name for read in reading.resources if isinstance(read.resource, Task)]
    tasks = await change.lock_tasks(own, checked.references.keys())
    if await change.resolve_references(checked.references.keys()) != checked.references:
        raise ConcurrentChange
    if own and tuple(await change.dependents(own)) != checked.dependents:
        raise ConcurrentChange
    ids = [read.name for read in reading.resources if isinstance(read.resource, Workflow)]
    workflows = await change.lock_workflows(ids)
    templates = [r.name for r in reading.resources if isinstance(r.resource, WorkflowTemplate)]
    return _Locked(tasks, workflows, await change.lock_templates(templates))


async def _write(
    change: Transaction,
    compiled: CompilationCache,
    namespace: str,
    read: Read,
    version: int,
    checked: Checked,
    locked: _Locked,
) -> None:
    definition = orjson.dumps(read.document)
    match read.resource:
        case Workflow() as workflow:
            row = WorkflowVersion(
                namespace=namespace,
                id=workflow.id,
                version=version,
                digest=read.digest,
                name=workflow.name,
                format=workflow.dialect.value,
                definition=definition,
                labels=workflow.labels,
                created_at=_UNDATED,
            )
            own = {TaskRef(namespace, name) for name in locked.tasks}
            known = checked.references.keys() | own
            await change.add_workflow(row, refs_of(namespace, workflow.task_refs) & known)
            compiled.keep(read.digest, workflow, len(definition))
            analysis = await compiled.analysis(read.digest, lambda: workflow)
            await change.add_analysis(workflow.id, version, analysis.SerializeToString())
        case Task() as task:
            await change.add_task(
                TaskVersion(
                    namespace=namespace,
                    name=task.name,
                    version=version,
                    digest=read.digest,
                    type=task.type,
                    definition=definition,
                    labels=task.labels,
                    created_at=_UNDATED,
                    visibility=task.visibility.value,
                )
            )
        case WorkflowTemplate() as template:
            await change.add_template(
                TemplateVersion(
                    namespace=namespace,
                    name=template.name,
                    version=version,
                    digest=read.digest,
                    definition=definition,
                    labels=template.labels,
                    created_at=_UNDATED,
                )
            )
