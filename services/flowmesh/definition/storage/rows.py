"""Rows of the schema as records."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, TypeVar

from flowmesh.definition.storage.records import (
    Action,
    Author,
    Change,
    ChangeDetails,
    Dependent,
    Label,
    TaskVersion,
    TemplateVersion,
    Usage,
    WorkflowVersion,
)
from flowmesh.definitions import TaskRef

Row = Mapping[str, Any]
Record = TypeVar("Record")


async def page_of(
    rows: AsyncIterator[Row], record_of: Callable[[Row], Record]
) -> tuple[list[Record], bool]:
    """Return the records of a page that was cut by size, and whether another page follows."""
    found, held = [], 0
    async for row in rows:
        found.append(record_of(row))
        held = row["held"]
    return found, held > len(found)


async def first_of(
    rows: AsyncIterator[Row], count: int, record_of: Callable[[Row], Record]
) -> tuple[list[Record], bool]:
    """Return the first `count` records, and whether there are more; the query asks for one more."""
    found = [record_of(row) async for row in rows]
    return found[:count], len(found) > count


def workflow_of(namespace: str, row: Row) -> WorkflowVersion:
    return WorkflowVersion(
        namespace=namespace,
        id=row["id"],
        version=row["version"],
        digest=row["digest"],
        name=row["name"],
        format=row["format"],
        definition=row["definition"],
        labels=json.loads(row["labels"]),
        created_at=row["created_at"],
    )


def task_of(row: Row) -> TaskVersion:
    return TaskVersion(
        namespace=row["namespace"],
        name=row["name"],
        version=row["version"],
        digest=row["digest"],
        type=row["type"],
        definition=row["definition"],
        labels=json.loads(row["labels"]),
        created_at=row["created_at"],
        visibility=row["visibility"],
    )


def template_of(row: Row) -> TemplateVersion:
    return TemplateVersion(
        namespace=row["namespace"],
        name=row["name"],
        version=row["version"],
        digest=row["digest"],
        definition=row["definition"],
        labels=json.loads(row["labels"]),
        created_at=row["created_at"],
    )


def dependent_of(row: Row) -> Dependent:
    return Dependent(
        row["namespace"],
        row["workflow_id"],
        row["version"],
        row["task"],
        row["task_version"],
        row["labelled"],
    )


def usage_of(row: Row) -> Usage:
    return Usage(
        row["namespace"],
        row["workflow"],
        row["version"],
        row["task_version"],
        row["newest"],
        tuple(row["labels"]),
    )


def label_of(row: Row) -> Label:
    return Label(
        row["label"], row["version"], tuple(row["earlier"]), row["moved_by"], row["moved_at"]
    )


def change_of(kind: str, name: str, row: Row) -> Change:
    return Change(
        row["number"],
        ChangeDetails(
            kind,
            name,
            Action(row["action"]),
            row["version"],
            row["previous_version"],
            row["label"],
            tuple(json.loads(row["differences"])),
            row["truncated"],
        ),
        Author(row["actor"], row["reason"]),
        row["changed_at"],
    )


def ref_columns(refs: Collection[TaskRef]) -> dict[str, list[Any]]:
    """Return references as columns of a query, in sorted order."""
    ordered = sorted(refs)
    return {
        "namespaces": [ref.namespace for ref in ordered],
        "names": [ref.name for ref in ordered],
        "versions": [ref.version for ref in ordered],
    }
