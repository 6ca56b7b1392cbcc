"""Writes what a source holds, in one transaction: new versions where the content is new."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import orjson

from flowmesh.definition.records import (
    Applied,
    Request,
    TasksMoved,
    TaskVersion,
    WorkflowVersion,
)
from flowmesh.definition.store import Change, DefinitionStore, Newest
from flowmesh.definitions import Read, Reading, Task, Workflow, analyse

# The database dates the rows it writes.
_UNDATED = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class _Locked:
    tasks: Mapping[str, Newest]
    workflows: Mapping[str, Newest]


async def write(
    store: DefinitionStore,
    namespace: str,
    reading: Reading,
    versions: Mapping[str, int],
    request: Request | None,
) -> list[Applied]:
    """Applies a checked source; `versions` are those of the tasks it was checked against.

    Raises TasksMoved when one of them is not the newest any more.
    """
    async with store.change(namespace) as change:
        if request is not None:
            earlier = await change.claim(request)
            if earlier is not None:
                return [Applied(**resource) for resource in earlier]
        locked = await _lock(change, reading, versions)
        applied = [
            await _write_one(change, namespace, read, locked, versions)
            for read in reading.resources
        ]
        if request is not None:
            await change.remember(request, [asdict(resource) for resource in applied])
        return applied


async def _lock(change: Change, reading: Reading, versions: Mapping[str, int]) -> _Locked:
    own = [read.name for read in reading.resources if isinstance(read.resource, Task)]
    tasks = await change.lock_tasks(own)
    held = await change.hold_tasks(reading.task_refs)
    if {name: version for name, version in held.items() if name not in tasks} != {
        name: version for name, version in versions.items() if name not in tasks
    }:
        raise TasksMoved
    ids = [read.name for read in reading.resources if isinstance(read.resource, Workflow)]
    return _Locked(tasks, await change.lock_workflows(ids))


async def _write_one(
    change: Change, namespace: str, read: Read, locked: _Locked, versions: Mapping[str, int]
) -> Applied:
    names = locked.workflows if read.kind == "Workflow" else locked.tasks
    newest, digest = names[read.name], read.digest
    if newest.digest == digest:
        return Applied(read.kind, read.name, newest.version, digest, created=False)
    version = newest.version + 1
    definition = orjson.dumps(read.document)
    if isinstance(read.resource, Workflow):
        workflow = read.resource
        row = WorkflowVersion(
            namespace=namespace,
            id=workflow.id,
            version=version,
            digest=digest,
            name=workflow.name,
            format=workflow.dialect.value,
            definition=definition,
            labels=workflow.labels,
            created_at=_UNDATED,
        )
        known = versions.keys() | locked.tasks.keys()
        await change.add_workflow(row, workflow.task_refs & known)
        analysis = await asyncio.to_thread(analyse, workflow)
        await change.add_analysis(workflow.id, version, analysis.SerializeToString())
    else:
        task = read.resource
        await change.add_task(
            TaskVersion(
                namespace=namespace,
                name=task.name,
                version=version,
                digest=digest,
                type=task.type,
                definition=definition,
                labels=task.labels,
                created_at=_UNDATED,
            )
        )
    return Applied(read.kind, read.name, version, digest, created=True)
