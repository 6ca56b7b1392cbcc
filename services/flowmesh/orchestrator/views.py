"""States and rows as the messages that callers see."""

from __future__ import annotations

from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import NodeState, State

_TASK_TYPES = {
    plan_pb2.NODE_KIND_NOOP: "noop",
    plan_pb2.NODE_KIND_TIMER: "delay",
}


def status_name(status: execution_pb2.ExecutionStatus.ValueType) -> str:
    """A status in words, as messages to users have it."""
    return execution_pb2.ExecutionStatus.Name(status).removeprefix("EXECUTION_STATUS_").lower()


def execution_message(state: State, *, nodes: bool = True) -> execution_pb2.Execution:
    """An execution with all its nodes in definition order."""
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
        format="steps" if plan.message.dialect == plan_pb2.DIALECT_STEPS else "native",
        signals=state.signals,
    )
    if nodes:
        for plan_node in plan.nodes:
            _add_node(message, state, plan_node.index)
    return message


def _add_node(message: execution_pb2.Execution, state: State, index: int) -> None:
    plan_node = state.plan.nodes[index]
    node = state.node(index) or NodeState()
    message.nodes.add(
        id=plan_node.id,
        name=plan_node.name,
        status=node.status,
        attempts=node.attempt,
        scheduled_at_us=node.scheduled_at_us,
        started_at_us=node.started_at_us,
        ended_at_us=node.ended_at_us,
        output=node.output,
        failure=node.failure,
        dependencies=[state.plan.nodes[i].id for i in plan_node.dependencies],
        metadata=node.metadata,
        worker_id=node.worker_id,
        due_at_us=node.due_at_us,
        task_type=plan_node.spec.task_type
        if plan_node.spec is not None
        else _TASK_TYPES.get(plan_node.kind, ""),
    )


def listed_message(row: Any, namespace: str) -> execution_pb2.Execution:
    """An execution as lists show it."""
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
    )
