"""Translation of states and rows into the messages for callers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from flowmesh.api.common.v1 import failure_pb2, search_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    NodeState,
    Scope,
    State,
    map_counts,
    search_messages,
    tries,
    why_final,
)
from flowmesh.engine.state.compensation import compensation_status
from flowmesh.engine.state.state import FAILED
from flowmesh.plan import PlanNode
from flowmesh.tasktypes.builtin.control import RECEIVE

NODES_SHOWN_MAX = 12_000
"""At this number of nodes, a message omits further bodies in progress."""

_TASK_TYPES = {
    plan_pb2.NODE_KIND_NOOP: "noop",
    plan_pb2.NODE_KIND_TIMER: "delay",
    plan_pb2.NODE_KIND_MAP: "map",
    plan_pb2.NODE_KIND_GROUP: "group",
    plan_pb2.NODE_KIND_STATES: "states",
    plan_pb2.NODE_KIND_SIGNAL: "signal",
    plan_pb2.NODE_KIND_CHILD: "subworkflow",
    plan_pb2.NODE_KIND_CONTINUE: "continueAsNew",
    plan_pb2.NODE_KIND_APPROVAL: "approval",
}


def status_name(status: execution_pb2.ExecutionStatus.ValueType) -> str:
    """Return the name of a status for messages to users, in lower case."""
    return execution_pb2.ExecutionStatus.Name(status).removeprefix("EXECUTION_STATUS_").lower()


def execution_message(state: State, *, nodes: bool = True) -> execution_pb2.Execution:
    """Return an execution with its nodes in definition order."""
    plan = state.plan
    message = execution_pb2.Execution(
        namespace=plan.namespace,
        execution_id=state.execution_id,
        workflow_id=plan.workflow_id,
        workflow_name=plan.name,
        workflow_version=plan.version,
        plan_digest=plan.digest,
        status=state.status,
        started_at_us=state.started_at_us,
        ended_at_us=state.ended_at_us,
        input=state.input,
        output=state.output,
        failure=state.failure,
        last_sequence=state.sequence,
        request_id=state.request_id,
        format=plan_pb2.Dialect.Name(plan.message.dialect).removeprefix("DIALECT_").lower(),
        signals=state.signals,
        compensation=compensation_status(state),
        origin=state.origin,
        stops_everywhere=state.stops_everywhere,
        breakpoints=sorted(state.breakpoints),
        search=search_messages(state.search),
        erasure=state.erasure,
        link=state.link,
        hold=state.hold,
    )
    for name, value in state.variables[-1].items():
        message.variables[name].data = msgspec.json.encode(value)
    if nodes:
        _add_nodes(message, state.scope)
        for scope in state.all_scopes():
            for undo in scope.graph.undos:
                begun = scope.nodes.get(undo.index)
                if begun is not None and len(message.nodes) < NODES_SHOWN_MAX:
                    _add_node(message, begun)
                    _add_below(message, begun)
        _mark_held(message, state)
    return message


def _mark_held(message: execution_pb2.Execution, state: State) -> None:
    if state.on_hold or state.stopped:
        for node in message.nodes:
            node.held = node.id in state.on_hold or node.id in state.stopped


def _add_nodes(message: execution_pb2.Execution, scope: Scope) -> None:
    for planned in scope.graph.nodes:
        node = scope.nodes.get(planned.index) or NodeState(planned, scope)
        added = _add_node(message, node)
        of = node.map
        if of is not None and planned.kind == plan_pb2.NODE_KIND_MAP:
            total, running, waiting = map_counts(of)
            added.map.total, added.map.failed = total, of.failed
            added.map.running = running
            added.map.completed = total - waiting - of.failed - running
        _add_below(message, node)


def _add_below(message: execution_pb2.Execution, node: NodeState) -> None:
    """Add the bodies of a node that are in progress, or the tasks that its handler called."""
    for item in node.scopes.values():
        if len(message.nodes) < NODES_SHOWN_MAX:
            _add_nodes(message, item)


def approval_message(node: NodeState) -> execution_pb2.Approval | None:
    """Return a node's approval with the form of its definition."""
    approval = node.approval
    if approval is None or node.planned.approval is None or not node.planned.approval.form:
        return approval
    shown = execution_pb2.Approval(form=node.planned.approval.form)
    shown.MergeFrom(approval)
    return shown


def _add_node(message: execution_pb2.Execution, node: NodeState) -> execution_pb2.Node:
    planned, scope = node.planned, node.scope
    added = message.nodes.add(
        id=node.id,
        name=planned.name,
        status=node.status,
        attempts=tries(node),
        scheduled_at_us=node.scheduled_at_us,
        started_at_us=node.started_at_us,
        ended_at_us=node.ended_at_us,
        output=node.output,
        failure=node.failure,
        dependencies=[scope.prefix + scope.graph.nodes[i].id for i in planned.dependencies],
        metadata=node.metadata,
        worker_id=node.worker_id,
        due_at_us=node.due_at_us,
        approval=approval_message(node),
        task_type=task_type_of(planned),
        undoes=scope.prefix + planned.undoes.id if planned.undoes is not None else "",
    )
    if node.child is not None:
        added.child_execution_id = node.child.execution_id
        added.child_version = node.child.version
    if node.status == FAILED and planned.is_task:
        added.final = why_final(node)
    if planned.child is not None:
        rendered = node.child.workflow_id if node.child is not None else ""
        added.child_workflow_id = rendered or planned.child.workflow_id
    return added


def task_type_of(planned: PlanNode) -> str:
    """Return the type of a task, or the kind of a node that the engine runs itself."""
    if planned.spec is not None:
        return planned.spec.task_type
    if planned.receiver is not None:
        return RECEIVE.name
    return _TASK_TYPES.get(planned.kind, "")


def listed_message(
    row: Any,
    namespace: str,
    failure: failure_pb2.Failure | None = None,
    search: Iterable[search_pb2.SearchValue] = (),
) -> execution_pb2.Execution:
    """Return an execution as lists show it, without nodes and values."""
    return execution_pb2.Execution(
        namespace=namespace,
        execution_id=row["id"],
        workflow_id=row["workflow_id"],
        workflow_name=row["workflow_name"],
        workflow_version=row["workflow_version"],
        plan_digest=row["plan_digest"],
        status=row["status"],
        started_at_us=row["started_at"],
        ended_at_us=row["ended_at"] or 0,
        request_id=row["request_id"] or "",
        failure=failure,
        search=search,
    )
