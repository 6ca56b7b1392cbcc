"""Versions of workflows and tasks as rows. Versions are immutable."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from importlib.resources import files
from typing import Any

import asyncpg

from flowmesh.access.audited import audited_call
from flowmesh.definition import limits
from flowmesh.definition.paging import Filter
from flowmesh.definition.storage.records import (
    Change,
    Dependent,
    Label,
    PlanKey,
    PublicNode,
    ReferredTask,
    Request,
    SourceRecord,
    TaskVersion,
    Usage,
    WorkflowVersion,
)
from flowmesh.definition.storage.rows import (
    change_of,
    dependent_of,
    first_of,
    label_of,
    page_of,
    ref_columns,
    task_of,
    usage_of,
    workflow_of,
)
from flowmesh.definition.storage.template_reads import TemplateReads
from flowmesh.definition.storage.transaction import Transaction, answer_of
from flowmesh.definition.storage.trigger_reads import TriggerReads
from flowmesh.definitions import TaskRef
from flowmesh.storage import load_queries

VersionId = tuple[str, str, int]


class DefinitionStore:
    """Queries of the schema, and the transactions that change it."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", *, call: Callable[[], str] = audited_call
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.definition").joinpath("sql"), call=call)
        self.templates = TemplateReads(pool, self._sql)
        self.triggers = TriggerReads(pool, self._sql)

    @asynccontextmanager
    async def change(self, namespace: str) -> AsyncIterator[Transaction]:
        """Open a transaction; all its changes are committed, or none."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Transaction(self._sql, connection, namespace)

    async def answer(self, namespace: str, request: Request) -> Any:
        """Return the stored answer of an earlier call with the request id, or None."""
        row = await self._sql.request_answer(self._pool, namespace=namespace, request_id=request.id)
        return answer_of(row, request)

    async def namespaces(self) -> list[str]:
        """Return the namespaces that have workflows or tasks."""
        return [row["namespace"] async for row in self._sql.namespaces(self._pool)]

    # --- workflows ---

    async def version_number(
        self, namespace: str, workflow_id: str, version: int, label: str
    ) -> int | None:
        """Return the number of a version given by number, by label, or by neither (the newest)."""
        found: int | None = await self._sql.workflow_version_number(
            self._pool, namespace=namespace, id=workflow_id, version=version, label=label
        )
        return found

    async def workflow(
        self, namespace: str, workflow_id: str, version: int
    ) -> WorkflowVersion | None:
        row = await self._sql.workflow_version(
            self._pool, namespace=namespace, id=workflow_id, version=version
        )
        return workflow_of(namespace, row) if row is not None else None

    async def source(self, namespace: str, workflow_id: str, version: int) -> SourceRecord | None:
        """Return the text that a version was applied from, if it has one."""
        row = await self._sql.workflow_source(
            self._pool, namespace=namespace, id=workflow_id, version=version
        )
        return SourceRecord(row["content_type"], row["text"]) if row is not None else None

    async def definitions(self, versions: Collection[VersionId]) -> dict[VersionId, bytes]:
        """Return the documents of the versions that exist."""
        ordered = sorted(versions)
        rows = self._sql.workflow_versions_of(
            self._pool,
            namespaces=[namespace for namespace, _, _ in ordered],
            ids=[workflow for _, workflow, _ in ordered],
            versions=[version for _, _, version in ordered],
        )
        return {
            (row["namespace"], row["id"], row["version"]): row["definition"] async for row in rows
        }

    async def workflow_lives(self, namespace: str, workflow_id: str) -> bool:
        return bool(await self._sql.workflow_lives(self._pool, namespace=namespace, id=workflow_id))

    async def workflow_count(self, namespace: str) -> int:
        return int(await self._sql.count_workflows(self._pool, namespace=namespace))

    async def workflows_page(
        self, namespace: str, wanted: Filter, *, after: str, count: int
    ) -> tuple[list[WorkflowVersion], bool]:
        """Return a page, and whether another one follows."""
        rows = self._sql.workflows_page(
            self._pool,
            namespace=namespace,
            after=after,
            id_exact=wanted.id_exact,
            id_prefix=wanted.id_prefix,
            labels=wanted.labels_json,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, partial(workflow_of, namespace))

    async def versions_page(
        self, namespace: str, workflow_id: str, *, before: int, count: int
    ) -> tuple[list[WorkflowVersion], bool]:
        rows = self._sql.versions_page(
            self._pool,
            namespace=namespace,
            id=workflow_id,
            before=before,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, partial(workflow_of, namespace))

    async def plan_key(
        self, namespace: str, workflow_id: str, version: int, label: str
    ) -> PlanKey | None:
        rows = [
            row
            async for row in self._sql.plan_key(
                self._pool, namespace=namespace, id=workflow_id, version=version, label=label
            )
        ]
        if not rows:
            return None
        tasks = tuple(
            (TaskRef(row["task_namespace"], row["task"], row["pinned"]), row["task_version"] or 0)
            for row in rows
            if row["task"]
        )
        return PlanKey(namespace, workflow_id, rows[0]["version"], tasks)

    async def analysis(self, namespace: str, workflow_id: str, version: int) -> bytes | None:
        found: bytes | None = await self._sql.analysis(
            self._pool, namespace=namespace, id=workflow_id, version=version
        )
        return found

    async def public_nodes(
        self, namespace: str, *, after: str, count: int
    ) -> tuple[list[PublicNode], bool]:
        """Return the public nodes of `count` workflows, and whether more workflows follow."""
        rows = self._sql.public_nodes(
            self._pool,
            namespace=namespace,
            after=after,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        found, held = [], 0
        async for row in rows:
            found.append(PublicNode(row["id"], row["version"], row["node"]))
            held = row["held"]
        return found, held > len({node.workflow_id for node in found})

    # --- labels and changes ---

    async def labels(self, namespace: str, workflow_id: str) -> list[Label]:
        rows = self._sql.labels(self._pool, namespace=namespace, workflow=workflow_id)
        return [label_of(row) async for row in rows]

    async def changes_page(
        self, namespace: str, kind: str, name: str, *, label: str, before: int, count: int
    ) -> tuple[list[Change], bool]:
        rows = self._sql.changes_page(
            self._pool,
            namespace=namespace,
            kind=kind,
            name=name,
            label=label,
            before=before,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, partial(change_of, kind, name))

    async def changed_ever(self, namespace: str, kind: str, name: str) -> bool:
        return bool(
            await self._sql.changed_ever(self._pool, namespace=namespace, kind=kind, name=name)
        )

    # --- tasks ---

    async def task(self, namespace: str, name: str, version: int) -> TaskVersion | None:
        row = await self._sql.task_version(
            self._pool, namespace=namespace, name=name, version=version
        )
        return task_of(row) if row is not None else None

    async def referred_tasks(self, refs: Collection[TaskRef]) -> dict[TaskRef, ReferredTask]:
        """Resolve references to their current tasks; unresolvable ones are left out."""
        if not refs:
            return {}
        rows = self._sql.tasks_referred_to(self._pool, **ref_columns(refs))
        return {
            TaskRef(row["namespace"], row["name"], row["pinned"]): ReferredTask(
                row["version"], row["visibility"], row["definition"]
            )
            async for row in rows
        }

    async def referred_tasks_at(
        self, refs: Collection[TaskRef], moment: datetime
    ) -> dict[TaskRef, ReferredTask]:
        """Resolve references to the tasks that were current at a moment."""
        if not refs:
            return {}
        rows = self._sql.tasks_referred_to_at(self._pool, **ref_columns(refs), moment=moment)
        return {
            TaskRef(row["namespace"], row["name"], row["pinned"]): ReferredTask(
                row["version"], row["visibility"], row["definition"]
            )
            async for row in rows
        }

    async def tasks_page(
        self,
        namespace: str,
        *,
        after: str,
        shared: bool,
        count: int,
        visible: Collection[str] | None = None,
    ) -> tuple[list[TaskVersion], bool]:
        """Return tasks; with `shared` the public ones of `visible` namespaces, None for all."""
        rows = self._sql.tasks_page(
            self._pool,
            namespace=namespace,
            after=after,
            shared=shared,
            visible=None if visible is None else list(visible),
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, task_of)

    async def task_versions_page(
        self, namespace: str, name: str, *, before: int, count: int
    ) -> tuple[list[TaskVersion], bool]:
        rows = self._sql.task_versions_page(
            self._pool,
            namespace=namespace,
            name=name,
            before=before,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, task_of)

    # --- versions that refer to tasks ---

    async def dependents(self, namespace: str, tasks: Collection[str]) -> list[Dependent]:
        """Return the versions in use that refer to any version of one of the tasks."""
        rows = self._sql.task_users(self._pool, namespace=namespace, names=sorted(tasks))
        return [dependent_of(row) async for row in rows]

    async def usages_page(
        self,
        namespace: str,
        task: str,
        task_version: int,
        *,
        after: VersionId,
        count: int,
        visible: Collection[str] | None = None,
    ) -> tuple[list[Usage], bool]:
        """Return usages in `visible` namespaces; None stands for all."""
        rows = self._sql.task_usages_page(
            self._pool,
            namespace=namespace,
            name=task,
            task_version=task_version,
            visible=None if visible is None else list(visible),
            after_namespace=after[0],
            after_workflow=after[1],
            after_version=after[2],
            count=count,
        )
        return await first_of(rows, count, usage_of)
