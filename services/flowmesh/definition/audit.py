"""Records of changes to definitions."""

import asyncio
from typing import Any

import orjson

from flowmesh.definition import limits
from flowmesh.definition.storage.records import Action, ChangeDetails
from flowmesh.definition.storage.transaction import Newest, Transaction
from flowmesh.definitions import Read, Task, Workflow, load_task, load_workflow
from flowmesh.definitions.versions import Difference, diff_tasks, diff_workflows


async def change_to(change: Transaction, read: Read, newest: Newest) -> ChangeDetails:
    """Describe the change that a new version makes, with its differences."""
    version = newest.version + 1
    if not newest.live:
        return ChangeDetails(read.kind, read.name, Action.CREATED, version)
    before = None
    if isinstance(read.resource, Workflow):
        before = await change.workflow_definition(read.name, newest.version)
    elif isinstance(read.resource, Task):
        before = await change.task_definition(read.name, newest.version)
    found = await asyncio.to_thread(_differences, read, before) if before is not None else []
    kept = found[: limits.DIFFERENCES_KEPT_MAX]
    return ChangeDetails(
        read.kind,
        read.name,
        Action.CHANGED,
        version,
        newest.version,
        differences=tuple(map(difference_record, kept)),
        truncated=len(kept) < len(found),
    )


def _differences(read: Read, before: bytes) -> list[Difference]:
    match read.resource:
        case Workflow() as workflow:
            return diff_workflows(load_workflow(orjson.loads(before)), workflow)
        case Task() as task:
            return diff_tasks(load_task(orjson.loads(before)), task)
        case _:
            return []


def difference_record(difference: Difference) -> dict[str, Any]:
    """Return a difference as text; long values are truncated."""
    return {
        "area": difference.area,
        "action": difference.action,
        "subject": difference.subject,
        "field": difference.field,
        "before": _text(difference.before),
        "after": _text(difference.after),
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value)[: limits.DIFFERENCE_BYTES_MAX].decode("utf-8", "ignore")
