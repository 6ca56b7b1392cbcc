"""Versions of workflows and tasks as rows. A version, once written, never changes."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, TypeVar

import asyncpg

from flowmesh.definition import limits
from flowmesh.definition.paging import Filter
from flowmesh.definition.records import (
    PlanKey,
    PublicNode,
    Request,
    TaskVersion,
    Usage,
    WorkflowVersion,
)
from flowmesh.errors import Conflict
from flowmesh.storage import load_queries

Record = TypeVar("Record")


class DefinitionStore:
    """Reads of the schema, and the transactions that change it."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.definition").joinpath("sql"))

    @asynccontextmanager
    async def change(self, namespace: str) -> AsyncIterator["Change"]:
        """A transaction: everything done in it is written, or nothing."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield Change(self._sql, connection, namespace)

    async def answer(self, namespace: str, request: Request) -> Any:
        """The answer of an earlier call with the request's id; None where there was none."""
        row = await self._sql.request_answer(self._pool, namespace=namespace, request_id=request.id)
        return _answer_of(row, request)

    async def workflow(
        self, namespace: str, workflow_id: str, version: int
    ) -> WorkflowVersion | None:
        row = await self._sql.workflow_version(
            self._pool, namespace=namespace, id=workflow_id, version=version
        )
        return _workflow(namespace, row) if row is not None else None

    async def workflow_lives(self, namespace: str, workflow_id: str) -> bool:
        return bool(await self._sql.workflow_lives(self._pool, namespace=namespace, id=workflow_id))

    async def workflows_page(
        self, namespace: str, wanted: Filter, *, after: str, count: int
    ) -> tuple[list[WorkflowVersion], bool]:
        """A page, and whether another one follows."""
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
        return await _page(namespace, rows, _workflow)

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
        return await _page(namespace, rows, _workflow)

    async def analysis(self, namespace: str, workflow_id: str, version: int) -> bytes | None:
        found: bytes | None = await self._sql.analysis(
            self._pool, namespace=namespace, id=workflow_id, version=version
        )
        return found

    async def public_nodes(
        self, namespace: str, *, after: str, count: int
    ) -> tuple[list[PublicNode], bool]:
        """Those of so many workflows, and whether others have some too."""
        rows = self._sql.public_nodes(self._pool, namespace=namespace, after=after, count=count)
        found = [PublicNode(row["id"], row["version"], row["node"]) async for row in rows]
        ids = list(dict.fromkeys(node.workflow_id for node in found))
        shown = frozenset(ids[:count])
        return [node for node in found if node.workflow_id in shown], len(ids) > count

    async def task(self, namespace: str, name: str, version: int) -> TaskVersion | None:
        row = await self._sql.task_version(
            self._pool, namespace=namespace, name=name, version=version
        )
        return _task(namespace, row) if row is not None else None

    async def newest_tasks(
        self, namespace: str, names: Collection[str]
    ) -> dict[str, tuple[int, bytes]]:
        """Version and definition of those of the names that exist."""
        if not names:
            return {}
        rows = self._sql.newest_tasks(self._pool, namespace=namespace, names=sorted(names))
        return {row["name"]: (row["version"], row["definition"]) async for row in rows}

    async def tasks_page(
        self, namespace: str, *, after: str, count: int
    ) -> tuple[list[TaskVersion], bool]:
        rows = self._sql.tasks_page(
            self._pool,
            namespace=namespace,
            after=after,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await _page(namespace, rows, _task)

    async def usages(self, namespace: str, task: str) -> list[Usage]:
        rows = self._sql.task_usages(self._pool, namespace=namespace, name=task)
        return [Usage(row["id"], row["version"]) async for row in rows]

    async def plan_key(self, namespace: str, workflow_id: str, version: int) -> PlanKey | None:
        rows = [
            row
            async for row in self._sql.plan_key(
                self._pool, namespace=namespace, id=workflow_id, version=version
            )
        ]
        if not rows:
            return None
        tasks = tuple((row["task"], row["task_version"]) for row in rows if row["task"])
        return PlanKey(namespace, workflow_id, rows[0]["version"], tasks)


class Change:
    """One transaction. Names are locked in one order: request, tasks, workflows, each sorted."""

    def __init__(self, sql: Any, connection: Any, namespace: str) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace

    async def claim(self, request: Request) -> Any:
        """Takes the request id, or gives the answer of the call that had it before."""
        key = f"flowmesh.definition.{self._namespace}/{request.id}"
        await self._sql.lock_request(self._connection, key=key)
        row = await self._sql.request_answer(
            self._connection, namespace=self._namespace, request_id=request.id
        )
        return _answer_of(row, request)

    async def remember(self, request: Request, answer: Any) -> None:
        await self._sql.add_request(
            self._connection,
            namespace=self._namespace,
            request_id=request.id,
            content=request.content,
            answer=json.dumps(answer).encode(),
        )
        await self._sql.forget_requests(
            self._connection,
            hours=limits.REQUESTS_KEPT_HOURS,
            count=limits.REQUESTS_FORGOTTEN_AT_ONCE,
        )

    async def lock_tasks(self, names: Sequence[str]) -> dict[str, "Newest"]:
        """Locks the names, new ones included, and tells their newest versions."""
        if not names:
            return {}
        await self._sql.make_tasks(self._connection, namespace=self._namespace, names=sorted(names))
        rows = self._sql.lock_tasks(
            self._connection, namespace=self._namespace, names=sorted(names)
        )
        return {row["name"]: Newest(row) async for row in rows}

    async def hold_tasks(self, names: Collection[str]) -> dict[str, int]:
        """Newest versions of the live ones of the names, which stay so until the commit."""
        if not names:
            return {}
        rows = self._sql.hold_tasks(
            self._connection, namespace=self._namespace, names=sorted(names)
        )
        return {row["name"]: row["version"] async for row in rows}

    async def add_task(self, task: TaskVersion) -> None:
        await self._sql.add_task_version(
            self._connection,
            namespace=self._namespace,
            name=task.name,
            version=task.version,
            digest=task.digest,
            type=task.type,
            definition=task.definition,
            labels=json.dumps(task.labels),
        )
        await self._sql.set_task_newest(
            self._connection, namespace=self._namespace, name=task.name, version=task.version
        )

    async def lock_workflows(self, ids: Sequence[str]) -> dict[str, "Newest"]:
        if not ids:
            return {}
        await self._sql.make_workflows(self._connection, namespace=self._namespace, ids=sorted(ids))
        rows = self._sql.lock_workflows(
            self._connection, namespace=self._namespace, ids=sorted(ids)
        )
        return {row["id"]: Newest(row) async for row in rows}

    async def add_workflow(self, workflow: WorkflowVersion, task_refs: Collection[str]) -> None:
        """Writes a version and makes it the newest; `task_refs` are tasks of the library."""
        labels = json.dumps(workflow.labels)
        tasks = sorted(task_refs)
        named = {"namespace": self._namespace, "id": workflow.id, "version": workflow.version}
        await self._sql.add_workflow_version(
            self._connection,
            **named,
            digest=workflow.digest,
            name=workflow.name,
            format=workflow.format,
            definition=workflow.definition,
            labels=labels,
            task_refs=tasks,
        )
        await self._sql.set_workflow_newest(self._connection, **named, labels=labels)
        await self._set_usages(workflow.id, tasks)

    async def add_analysis(self, workflow_id: str, version: int, analysis: bytes) -> None:
        await self._sql.add_analysis(
            self._connection,
            namespace=self._namespace,
            id=workflow_id,
            version=version,
            analysis=analysis,
        )

    async def _set_usages(self, workflow_id: str, tasks: Sequence[str]) -> None:
        named = {"namespace": self._namespace, "workflow": workflow_id}
        await self._sql.clear_usages(self._connection, **named)
        if tasks:
            await self._sql.add_usages(self._connection, **named, tasks=tasks)

    async def retire_workflow(self, workflow_id: str) -> bool:
        """Deletes a workflow with its versions; False where there is none."""
        named = {"namespace": self._namespace, "id": workflow_id}
        if await self._sql.retire_workflow(self._connection, **named) is None:
            return False
        await self._set_usages(workflow_id, ())
        await self._sql.delete_workflow_versions(self._connection, **named)
        return True

    async def usages(self, task: str) -> list[Usage]:
        rows = self._sql.task_usages(self._connection, namespace=self._namespace, name=task)
        return [Usage(row["id"], row["version"]) async for row in rows]

    async def retire_task(self, name: str) -> None:
        named = {"namespace": self._namespace, "name": name}
        await self._sql.retire_task(self._connection, **named)
        await self._sql.delete_task_versions(self._connection, **named)


class Newest:
    """A locked name: the last number given out, and the digest it stands for while it lives."""

    __slots__ = ("digest", "live", "version")

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.version: int = row["version"]
        self.live: bool = row["live"]
        self.digest: str = row["digest"] if self.live else ""


def _answer_of(row: Mapping[str, Any] | None, request: Request) -> Any:
    if row is None:
        return None
    if row["content"] != request.content:
        message = f"request_id {request.id!r} was used for another change; use a new one"
        raise Conflict("REQUEST_ID_REUSED", message)
    return json.loads(row["answer"])


async def _page(
    namespace: str,
    rows: AsyncIterator[Mapping[str, Any]],
    record_of: Callable[[str, Mapping[str, Any]], Record],
) -> tuple[list[Record], bool]:
    found, held = [], 0
    async for row in rows:
        found.append(record_of(namespace, row))
        held = row["held"]
    return found, held > len(found)


def _workflow(namespace: str, row: Mapping[str, Any]) -> WorkflowVersion:
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


def _task(namespace: str, row: Mapping[str, Any]) -> TaskVersion:
    return TaskVersion(
        namespace=namespace,
        name=row["name"],
        version=row["version"],
        digest=row["digest"],
        type=row["type"],
        definition=row["definition"],
        labels=json.loads(row["labels"]),
        created_at=row["created_at"],
    )
