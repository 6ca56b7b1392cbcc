"""Labels of versions, recorded changes, and differences between versions."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import orjson

from flowmesh.definition import limits
from flowmesh.definition.catalog import (
    DefinitionCatalog,
    label_not_found,
    parse_selector,
    request_of,
    workflow_not_found,
)
from flowmesh.definition.notices import Notices
from flowmesh.definition.paging import page_size
from flowmesh.definition.storage.records import (
    Action,
    Author,
    Change,
    ChangeDetails,
    ConcurrentChange,
    Label,
    Request,
    WorkflowVersion,
)
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.storage.transaction import Transaction
from flowmesh.definitions import load_workflow, refuse
from flowmesh.definitions.versions import Difference, diff_workflows
from flowmesh.errors import Invalid, NotFound, Overloaded, Violation, WrongState
from flowmesh.rpc import last_of_token, page_token

NUMBER_MAX = 2**63 - 1
KINDS = {
    "Workflow": "WORKFLOW_NOT_FOUND",
    "WorkflowTask": "TASK_NOT_FOUND",
    "WorkflowTemplate": "TEMPLATE_NOT_FOUND",
}


@dataclass(frozen=True, slots=True)
class MovedLabel:
    """A label after a move, and its previous target; 0 means none."""

    label: Label
    previous_version: int


class Versions:
    """Labels, changes and differences of the workflows of all namespaces."""

    def __init__(
        self, *, store: DefinitionStore, catalog: DefinitionCatalog, notices: Notices
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._notices = notices

    # --- labels ---

    async def labels(self, namespace: str, workflow_id: str) -> list[Label]:
        found = await self._store.labels(namespace, workflow_id)
        if not found and not await self._store.workflow_lives(namespace, workflow_id):
            raise workflow_not_found(workflow_id, 0)
        return found

    async def set_label(
        self,
        namespace: str,
        workflow_id: str,
        label: str,
        selector: str,
        author: Author,
        request_id: str,
    ) -> MovedLabel:
        """Point a label to a version. A label that already points to it is unchanged."""
        _check_label(label)
        if parse_selector(selector) == (0, ""):
            message = "version must be a version number from 1, or another label"
            violation = Violation("version", message, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", message, violations=(violation,))
        content = f"{workflow_id}\0{label}\0{selector}".encode()
        request = request_of(request_id, b"set-label", content)

        async def where(_before: Label | None) -> int:
            return await self._catalog.version_of(namespace, workflow_id, selector)

        async def move(change: Transaction, before: Label | None, version: int) -> MovedLabel:
            if before is None:
                earlier: tuple[int, ...] = ()
            elif before.version == version:
                return MovedLabel(before, version)
            else:
                earlier = (before.version, *before.earlier)[: limits.LABEL_MOVES_KEPT]
            moved = await change.set_label(workflow_id, label, version, earlier, author.actor)
            previous = before.version if before is not None else 0
            await change.add_change(
                _details(workflow_id, Action.LABEL_SET, moved, previous), author
            )
            return MovedLabel(moved, previous)

        return await self._moved(namespace, workflow_id, label, where, move, request)

    async def rollback_label(
        self, namespace: str, workflow_id: str, label: str, author: Author, request_id: str
    ) -> MovedLabel:
        """Move a label back to its previous target; repeated calls go further back."""
        content = f"{workflow_id}\0{label}".encode()
        request = request_of(request_id, b"rollback-label", content)

        async def where(before: Label | None) -> int:
            if before is None:
                raise label_not_found(workflow_id, label)
            if not before.earlier:
                message = f"label {label!r} of {workflow_id} never pointed to another version"
                raise WrongState("LABEL_NOT_MOVED", message)
            return before.earlier[0]

        async def move(change: Transaction, before: Label | None, version: int) -> MovedLabel:
            assert before is not None
            moved = await change.set_label(
                workflow_id, label, version, before.earlier[1:], author.actor
            )
            details = _details(workflow_id, Action.LABEL_ROLLED_BACK, moved, before.version)
            await change.add_change(details, author)
            return MovedLabel(moved, before.version)

        return await self._moved(namespace, workflow_id, label, where, move, request)

    async def delete_label(
        self, namespace: str, workflow_id: str, label: str, author: Author, request_id: str
    ) -> None:
        request = request_of(request_id, b"delete-label", f"{workflow_id}\0{label}".encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            if await change.lock_workflow(workflow_id) is None:
                raise workflow_not_found(workflow_id, 0)
            before = (await change.labels(workflow_id)).get(label)
            if before is None:
                raise label_not_found(workflow_id, label)
            await change.delete_label(workflow_id, label)
            details = ChangeDetails(
                "Workflow",
                workflow_id,
                Action.LABEL_DELETED,
                previous_version=before.version,
                label=label,
            )
            await change.add_change(details, author)
            if request is not None:
                await change.store_answer(request, True)
        await self._notices.changed(namespace, [workflow_id])

    async def _moved(
        self,
        namespace: str,
        workflow_id: str,
        label: str,
        where: Callable[[Label | None], Awaitable[int]],
        move: Callable[[Transaction, Label | None, int], Awaitable[MovedLabel]],
        request: Request | None,
    ) -> MovedLabel:
        """Move a label to a version that passes the checks with the current tasks."""
        earlier = await self._store.answer(namespace, request) if request is not None else None
        if earlier is not None:
            return _moved_of(earlier)
        for _ in range(limits.APPLY_ATTEMPTS_MAX):
            labels = {each.name: each for each in await self.labels(namespace, workflow_id)}
            before = labels.get(label)
            version = await where(before)
            problems, references = await self._catalog.checker.check_version(
                (namespace, workflow_id, version)
            )
            refuse(problems)
            try:
                async with self._store.change(namespace) as change:
                    if request is not None:
                        earlier = await change.claim(request)
                        if earlier is not None:
                            return _moved_of(earlier)
                    await change.lock_tasks([], references.keys())
                    if await change.resolve_references(references.keys()) != references:
                        raise ConcurrentChange
                    if await change.lock_workflow(workflow_id) is None:
                        raise workflow_not_found(workflow_id, 0)
                    labels = await change.labels(workflow_id)
                    if labels.get(label) != before:
                        raise ConcurrentChange
                    if not await change.has_version(workflow_id, version):
                        raise ConcurrentChange
                    if before is None and len(labels) >= limits.LABELS_MAX:
                        message = f"a workflow has at most {limits.LABELS_MAX} labels; delete one"
                        raise WrongState("LABELS_FULL", message)
                    moved = await move(change, before, version)
                    if request is not None:
                        await change.store_answer(request, _answer_of(moved))
            except ConcurrentChange:
                continue
            await self._notices.changed(namespace, [workflow_id])
            return moved
        message = "the label or the tasks of the version keep changing; try again"
        raise Overloaded("OVERLOADED", message, retry_after_ms=100)

    # --- changes and differences ---

    async def changes(
        self, namespace: str, kind: str, name: str, *, label: str, size: int, token: str
    ) -> tuple[list[Change], str]:
        """Return the changes of a name, newest first; also of a deleted name."""
        reason = KINDS.get(kind)
        if reason is None:
            what = f"kind must be one of {', '.join(KINDS)}"
            raise Invalid(
                "REQUEST_INVALID", what, violations=(Violation("kind", what, "REQUEST_INVALID"),)
            )
        page = f"changes/{namespace}/{kind}/{name}/{label}"
        before = int(last_of_token(token, page) or NUMBER_MAX)
        found, more = await self._store.changes_page(
            namespace, kind, name, label=label, before=before, count=page_size(size)
        )
        if not found and not await self._store.changed_ever(namespace, kind, name):
            raise NotFound(reason, f"no {kind} {name!r} has ever existed")
        return found, page_token(page, str(found[-1].number)) if more else ""

    async def diff(
        self, namespace: str, workflow_id: str, before: str, after: str
    ) -> tuple[WorkflowVersion, WorkflowVersion, list[Difference]]:
        """Return the two selected versions, and their differences."""
        old, new = [
            await self._catalog.selected(namespace, workflow_id, selector)
            for selector in (before, after)
        ]
        found = await asyncio.to_thread(
            diff_workflows,
            load_workflow(orjson.loads(old.definition)),
            load_workflow(orjson.loads(new.definition)),
        )
        return old, new, found


def _check_label(label: str) -> None:
    if label.isdecimal():
        message = f"label {label!r} is a number, which names a version; use another name"
        raise Invalid(
            "LABEL_INVALID", message, violations=(Violation("label", message, "LABEL_INVALID"),)
        )


def _details(workflow_id: str, action: Action, label: Label, previous: int) -> ChangeDetails:
    return ChangeDetails("Workflow", workflow_id, action, label.version, previous, label.name)


def _answer_of(moved: MovedLabel) -> dict[str, object]:
    label = moved.label
    return {
        "name": label.name,
        "version": label.version,
        "moved_by": label.moved_by,
        "moved_at": label.moved_at.isoformat(),
        "previous_version": moved.previous_version,
    }


def _moved_of(answer: dict[str, object]) -> MovedLabel:
    label = Label(
        str(answer["name"]),
        int(str(answer["version"])),
        (),
        str(answer["moved_by"]),
        datetime.fromisoformat(str(answer["moved_at"])),
    )
    return MovedLabel(label, int(str(answer["previous_version"])))
