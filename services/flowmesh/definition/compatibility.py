"""Compatibility of a version with another one, for callers and for running executions."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_service
from flowmesh.definition import limits
from flowmesh.definition.catalog import DefinitionCatalog, plan_of
from flowmesh.definition.checks.checking import own_tasks, refs_of
from flowmesh.definition.checks.references import References
from flowmesh.definition.storage.records import WorkflowVersion
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definitions import (
    Reading,
    Workflow,
    load_workflow,
    plan_workflow,
    refuse,
)
from flowmesh.definitions.versions import Compatibility, compatibility_of, obstacles_to_move
from flowmesh.errors import Invalid

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

_OPEN = (
    execution_pb2.EXECUTION_STATUS_PENDING,
    execution_pb2.EXECUTION_STATUS_RUNNING,
    execution_pb2.EXECUTION_STATUS_PAUSED,
)
_NOT_STARTED = (execution_pb2.NODE_STATUS_UNSPECIFIED, execution_pb2.NODE_STATUS_PENDING)


@dataclass(frozen=True, slots=True)
class ExecutionMove:
    """A running execution, and the reasons that it cannot continue under the other version."""

    execution_id: str
    version: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result of a comparison; version 0 is the source of the request."""

    from_version: int
    to_version: int
    callers: Compatibility
    moves: tuple[ExecutionMove, ...]
    truncated: bool


class Assessor:
    """Compares versions with each other and with running executions."""

    def __init__(
        self,
        *,
        store: DefinitionStore,
        catalog: DefinitionCatalog,
        executions: "ExecutionServiceAsyncStub",
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._executions = executions

    async def assess(
        self,
        namespace: str,
        workflow_id: str,
        before: str,
        after: str,
        source: bytes,
        content_type: str,
    ) -> Assessment:
        # An unknown workflow is told before what is wrong with a source.
        await self._catalog.version_of(namespace, workflow_id, "")
        if source:
            version = 0
            workflow, plan = await self._of_source(namespace, source, content_type)
        else:
            new = await self._catalog.selected(namespace, workflow_id, after)
            version = new.version
            workflow = load_workflow(orjson.loads(new.definition))
            plan = await self._catalog.plan(namespace, workflow_id, version)
        old = await self._former(namespace, workflow_id, before, version)
        callers = await asyncio.to_thread(
            compatibility_of, load_workflow(orjson.loads(old.definition)), workflow
        )
        moves, truncated = await self._moves(namespace, workflow_id, version, plan)
        return Assessment(old.version, version, callers, tuple(moves), truncated)

    async def _former(
        self, namespace: str, workflow_id: str, before: str, version: int
    ) -> WorkflowVersion:
        """Return the version in use: by default the newest, or that before a stored candidate."""
        if before or not version:
            return await self._catalog.selected(namespace, workflow_id, before)
        if version == 1:
            message = f"{workflow_id} has no version before 1; give a file with the new definition"
            raise Invalid("REQUEST_INVALID", message)
        return await self._catalog.workflow(namespace, workflow_id, version - 1)

    async def _of_source(
        self, namespace: str, source: bytes, content_type: str
    ) -> tuple[Workflow, plan_pb2.Plan]:
        """Return the only workflow of a valid source, and its plan."""
        checked = await self._catalog.validate(namespace, source, content_type)
        refuse(checked.problems)
        reading = (await self._catalog.read(source, content_type)).reading
        workflow = _only_workflow(reading)
        stored = await self._store.referred_tasks(refs_of(namespace, workflow.task_refs))
        references = References(namespace, stored, own_tasks(namespace, reading), settled=True)
        plan = await asyncio.to_thread(
            plan_workflow,
            workflow,
            references,
            namespace=namespace,
            version=0,
            version_digest="",
        )
        return workflow, plan

    async def _moves(
        self, namespace: str, workflow_id: str, version: int, plan: plan_pb2.Plan
    ) -> tuple[list[ExecutionMove], bool]:
        """Compare the running executions of the workflow with the plan, newest first."""
        moves: list[ExecutionMove] = []
        plans: dict[str, plan_pb2.Plan | None] = {}
        token = ""
        while True:
            page = await self._executions.ListExecutions(
                execution_service.ListExecutionsRequest(
                    namespace=namespace,
                    workflow_id=workflow_id,
                    statuses=_OPEN,
                    page_size=limits.MOVES_AT_ONCE,
                    page_token=token,
                    with_nodes=True,
                )
            )
            for execution in page.executions:
                if len(moves) == limits.MOVES_MAX:
                    return moves, True
                if execution.plan_digest not in plans:
                    plans[execution.plan_digest] = await self._plan(namespace, execution)
                moves.append(_move(execution, plans[execution.plan_digest], plan))
            token = page.next_page_token
            if not token:
                return moves, False

    async def _plan(
        self, namespace: str, execution: execution_pb2.Execution
    ) -> plan_pb2.Plan | None:
        """Compile the plan of an execution again; return None if that is impossible.

        The digest of the plan proves that the tasks are those of the start of the execution.
        """
        workflow_id, version = execution.workflow_id, execution.workflow_version
        found = await self._store.workflow(namespace, workflow_id, version)
        if found is None:
            return None
        workflow = load_workflow(orjson.loads(found.definition))
        refs = refs_of(namespace, workflow.task_refs)
        started = datetime.fromtimestamp(execution.started_at_us / 1_000_000, UTC)
        for tasks in (
            await self._store.referred_tasks_at(refs, started),
            await self._store.referred_tasks(refs),
        ):
            if len(tasks) == len(refs):
                plan = await asyncio.to_thread(plan_of, workflow, found, tasks)
                if plan.digest == execution.plan_digest:
                    return plan
        return None


def _only_workflow(reading: Reading) -> Workflow:
    found = [each.resource for each in reading.resources if isinstance(each.resource, Workflow)]
    if len(found) != 1:
        message = f"the source must hold exactly one workflow; it holds {len(found)}"
        raise Invalid("WORKFLOW_INVALID", message)
    return found[0]


def _move(
    execution: execution_pb2.Execution, old: plan_pb2.Plan | None, new: plan_pb2.Plan
) -> ExecutionMove:
    started = [node.id for node in execution.nodes if node.status not in _NOT_STARTED]
    if old is None:
        reasons = ["the versions of the tasks of its plan are unknown"] if started else []
    else:
        reasons = obstacles_to_move(old, new, started)
    return ExecutionMove(execution.execution_id, execution.workflow_version, tuple(reasons))
