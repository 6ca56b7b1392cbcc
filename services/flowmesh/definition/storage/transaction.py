"""A transaction that changes definitions."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.definition import limits
from flowmesh.definition.storage.owners import Owners
from flowmesh.definition.storage.records import (
    Action,
    Author,
    ChangeDetails,
    Dependent,
    Label,
    Request,
    ResolvedReference,
    TaskVersion,
    TemplateVersion,
    WorkflowVersion,
)
from flowmesh.definition.storage.rows import dependent_of, label_of, ref_columns
from flowmesh.definition.storage.trigger_grants import TriggerGrants
from flowmesh.definition.storage.workflow_count import WorkflowCount
from flowmesh.definition.storage.workflow_sources import WorkflowSources
from flowmesh.definitions import TaskRef
from flowmesh.errors import Conflict


class Transaction:
    """Locks names in one order: request, tasks, workflows, each sorted."""

    def __init__(self, sql: Any, connection: Any, namespace: str) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace
        self.workflow_count = WorkflowCount(sql, connection, namespace)
        self.trigger_grants = TriggerGrants(sql, connection, namespace)
        self.sources = WorkflowSources(sql, connection, namespace)
        self.owners = Owners(sql, connection, namespace)

    async def claim(self, request: Request) -> Any:
        """Claim the request id, or return the answer of the earlier call with this id."""
        key = f"flowmesh.definition.{self._namespace}/{request.id}"
        await self._sql.lock_request(self._connection, key=key)
        row = await self._sql.request_answer(
            self._connection, namespace=self._namespace, request_id=request.id
        )
        return answer_of(row, request)

    async def store_answer(self, request: Request, answer: Any) -> None:
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

    async def add_change(self, details: ChangeDetails, author: Author) -> None:
        """Record a change with its author. Raises OWNED_ELSEWHERE if another system manages it."""
        await self.owners.claim(details.kind, details.name, author)
        if details.action == Action.DELETED:
            await self.owners.forget(details.kind, details.name)
        await self._sql.add_change(
            self._connection,
            namespace=self._namespace,
            kind=details.kind,
            name=details.name,
            action=int(details.action),
            version=details.version,
            previous_version=details.previous_version,
            label=details.label,
            actor=author.actor,
            reason=author.reason,
            differences=json.dumps(details.differences),
            truncated=details.truncated,
        )

    # --- tasks ---

    async def lock_tasks(
        self, names: Sequence[str], refs: Collection[TaskRef]
    ) -> dict[str, "Newest"]:
        """Lock the tasks `names`, creating missing rows, and the referred tasks `refs`.

        Return the newest versions of `names`.
        """
        if not names:
            held = ref_columns(refs)
            del held["versions"]
            async for _ in self._sql.hold_tasks(self._connection, **held):
                pass
            return {}
        await self._sql.make_tasks(self._connection, namespace=self._namespace, names=sorted(names))
        locked = ref_columns({*refs, *(TaskRef(self._namespace, name) for name in names)})
        del locked["versions"]
        rows = self._sql.lock_tasks(self._connection, **locked)
        return {
            row["name"]: Newest(row)
            async for row in rows
            if row["namespace"] == self._namespace and row["name"] in names
        }

    async def resolve_references(
        self, refs: Collection[TaskRef]
    ) -> dict[TaskRef, ResolvedReference]:
        """Resolve references to their current versions; unresolvable ones are left out."""
        if not refs:
            return {}
        rows = self._sql.resolve_references(self._connection, **ref_columns(refs))
        return {
            TaskRef(row["namespace"], row["name"], row["pinned"]): ResolvedReference(
                row["version"], row["visibility"]
            )
            async for row in rows
        }

    async def dependents(self, tasks: Collection[str]) -> list[Dependent]:
        rows = self._sql.task_users(
            self._connection, namespace=self._namespace, names=sorted(tasks)
        )
        return [dependent_of(row) async for row in rows]

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
            self._connection,
            namespace=self._namespace,
            name=task.name,
            version=task.version,
            visibility=task.visibility,
        )

    async def task_definition(self, name: str, version: int) -> bytes | None:
        row = await self._sql.task_version(
            self._connection, namespace=self._namespace, name=name, version=version
        )
        return row["definition"] if row is not None else None

    async def retire_task(self, name: str) -> None:
        named = {"namespace": self._namespace, "name": name}
        await self._sql.retire_task(self._connection, **named)
        await self._sql.delete_task_versions(self._connection, **named)

    async def delete_task_version(self, name: str, version: int) -> None:
        await self._sql.delete_task_version(
            self._connection, namespace=self._namespace, name=name, version=version
        )

    # --- workflows ---

    async def lock_workflows(self, ids: Sequence[str]) -> dict[str, "Newest"]:
        if not ids:
            return {}
        await self._sql.make_workflows(self._connection, namespace=self._namespace, ids=sorted(ids))
        rows = self._sql.lock_workflows(
            self._connection, namespace=self._namespace, ids=sorted(ids)
        )
        return {row["id"]: Newest(row) async for row in rows}

    async def lock_workflow(self, workflow_id: str) -> "Newest | None":
        """Lock an existing workflow; return None if there is none."""
        rows = self._sql.lock_workflows(
            self._connection, namespace=self._namespace, ids=[workflow_id]
        )
        found = [Newest(row) async for row in rows]
        return found[0] if found and found[0].live else None

    async def workflow_definition(self, workflow_id: str, version: int) -> bytes | None:
        row = await self._sql.workflow_version(
            self._connection, namespace=self._namespace, id=workflow_id, version=version
        )
        return row["definition"] if row is not None else None

    async def add_workflow(self, workflow: WorkflowVersion, uses: Collection[TaskRef]) -> None:
        """Insert a version and make it the newest; `uses` are references to stored tasks."""
        labels = json.dumps(workflow.labels)
        named = {"namespace": self._namespace, "id": workflow.id, "version": workflow.version}
        await self._sql.add_workflow_version(
            self._connection,
            **named,
            digest=workflow.digest,
            name=workflow.name,
            format=workflow.format,
            definition=workflow.definition,
            labels=labels,
        )
        await self._sql.set_workflow_newest(self._connection, **named, labels=labels)
        if uses:
            columns = ref_columns(uses)
            await self._sql.add_task_uses(
                self._connection,
                namespace=self._namespace,
                workflow=workflow.id,
                version=workflow.version,
                task_namespaces=columns["namespaces"],
                tasks=columns["names"],
                task_versions=columns["versions"],
            )

    async def set_triggers(self, changed: Sequence[trigger_pb2.WorkflowTriggers]) -> None:
        """Store triggers of newest versions. Raise HOOK_TAKEN for the URL of another workflow."""
        if not changed:
            return
        hooks = {
            "hooks": [each.webhook.hook for one in changed for each in _called(one)],
            "workflows": [one.workflow_id for one in changed for _ in _called(one)],
        }
        if hooks["hooks"]:
            key = f"flowmesh.definition.hooks/{self._namespace}"
            await self._sql.lock_hooks(self._connection, key=key)
        for one in changed:
            await self._sql.set_triggers(
                self._connection,
                namespace=self._namespace,
                workflow=one.workflow_id,
                body=one.SerializeToString() if one.triggers else b"",
            )
        ids = [one.workflow_id for one in changed]
        await self._sql.free_hooks(self._connection, namespace=self._namespace, workflows=ids)
        if not hooks["hooks"]:
            return
        named = {"namespace": self._namespace, **hooks}
        await self._sql.take_hooks(self._connection, **named)
        async for row in self._sql.hooks_of_others(self._connection, **named):
            message = f"the URL {row['hook']!r} belongs to workflow {row['workflow']!r}"
            raise Conflict("HOOK_TAKEN", f"{message}; choose another path for the webhook")

    async def add_analysis(self, workflow_id: str, version: int, analysis: bytes) -> None:
        await self._sql.add_analysis(
            self._connection,
            namespace=self._namespace,
            id=workflow_id,
            version=version,
            analysis=analysis,
        )

    async def retire_workflow(self, workflow_id: str) -> bool:
        """Delete a workflow with its versions; return False if there is none."""
        named = {"namespace": self._namespace, "id": workflow_id}
        if await self._sql.retire_workflow(self._connection, **named) is None:
            return False
        await self._sql.delete_workflow_versions(self._connection, **named)
        nothing = trigger_pb2.WorkflowTriggers(workflow_id=workflow_id)
        await self.set_triggers([nothing])
        return True

    # --- templates ---

    async def lock_templates(self, names: Sequence[str]) -> dict[str, "Newest"]:
        if not names:
            return {}
        await self._sql.make_templates(
            self._connection, namespace=self._namespace, names=sorted(names)
        )
        rows = self._sql.lock_templates(
            self._connection, namespace=self._namespace, names=sorted(names)
        )
        return {row["name"]: Newest(row) async for row in rows}

    async def add_template(self, template: TemplateVersion) -> None:
        named = {
            "namespace": self._namespace,
            "name": template.name,
            "version": template.version,
        }
        await self._sql.add_template_version(
            self._connection,
            **named,
            digest=template.digest,
            definition=template.definition,
            labels=json.dumps(template.labels),
        )
        await self._sql.set_template_newest(self._connection, **named)

    async def retire_template(self, name: str) -> int | None:
        """Delete a template with its versions; return the newest number, or None if missing."""
        named = {"namespace": self._namespace, "name": name}
        version: int | None = await self._sql.retire_template(self._connection, **named)
        if version is not None:
            await self._sql.delete_template_versions(self._connection, **named)
        return version

    # --- labels ---

    async def has_version(self, workflow_id: str, version: int) -> bool:
        return bool(
            await self._sql.version_exists(
                self._connection, namespace=self._namespace, id=workflow_id, version=version
            )
        )

    async def labels(self, workflow_id: str) -> dict[str, Label]:
        rows = self._sql.labels(self._connection, namespace=self._namespace, workflow=workflow_id)
        return {row["label"]: label_of(row) async for row in rows}

    async def set_label(
        self, workflow_id: str, label: str, version: int, earlier: Sequence[int], moved_by: str
    ) -> Label:
        row = await self._sql.set_label(
            self._connection,
            namespace=self._namespace,
            workflow=workflow_id,
            label=label,
            version=version,
            earlier=list(earlier),
            moved_by=moved_by,
        )
        return label_of(row)

    async def delete_label(self, workflow_id: str, label: str) -> None:
        await self._sql.delete_label(
            self._connection, namespace=self._namespace, workflow=workflow_id, label=label
        )


def _called(triggers: trigger_pb2.WorkflowTriggers) -> list[trigger_pb2.Trigger]:
    """The triggers that have a URL."""
    return [each for each in triggers.triggers if each.HasField("webhook")]


class Newest:
    """A locked name: its last version number, and the digest of that version unless deleted."""

    __slots__ = ("digest", "live", "version")

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.version: int = row["version"]
        self.live: bool = row["live"]
        self.digest: str = row["digest"] if self.live else ""


def answer_of(row: Mapping[str, Any] | None, request: Request) -> Any:
    """Return the answer stored for a request id. Raise Conflict if the content differs."""
    if row is None:
        return None
    if row["content"] != request.content:
        message = f"request_id {request.id!r} was used for another change; use a new one"
        raise Conflict("REQUEST_ID_REUSED", message)
    return json.loads(row["answer"])
