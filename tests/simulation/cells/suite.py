"""A model of the suite of a cell: what its services store, and their answers.

Its database is served by every gateway of the cell, and outlives them.
"""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1.execution_pb2 import ExecutionStatus
from flowmesh.errors import NotFound, Unavailable
from tests.simulation.actors.faults import Fate
from tests.simulation.cells.wires import classes_of

if TYPE_CHECKING:
    from tests.simulation.cells.world import CellWorld

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
APPLIED_LATE_S_MAX = 0.6
"""Most time after its answer at which a statement is applied; a switch waits longer."""

WORKFLOW, TASK = "Workflow", "WorkflowTask"


@dataclass(slots=True)
class Execution:
    """A row of an execution."""

    id: str
    project: str
    request_id: str
    ends_s: float


@dataclass(slots=True)
class Version:
    """A stored version of a workflow or a task."""

    number: int
    text: bytes
    at_us: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


@dataclass(slots=True)
class Suite:
    """The rows of a cell."""

    world: "CellWorld"
    number: int
    executions: dict[str, Execution] = field(default_factory=dict)
    started: dict[tuple[str, str], str] = field(default_factory=dict)
    versions: dict[tuple[str, str, str], list[Version]] = field(
        default_factory=lambda: defaultdict(list)
    )
    labels: dict[tuple[str, str], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    paused: set[tuple[str, str]] = field(default_factory=set)
    # The gateways that the registry names.
    registry: dict[str, str] = field(default_factory=dict)

    async def answer(self, path: str, request: Any) -> Any:
        """Answer a call; a change may be lost, applied late, or applied without an answer."""
        loop, name = self.world.loop, path.rpartition("/")[2]
        fate, delay_s = self.world.faults.statement(name)
        if fate is Fate.LOST:
            raise _unanswered()
        done = loop.create_future()

        def apply() -> None:
            try:
                result = self._applied(path, name, request)
            except NotFound as error:
                if not done.done():
                    done.set_exception(error)
                    done.exception()
                return
            if not done.done():
                done.set_result(result)

        if fate is Fate.LATE:
            loop.outside(min(delay_s, APPLIED_LATE_S_MAX), apply)
            raise _unanswered()
        loop.outside(self.world.latency(), apply)
        answer = await done
        if fate is Fate.UNANSWERED:
            raise _unanswered()
        return answer

    def _applied(self, path: str, name: str, request: Any) -> Any:
        answer = classes_of(path)[1]()
        method = getattr(self, f"_{name}", None)
        if method is not None:
            method(request, answer)
        return answer

    # --- executions ---

    def _StartExecution(self, request: Any, answer: Any) -> None:
        key = (request.namespace, request.request_id)
        found = self.started.get(key)
        if found is None:
            self._version_of(request.namespace, request.workflow_id)
            found = self.started[key] = self._new_id()
            ends_s = self.world.loop.time() + self.world.random.choice((0.1, 1.0, 4.0))
            self.executions[found] = Execution(found, *key, ends_s)
            self.world.happened("started", self.number, request.request_id, found)
            answer.created = True
        answer.execution_id = found

    def _GetExecution(self, request: Any, answer: Any) -> None:
        found = self.executions.get(request.execution_id)
        if found is None or found.project != request.namespace:
            text = f"there is no execution {request.execution_id} in cell {self.number}"
            raise NotFound("EXECUTION_NOT_FOUND", text)
        answer.execution.execution_id = found.id

    def _ListExecutions(self, request: Any, answer: Any) -> None:
        now_s = self.world.loop.time()
        wanted = request.filter.removeprefix('requestId = "').removesuffix('"')
        for each in self.executions.values():
            is_open = each.ends_s > now_s or not request.statuses
            if each.project == request.namespace and is_open and wanted in ("", each.request_id):
                row = answer.executions.add(execution_id=each.id)
                row.status = ExecutionStatus.EXECUTION_STATUS_RUNNING

    def _new_id(self) -> str:
        count = self.world.next_number()
        digits = "".join(_DIGITS[count >> shift & 31] for shift in range(85, -1, -5))
        return f"exec-{digits}{_DIGITS[2 * self.number]}0"

    # --- definitions ---

    def _version_of(self, project: str, workflow: str) -> None:
        if not self.versions.get((project, WORKFLOW, workflow)):
            raise NotFound("WORKFLOW_NOT_FOUND", f"there is no workflow {workflow}")

    def _Apply(self, request: Any, answer: Any) -> None:
        kind, name = (json.loads(request.source)[key] for key in ("kind", "name"))
        versions = self.versions[request.namespace, kind, name]
        is_new = not versions or versions[-1].text != request.source
        if is_new:
            at_us = int(self.world.loop.time() * 1e6)
            versions.append(Version(len(versions) + 1, request.source, at_us))
            self.world.happened("applied", self.number, name, len(versions))
        last = versions[-1]
        answer.resources.add(
            kind=kind, name=name, version=last.number, digest=last.digest, created=is_new
        )

    def _rows(self, place: tuple[str, str, str], rows: Any, **named: str) -> None:
        for each in self.versions.get(place, ()):
            row = rows.add(
                namespace=place[0],
                version=each.number,
                digest=each.digest,
                definition=each.text,
                **named,
            )
            row.created_at.FromMicroseconds(each.at_us)

    def _ListWorkflows(self, request: Any, answer: Any) -> None:
        for project, kind, name in self.versions:
            if (project, kind) == (request.namespace, WORKFLOW):
                answer.workflows.add(namespace=project, workflow_id=name)

    def _ListWorkflowVersions(self, request: Any, answer: Any) -> None:
        name = request.workflow_id
        self._rows((request.namespace, WORKFLOW, name), answer.versions, workflow_id=name)

    def _GetWorkflowSource(self, request: Any, answer: Any) -> None:
        versions = self.versions[request.namespace, WORKFLOW, request.workflow_id]
        answer.source = versions[request.version - 1].text
        answer.content_type = "application/json"

    def _ListTasks(self, request: Any, answer: Any) -> None:
        for project, kind, name in self.versions:
            if (project, kind) == (request.namespace, TASK):
                answer.tasks.add(namespace=project, name=name)

    def _ListTaskVersions(self, request: Any, answer: Any) -> None:
        place = (request.namespace, TASK, request.name)
        self._rows(place, answer.versions, name=request.name)

    def _ListLabels(self, request: Any, answer: Any) -> None:
        self._version_of(request.namespace, request.workflow_id)
        for name, version in self.labels[request.namespace, request.workflow_id].items():
            answer.labels.add(name=name, version=version)

    def _SetLabel(self, request: Any, answer: Any) -> None:
        self._version_of(request.namespace, request.workflow_id)
        labels = self.labels[request.namespace, request.workflow_id]
        labels[request.label] = int(request.version)

    def _DeleteLabel(self, request: Any, answer: Any) -> None:
        self.labels[request.namespace, request.workflow_id].pop(request.label, None)

    # --- triggers: a workflow has the one that its newest text names ---

    def active(self, project: str) -> set[str]:
        """Return the workflows whose trigger is active."""
        return {each for each in self._triggered(project) if (project, each) not in self.paused}

    def _triggered(self, project: str) -> list[str]:
        return [
            name
            for (owner, _, name), versions in self.versions.items()
            if owner == project and versions and b"trigger" in versions[-1].text
        ]

    def _ListTriggers(self, request: Any, answer: Any) -> None:
        for name in self._triggered(request.namespace):
            row = answer.triggers.add(namespace=request.namespace, workflow_id=name)
            row.trigger.id = "hook"
            row.trigger.webhook.SetInParent()
            row.paused = (request.namespace, name) in self.paused

    def _PauseTrigger(self, request: Any, answer: Any) -> None:
        self.paused.add((request.namespace, request.workflow_id))

    def _ResumeTrigger(self, request: Any, answer: Any) -> None:
        self.paused.discard((request.namespace, request.workflow_id))

    # --- gateways ---

    def _ListInstances(self, request: Any, answer: Any) -> None:
        for name, place in self.registry.items():
            row = answer.instances.add(namespace=request.namespace, id=name, name=request.name)
            row.metadata["http"] = place


def _unanswered() -> Unavailable:
    return Unavailable("STORAGE_UNAVAILABLE", "the database did not answer")
