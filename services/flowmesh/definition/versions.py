"""What is done with versions: labels that point to them, and what is known of their changes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import orjson

from flowmesh.definition import limits
from flowmesh.definition.api.paging import page_size
from flowmesh.definition.catalog import (
    DefinitionCatalog,
    choice_of,
    no_label,
    no_workflow,
    request_of,
)
from flowmesh.definition.notices import Notices
from flowmesh.definition.storage.records import (
    Action,
    Author,
    Change,
    Done,
    Label,
    Request,
    TasksMoved,
    WorkflowVersion,
)
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.storage.transaction import Transaction
from flowmesh.definitions import load_workflow, refuse
from flowmesh.definitions.versions import Difference, diff_workflows
from flowmesh.errors import Invalid, NotFound, Overloaded, Violation, WrongState
from flowmesh.rpc import last_of, page_token

NUMBER_MAX = 2**63 - 1
KINDS = {
    "Workflow": "WORKFLOW_NOT_FOUND",
    "WorkflowTask": "TASK_NOT_FOUND",
    "WorkflowTemplate": "TEMPLATE_NOT_FOUND",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """A label after it was moved, and where it pointed to before; 0 is nowhere."""

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
            raise no_workflow(workflow_id, 0)
        return found

    async def set_label(
        self,
        namespace: str,
        workflow_id: str,
        label: str,
        selector: str,
        author: Author,
        request_id: str,
    ) -> Moved:
        """Points a label to a version. One that points there already is not moved."""
        _check_label(label)
        if choice_of(selector) == (0, ""):
            message = "version is the number of a version, from 1 on, or another label"
            violation = Violation("version", message, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", message, violations=(violation,))
        content = f"{workflow_id}\0{label}\0{selector}".encode()
        request = request_of(request_id, b"set-label", content)

        async def where(_before: Label | None) -> int:
            return await self._catalog.version_of(namespace, workflow_id, selector)

        async def move(change: Transaction, before: Label | None, version: int) -> Moved:
            if before is None:
                earlier: tuple[int, ...] = ()
            elif before.version == version:
                return Moved(before, version)
            else:
                earlier = (before.version, *before.earlier)[: limits.LABEL_MOVES_KEPT]
            moved = await change.set_label(workflow_id, label, version, earlier, author.actor)
            previous = before.version if before is not None else 0
            await change.note(_done(workflow_id, Action.LABEL_SET, moved, previous), author)
            return Moved(moved, previous)

        return await self._moved(namespace, workflow_id, label, where, move, request)

    async def rollback_label(
        self, namespace: str, workflow_id: str, label: str, author: Author, request_id: str
    ) -> Moved:
        """Points a label to where it pointed before; again, to where it pointed before that."""
        content = f"{workflow_id}\0{label}".encode()
        request = request_of(request_id, b"rollback-label", content)

        async def where(before: Label | None) -> int:
            if before is None:
                raise no_label(workflow_id, label)
            if not before.earlier:
                message = f"label {label!r} of {workflow_id} never pointed to another version"
                raise WrongState("LABEL_NOT_MOVED", message)
            return before.earlier[0]

        async def move(change: Transaction, before: Label | None, version: int) -> Moved:
            assert before is not None
            moved = await change.set_label(
                workflow_id, label, version, before.earlier[1:], author.actor
            )
            done = _done(workflow_id, Action.LABEL_ROLLED_BACK, moved, before.version)
            await change.note(done, author)
            return Moved(moved, before.version)

        return await self._moved(namespace, workflow_id, label, where, move, request)

    async def delete_label(
        self, namespace: str, workflow_id: str, label: str, author: Author, request_id: str
    ) -> None:
        request = request_of(request_id, b"delete-label", f"{workflow_id}\0{label}".encode())
        async with self._store.change(namespace) as change:
            if request is not None and await change.claim(request) is not None:
                return
            if await change.lock_workflow(workflow_id) is None:
                raise no_workflow(workflow_id, 0)
            before = (await change.labels(workflow_id)).get(label)
            if before is None:
                raise no_label(workflow_id, label)
            await change.delete_label(workflow_id, label)
            done = Done(
                "Workflow",
                workflow_id,
                Action.LABEL_DELETED,
                previous_version=before.version,
                label=label,
            )
            await change.note(done, author)
            if request is not None:
                await change.remember(request, True)
        await self._notices.changed(namespace, [workflow_id])

    async def _moved(
        self,
        namespace: str,
        workflow_id: str,
        label: str,
        where: Callable[[Label | None], Awaitable[int]],
        move: Callable[[Transaction, Label | None, int], Awaitable[Moved]],
        request: Request | None,
    ) -> Moved:
        """Moves a label to a version that works with the tasks as they are now."""
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
                    if await change.referred(references.keys()) != references:
                        raise TasksMoved
                    if await change.lock_workflow(workflow_id) is None:
                        raise no_workflow(workflow_id, 0)
                    labels = await change.labels(workflow_id)
                    if labels.get(label) != before:
                        raise TasksMoved
                    if not await change.has_version(workflow_id, version):
                        raise TasksMoved
                    if before is None and len(labels) >= limits.LABELS_MAX:
                        message = f"a workflow has at most {limits.LABELS_MAX} labels; remove one"
                        raise WrongState("LABELS_FULL", message)
                    moved = await move(change, before, version)
                    if request is not None:
                        await change.remember(request, _answer_of(moved))
            except TasksMoved:
                continue
            await self._notices.changed(namespace, [workflow_id])
            return moved
        message = "the label or the tasks of the version keep changing; try again"
        raise Overloaded("OVERLOADED", message, retry_after_ms=100)

    # --- changes and differences ---

    async def changes(
        self, namespace: str, kind: str, name: str, *, label: str, size: int, token: str
    ) -> tuple[list[Change], str]:
        """What was done under a name, newest first; also when nothing of the name is left."""
        reason = KINDS.get(kind)
        if reason is None:
            what = f"kind must be one of {', '.join(KINDS)}"
            raise Invalid(
                "REQUEST_INVALID", what, violations=(Violation("kind", what, "REQUEST_INVALID"),)
            )
        page = f"changes/{namespace}/{kind}/{name}/{label}"
        before = int(last_of(token, page) or NUMBER_MAX)
        found, more = await self._store.changes_page(
            namespace, kind, name, label=label, before=before, count=page_size(size)
        )
        if not found and not await self._store.changed_ever(namespace, kind, name):
            raise NotFound(reason, f"there never was a {kind} {name!r}")
        return found, page_token(page, str(found[-1].number)) if more else ""

    async def diff(
        self, namespace: str, workflow_id: str, before: str, after: str
    ) -> tuple[WorkflowVersion, WorkflowVersion, list[Difference]]:
        """The two versions that were chosen, and what differs between them."""
        old, new = [
            await self._catalog.chosen(namespace, workflow_id, selector)
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
        message = f"label {label!r} is a number, which names a version; choose a word"
        raise Invalid(
            "LABEL_INVALID", message, violations=(Violation("label", message, "LABEL_INVALID"),)
        )


def _done(workflow_id: str, action: Action, label: Label, previous: int) -> Done:
    return Done("Workflow", workflow_id, action, label.version, previous, label.name)


def _answer_of(moved: Moved) -> dict[str, object]:
    label = moved.label
    return {
        "name": label.name,
        "version": label.version,
        "moved_by": label.moved_by,
        "moved_at": label.moved_at.isoformat(),
        "previous_version": moved.previous_version,
    }


def _moved_of(answer: dict[str, object]) -> Moved:
    label = Label(
        str(answer["name"]),
        int(str(answer["version"])),
        (),
        str(answer["moved_by"]),
        datetime.fromisoformat(str(answer["moved_at"])),
    )
    return Moved(label, int(str(answer["previous_version"])))
