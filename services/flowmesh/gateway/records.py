"""How each node of an execution went, in the two shapes that graph JSON has for it.

`NodeExecution` knows skipped nodes and attempts that run, `NodeResult` counts retries; both are
made of one record: the node's state, and its attempts in the history. Pure, no I/O.
"""

from collections.abc import Iterable
from typing import Literal, cast

from msgspec import UNSET, UnsetType

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.gateway.answers import Answer, FailureValue, Instant, Json
from flowmesh.gateway.views import failure_value
from flowmesh.insight.times import AttemptTimes, NodeTimes, read
from flowmesh.views import instant, node_status, raw_json, raw_value

NodeWord = Literal["pending", "running", "completed", "failed", "skipped"]


class NodeError(Answer, kw_only=True):
    """Why a node or an attempt failed; `code` is the class of the failure."""

    message: str
    code: str | UnsetType = UNSET


class NodeAttempt(Answer, kw_only=True):
    """An attempt that has ended."""

    start_time: Instant
    end_time: Instant | UnsetType = UNSET
    status: Literal["running", "completed", "failed"]
    output: Json | UnsetType = UNSET
    error: NodeError | UnsetType = UNSET


class NodeExecutionAttempt(NodeAttempt, kw_only=True):
    """An attempt, also one that runs."""

    attempt_number: int


class NodeExecution(Answer, kw_only=True):
    """A node of an execution."""

    id: str
    node_id: str
    workflow_execution_id: str
    status: NodeWord
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    error: NodeError | UnsetType = UNSET
    attempts: list[NodeExecutionAttempt]
    metadata: Json


class NodeResult(Answer, kw_only=True):
    """The same of a node that was not skipped, with the number of its retries."""

    status: NodeWord
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    error: NodeError | UnsetType = UNSET
    retry_count: int
    attempts: list[NodeAttempt]


class NodeRecords(Answer, kw_only=True):
    """All nodes of an execution, in definition order; `truncated` history has further attempts."""

    execution_id: str
    nodes: list[NodeExecution]
    node_results: dict[str, NodeResult]
    truncated: bool


def records_of(
    execution: execution_pb2.Execution, events: Iterable[pb.HistoryEvent], *, truncated: bool
) -> NodeRecords:
    history = read(events)
    nodes = [_node(execution, node, history.node(node.id)) for node in execution.nodes]
    return NodeRecords(
        execution_id=execution.execution_id,
        nodes=nodes,
        node_results={node.node_id: _result(node) for node in nodes if node.status != "skipped"},
        truncated=truncated,
    )


def _node(
    execution: execution_pb2.Execution, node: execution_pb2.Node, times: NodeTimes
) -> NodeExecution:
    status = _word(node, bool(times.attempts))
    completed = status == "completed"
    output = raw_value(node.output) if completed else UNSET
    attempts = [_attempt(each, output) for each in times.attempts.values()]
    ended_us = node.ended_at_us or times.ended_us
    return NodeExecution(
        id=f"{execution.execution_id}/{node.id}",
        node_id=node.id,
        workflow_execution_id=execution.execution_id,
        status=status,
        start_time=attempts[0].start_time if attempts else UNSET,
        end_time=instant(ended_us) if ended_us else UNSET,
        output=output,
        error=_error(failure_value(node.failure)) if node.HasField("failure") else UNSET,
        attempts=attempts,
        metadata=raw_json(node.metadata) if node.metadata else {},
    )


def _word(node: execution_pb2.Node, ran: bool) -> NodeWord:
    """Neither shape knows canceled: what ran has failed then, and what did not was skipped."""
    word = node_status(node.status)
    if word == "canceled":
        return "failed" if ran else "skipped"
    return cast(NodeWord, "completed" if word == "success" else word)


def _attempt(times: AttemptTimes, output: Json | UnsetType) -> NodeExecutionAttempt:
    """The output is that of the attempt that completed, which is the last."""
    failed = times.failure is not None
    running = not times.ended_us
    return NodeExecutionAttempt(
        attempt_number=times.number,
        start_time=instant(times.started_us or times.ready_us),
        end_time=UNSET if running else instant(times.ended_us),
        status="running" if running else "failed" if failed or output is UNSET else "completed",
        output=UNSET if running or failed else output,
        error=_error(failure_value(times.failure)) if times.failure is not None else UNSET,
    )


def _error(failure: FailureValue) -> NodeError:
    return NodeError(message=failure.message, code=failure.class_ or UNSET)


def _result(node: NodeExecution) -> NodeResult:
    return NodeResult(
        status=node.status,
        start_time=node.start_time,
        end_time=node.end_time,
        output=node.output,
        error=node.error,
        retry_count=max(0, len(node.attempts) - 1),
        attempts=[
            NodeAttempt(
                start_time=each.start_time,
                end_time=each.end_time,
                status=each.status,
                output=each.output,
                error=each.error,
            )
            for each in node.attempts
            if each.status != "running"
        ],
    )
