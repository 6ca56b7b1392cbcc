"""Records of the nodes of an execution in both shapes of graph JSON, and the workflow context.

`NodeExecution` includes skipped nodes and running attempts, `NodeResult` counts retries; both are
made from the state of a node and its attempts in the history. Pure, no I/O.
"""

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Literal, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant, Json
from flowmesh.gateway.bodies.graphs import AnalysisAnswer
from flowmesh.gateway.bodies.progress import StateAnswer
from flowmesh.gateway.bodies.views import read_members
from flowmesh.insight.times import AttemptTimes, NodeTimes, read
from flowmesh.views import (
    execution_status,
    instant,
    node_status,
    raw_json,
    raw_value,
    search_view,
)

ITEM_OUTPUT_BYTES_MAX = 128 * 1024
"""Outputs of the tasks of items in one context."""

ContextWord = Literal["pending", "running", "completed", "failed", "canceled"]
NodeWord = Literal["pending", "running", "completed", "failed", "skipped"]


class NodeError(Answer, kw_only=True):
    """The failure of a node or an attempt; `code` is the failure class, `stack` the traceback of
    the handler, `details` what else is known, such as status and body of an HTTP answer.
    """

    message: str
    code: str | UnsetType = UNSET
    stack: str | UnsetType = UNSET
    details: dict[str, Json] | UnsetType = UNSET


class NodeAttempt(Answer, kw_only=True):
    """An ended attempt."""

    start_time: Instant
    end_time: Instant | UnsetType = UNSET
    status: Literal["running", "completed", "failed"]
    output: Json | UnsetType = UNSET
    error: NodeError | UnsetType = UNSET


class NodeExecutionAttempt(NodeAttempt, kw_only=True):
    """An ended or running attempt."""

    attempt_number: int


class NodeExecution(Answer, kw_only=True):
    """A node of an execution."""

    id: str
    node_id: str
    workflow_execution_id: str
    status: NodeWord
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    input: Json | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    error: NodeError | UnsetType = UNSET
    attempts: list[NodeExecutionAttempt]
    metadata: Json


class NodeResult(Answer, kw_only=True):
    """A node that was not skipped, with the number of its retries."""

    status: NodeWord
    start_time: Instant | UnsetType = UNSET
    end_time: Instant | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    error: NodeError | UnsetType = UNSET
    retry_count: int
    attempts: list[NodeAttempt]


class NodeRecords(Answer, kw_only=True):
    """All nodes of an execution, in definition order; `truncated` if nodes of items, attempts or
    inputs are omitted.
    """

    execution_id: str
    nodes: list[NodeExecution]
    node_results: dict[str, NodeResult]
    truncated: bool


class WorkflowContext(Answer, kw_only=True):
    """An execution with its graph; `variables` are members of the input and the current declared
    variables, `metadata` its labels and search attributes. A paused execution has the status
    running. Large values are references. `omitted` counts the tasks of items that are left out,
    `truncated` is set if there are even more.
    """

    id: str
    workflow_id: str
    status: ContextWord
    start_time: Instant
    end_time: Instant | UnsetType = UNSET
    processed_workflow: AnalysisAnswer
    variables: Json
    node_results: dict[str, NodeResult]
    current_nodes: list[str]
    completed_nodes: list[str]
    failed_nodes: list[str]
    active_paths: list[int]
    metadata: dict[str, Json]
    omitted: int | UnsetType = UNSET
    truncated: bool | UnsetType = UNSET


def shortened(execution: execution_pb2.Execution, tasks_max: int) -> execution_pb2.Execution:
    """Return an execution with up to `tasks_max` tasks of items: failed and slowest first."""
    inner = [node for node in execution.nodes if "/" in node.id]
    left = ITEM_OUTPUT_BYTES_MAX
    kept = set[str]()
    for node in nlargest(tasks_max, inner, key=_urgency):
        left -= len(node.output.data)
        if left < 0:
            break
        kept.add(node.id)
    shown = execution_pb2.Execution()
    shown.CopyFrom(execution)
    del shown.nodes[:]
    shown.nodes.extend(n for n in execution.nodes if "/" not in n.id or n.id in kept)
    return shown


def _urgency(node: execution_pb2.Node) -> tuple[bool, bool, int]:
    failed = node.status == execution_pb2.NODE_STATUS_FAILED
    return failed, not node.ended_at_us, node.ended_at_us - node.scheduled_at_us


def records_of(
    execution: execution_pb2.Execution,
    events: Iterable[pb.HistoryEvent],
    inputs: Mapping[str, Raw],
    *,
    truncated: bool,
) -> NodeRecords:
    history = read(events)
    nodes = [
        _node(execution, node, history.node(node.id), inputs.get(node.id, UNSET))
        for node in execution.nodes
    ]
    return NodeRecords(
        execution_id=execution.execution_id,
        nodes=nodes,
        node_results={node.node_id: _result(node) for node in nodes if node.status != "skipped"},
        truncated=truncated,
    )


def context_of(
    execution: execution_pb2.Execution, records: NodeRecords, progress: StateAnswer, omitted: int
) -> WorkflowContext:
    by_word: dict[NodeWord, list[str]] = {}
    for node in records.nodes:
        by_word.setdefault(node.status, []).append(node.node_id)
    word = execution_status(execution.status)
    return WorkflowContext(
        id=execution.execution_id,
        workflow_id=execution.workflow_id,
        status=cast(ContextWord, "running" if word == "paused" else word),
        start_time=instant(execution.started_at_us),
        end_time=instant(execution.ended_at_us) if execution.ended_at_us else UNSET,
        processed_workflow=progress.graph,
        variables=_variables(execution),
        node_results=records.node_results,
        current_nodes=by_word.get("running", []),
        completed_nodes=by_word.get("completed", []),
        failed_nodes=by_word.get("failed", []),
        active_paths=progress.active_paths,
        metadata={value.name: search_view(value) for value in execution.search},
        omitted=omitted or UNSET,
        truncated=records.truncated or UNSET,
    )


def _variables(execution: execution_pb2.Execution) -> Json:
    given = read_members(execution.input)
    declared = {name: raw_value(each) for name, each in execution.variables.items()}
    return {**given, **declared} if isinstance(given, dict) else declared or given


def _node(
    execution: execution_pb2.Execution,
    node: execution_pb2.Node,
    times: NodeTimes,
    given: Raw | UnsetType,
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
        input=given,
        output=output,
        error=_error(node.failure) if node.HasField("failure") else UNSET,
        attempts=attempts,
        metadata=raw_json(node.metadata) if node.metadata else {},
    )


def _word(node: execution_pb2.Node, ran: bool) -> NodeWord:
    """Map canceled, which neither shape has: to failed if the node ran, else to skipped."""
    word = node_status(node.status)
    if word == "canceled":
        return "failed" if ran else "skipped"
    return cast(NodeWord, "completed" if word == "success" else word)


def _attempt(times: AttemptTimes, output: Json | UnsetType) -> NodeExecutionAttempt:
    """Return an attempt; `output` is present for the completed attempt, which is the last."""
    failed = times.failure is not None
    running = not times.ended_us
    return NodeExecutionAttempt(
        attempt_number=times.number,
        start_time=instant(times.started_us or times.ready_us),
        end_time=UNSET if running else instant(times.ended_us),
        status="running" if running else "failed" if failed or output is UNSET else "completed",
        output=UNSET if running or failed else output,
        error=_error(times.failure) if times.failure is not None else UNSET,
    )


def _error(failure: failure_pb2.Failure) -> NodeError:
    try:
        details = msgspec.json.decode(failure.details, type=dict[str, Json])
    except (msgspec.DecodeError, UnicodeDecodeError):
        details = {}
    # The SDK sends the traceback of an unexpected exception as a detail.
    stack = details.pop("traceback", UNSET)
    return NodeError(
        message=failure.message,
        code=getattr(failure, "class") or UNSET,
        stack=stack if isinstance(stack, str) else UNSET,
        details=details or UNSET,
    )


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
