"""Workflows with their triggers, reusable tasks, templates and labels, copied to another cell.

Versions are applied at the target in the order in which the source got them, so they have the same
numbers. A copy that is repeated applies only what is missing.
"""

import time
from dataclasses import dataclass
from typing import Any

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import template_service_pb2 as templates_pb
from flowmesh.api.definition.v1 import version_service_pb2 as versions_pb
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.definition.v1.template_service_pb2_grpc import TemplateServiceStub
from flowmesh.api.definition.v1.version_service_pb2_grpc import VersionServiceStub
from flowmesh.cells import COPYING, Move
from flowmesh.errors import NotFound
from flowmesh.sdk.values.ids import new_request_id
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import CannotMove, Part, Route
from flowmesh.suite.cells.pausing import Triggers
from flowmesh.suite.cells.survey import listed_triggers

WORKFLOW = "Workflow"
TASK = "WorkflowTask"
TEMPLATE = "WorkflowTemplate"
_WORDS = {WORKFLOW: "workflow", TASK: "task", TEMPLATE: "template"}
_TRIGGERS = b"trigger"

Versions = dict[tuple[str, str], dict[int, "_Version"]]


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of a workflow, a task or a template, and the JSON that was posted."""

    kind: str
    name: str
    number: int
    digest: str
    created_us: int
    definition: bytes

    @property
    def order(self) -> tuple[int, bool, int]:
        """The order of application: by time, tasks before the workflows of one text."""
        return self.created_us, self.kind == WORKFLOW, self.number


class _Registered:
    """The workflows, tasks, templates and labels of a project in one cell."""

    def __init__(self, calls: CellCalls) -> None:
        self.calls = calls
        self._stub = DefinitionServiceStub(calls.channel)
        self._labels = VersionServiceStub(calls.channel)
        self._templates = TemplateServiceStub(calls.channel)

    async def versions(self) -> Versions:
        """Return all versions by kind and name."""
        calls, stub = self.calls, self._stub
        found: Versions = await self._template_versions()
        for each in await calls.listed(stub.ListTasks, pb.ListTasksRequest(), "tasks"):
            if each.namespace == calls.project:
                request = pb.ListTaskVersionsRequest(name=each.name)
                rows = await calls.listed(stub.ListTaskVersions, request, "versions")
                found[TASK, each.name] = _by_number(TASK, each.name, rows)
        for each in await calls.listed(stub.ListWorkflows, pb.ListWorkflowsRequest(), "workflows"):
            versions = pb.ListWorkflowVersionsRequest(workflow_id=each.workflow_id)
            rows = await calls.listed(stub.ListWorkflowVersions, versions, "versions")
            found[WORKFLOW, each.workflow_id] = _by_number(WORKFLOW, each.workflow_id, rows)
        return found

    async def _template_versions(self) -> Versions:
        calls, stub = self.calls, self._templates
        request = templates_pb.ListTemplatesRequest()
        found: Versions = {}
        for each in await calls.listed(stub.ListTemplates, request, "templates"):
            # Bundled templates have no version.
            numbers = range(1, each.version + 1) if each.namespace == calls.project else ()
            rows = []
            for number in numbers:
                one = templates_pb.GetTemplateRequest(name=each.name, version=number)
                rows.append((await calls.call(stub.GetTemplate, one)).template)
            if rows:
                found[TEMPLATE, each.name] = _by_number(TEMPLATE, each.name, rows)
        return found

    async def text(self, version: _Version) -> tuple[bytes, str]:
        """Return the text of a version and its media type."""
        if version.kind != WORKFLOW:
            return version.definition, "application/json"
        request = pb.GetWorkflowSourceRequest(workflow_id=version.name, version=version.number)
        answer = await self.calls.call(self._stub.GetWorkflowSource, request)
        return answer.source, answer.content_type

    async def apply(self, version: _Version, text: bytes, content_type: str, reason: str) -> None:
        """Register a version. Raises CannotMove if it becomes another one."""
        request = pb.ApplyRequest(
            source=text, content_type=content_type, request_id=new_request_id(), reason=reason
        )
        answer = await self.calls.call(self._stub.Apply, request)
        made = [
            (each.version, each.digest)
            for each in answer.resources
            if (each.kind, each.name) == (version.kind, version.name)
        ]
        if made != [(version.number, version.digest)]:
            raise CannotMove(_differs(version, self.calls.cell.name))

    async def delete(self, kind: str, name: str, reason: str) -> None:
        """Delete a workflow, a task or a template."""
        if kind == TEMPLATE:
            template = templates_pb.DeleteTemplateRequest(
                name=name, request_id=new_request_id(), reason=reason
            )
            await self.calls.call(self._templates.DeleteTemplate, template)
            return
        if kind == TASK:
            task = pb.DeleteTaskRequest(name=name, request_id=new_request_id(), reason=reason)
            await self.calls.call(self._stub.DeleteTask, task)
            return
        workflow = pb.DeleteWorkflowRequest(
            workflow_id=name, request_id=new_request_id(), reason=reason
        )
        await self.calls.call(self._stub.DeleteWorkflow, workflow)

    async def labels(self, workflow: str) -> dict[str, int]:
        """Return the versions of the labels of a workflow."""
        request = versions_pb.ListLabelsRequest(workflow_id=workflow)
        answer = await self.calls.call(self._labels.ListLabels, request)
        return {each.name: each.version for each in answer.labels}

    async def set_labels(self, workflow: str, wanted: dict[str, int], reason: str) -> None:
        """Give a workflow these labels and no others."""
        present = await self.labels(workflow)
        for label, version in wanted.items():
            if present.get(label) != version:
                change = versions_pb.SetLabelRequest(
                    workflow_id=workflow,
                    label=label,
                    version=str(version),
                    reason=reason,
                    request_id=new_request_id(),
                )
                await self.calls.call(self._labels.SetLabel, change)
        for label in present.keys() - wanted.keys():
            removal = versions_pb.DeleteLabelRequest(
                workflow_id=workflow, label=label, reason=reason, request_id=new_request_id()
            )
            await self.calls.call(self._labels.DeleteLabel, removal)


class Definitions(Part):
    """The definitions of a project, and its triggers with their states."""

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self._here, self._there = _Registered(route.source), _Registered(route.target)

    async def problems(self, move: Move) -> list[str]:
        """Return the definitions whose versions cannot have their numbers at the target."""
        found = []
        if move.step == COPYING and await listed_triggers(self._target):
            found.append("triggers that the cell has from an earlier stay")
        here, there = await self._here.versions(), await self._there.versions()
        for (kind, name), versions in here.items():
            if min(versions, default=1) > 1:
                found.append(f"the {_WORDS[kind]} {name}, which was deleted and made again")
            for number, version in there.get((kind, name), {}).items():
                known = versions.get(number)
                if known is None or known.digest != version.digest:
                    found.append(_differs(version, self._target.cell.name))
                    break
        return found

    async def copy(self) -> None:
        """Make the target have the definitions of the source that have no triggers.

        Triggers fire as soon as they are registered.
        """
        await self._copy(with_triggers=False)

    async def switch(self, move: Move) -> None:
        """Copy all definitions; triggers have the state at the target that they had before."""
        paused = move.paused_triggers
        now_us = time.time_ns() // 1_000
        applied = await self._copy(with_triggers=True)
        there = Triggers(self._target)
        await there.pause(lambda ids: ids not in paused)
        due = [each for each in move.paused if each[0] in applied and 0 < each[2] <= now_us]
        await there.fire(due, self._target.project)

    async def late(self) -> list[str]:
        """Return the newest versions of the source that the target does not have."""
        here, there = await self._here.versions(), await self._there.versions()
        newest = [max(each.values(), key=lambda one: one.number) for each in here.values() if each]
        return [
            f"version {each.number} of the {_WORDS[each.kind]} {each.name}"
            for each in newest
            if each.number not in there.get((each.kind, each.name), {})
        ]

    async def cancel(self, move: Move) -> None:
        """Let the triggers of the source fire again, and none of the target."""
        await Triggers(self._target).pause(lambda _: True)
        await Triggers(self._source).resume(move.paused_triggers)

    async def _copy(self, *, with_triggers: bool) -> set[str]:
        """Make the target have the definitions of the source; return the applied workflows.

        Without `with_triggers`, workflows whose text may have some are left out.
        """
        reason = self._route.reason
        here, there = await self._here.versions(), await self._there.versions()
        for kind, name in there.keys() - here.keys():
            await self._there.delete(kind, name, reason)
        left_out = set() if with_triggers else {key for key in here if _may_trigger(here[key])}
        missing = [
            version
            for key, versions in here.items()
            for number, version in versions.items()
            if key not in left_out and number not in there.get(key, {})
        ]
        for count, version in enumerate(sorted(missing, key=lambda each: each.order), start=1):
            text, content_type = await self._here.text(version)
            await self._there.apply(version, text, content_type, reason)
            place = f"{version.name} version {version.number}"
            self._route.report(f"copied {place}: {count}/{len(missing)}")
        for kind, name in here:
            if kind == WORKFLOW and (kind, name) not in left_out:
                await self._copy_labels(name)
        return {each.name for each in missing if each.kind == WORKFLOW}

    async def _copy_labels(self, workflow: str) -> None:
        try:
            labels = await self._here.labels(workflow)
        except NotFound:
            # It was deleted a moment ago; the next copy deletes it at the target.
            return
        await self._there.set_labels(workflow, labels, self._route.reason)


def _may_trigger(versions: dict[int, _Version]) -> bool:
    return any(_TRIGGERS in each.definition.lower() for each in versions.values())


def _by_number(kind: str, name: str, rows: list[Any]) -> dict[int, _Version]:
    return {
        each.version: _Version(
            kind,
            name,
            each.version,
            each.digest,
            each.created_at.ToMicroseconds(),
            each.definition,
        )
        for each in rows
    }


def _differs(version: _Version, cell: str) -> str:
    what = f"version {version.number} of the {_WORDS[version.kind]} {version.name}"
    return f"{what}, which is another one in cell {cell}"
