"""An execution in the step-JSON shape: details, and the visualization of its steps."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flowmesh.api.execution.v1 import execution_pb2 as pb
from flowmesh.views.values import Read, failure_view, instant, json_value, seconds

EXECUTION_STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        pb.EXECUTION_STATUS_UNSPECIFIED: "pending",
        pb.EXECUTION_STATUS_PENDING: "pending",
        pb.EXECUTION_STATUS_RUNNING: "running",
        pb.EXECUTION_STATUS_PAUSED: "paused",
        pb.EXECUTION_STATUS_COMPLETED: "completed",
        pb.EXECUTION_STATUS_FAILED: "failed",
        pb.EXECUTION_STATUS_CANCELED: "canceled",
        pb.EXECUTION_STATUS_TERMINATED: "canceled",
        pb.EXECUTION_STATUS_CONTINUED: "completed",
        pb.EXECUTION_STATUS_COMPENSATING: "running",
    }
)
NODE_STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        pb.NODE_STATUS_UNSPECIFIED: "pending",
        pb.NODE_STATUS_PENDING: "pending",
        pb.NODE_STATUS_RUNNING: "running",
        pb.NODE_STATUS_COMPLETED: "success",
        pb.NODE_STATUS_FAILED: "failed",
        pb.NODE_STATUS_SKIPPED: "skipped",
        pb.NODE_STATUS_CANCELED: "canceled",
    }
)
_COMPENSATION_WORDS: Mapping[int, str] = MappingProxyType(
    {
        pb.COMPENSATION_STATE_COMPENSATING: "compensating",
        pb.COMPENSATION_STATE_COMPENSATED: "compensated",
        pb.COMPENSATION_STATE_FAILED: "failed",
    }
)
_STEP_LISTS = MappingProxyType(
    {
        "running": "currentSteps",
        "success": "completedSteps",
        "failed": "failedSteps",
        "skipped": "skippedSteps",
    }
)


def execution_status(status: int) -> str:
    """Return the REST word of a status; an unknown status counts as running."""
    return EXECUTION_STATUS_WORDS.get(status, "running")


def node_status(status: int) -> str:
    """Return the REST word of a status; an unknown status counts as running."""
    return NODE_STATUS_WORDS.get(status, "running")


def execution_view(execution: pb.Execution, *, read: Read = json_value) -> dict[str, Any]:
    """Return the body of `GET /executions/{id}`. Without nodes (in a list) it has no steps."""
    view: dict[str, Any] = {
        "executionId": execution.execution_id,
        "workflowId": execution.workflow_id,
        "status": execution_status(execution.status),
        "startTime": seconds(execution.started_at_us),
    }
    if execution.ended_at_us:
        view["endTime"] = seconds(execution.ended_at_us)
    for name in _STEP_LISTS.values():
        view[name] = []
    view |= link_view(execution)
    results: dict[str, Any] = {}
    for node in execution.nodes:
        word = node_status(node.status)
        if word in _STEP_LISTS:
            view[_STEP_LISTS[word]].append(node.id)
        if word != "pending":
            results[node.id] = _step_result(node, word, read)
    view["stepResults"] = results
    view |= _about(execution, read)
    view["context"] = _context(execution, read)
    if execution.HasField("failure"):
        view["error"] = failure_view(execution.failure, node_key="stepId")
    return view


def link_view(execution: pb.Execution) -> dict[str, Any]:
    """Return the links of an execution: its parent, the previous and the next run."""
    link = execution.link
    view: dict[str, Any] = {}
    if link.parent_id:
        view["parent"] = {"executionId": link.parent_id, "stepId": link.parent_node}
        if link.detached:
            view["parent"]["detached"] = True
    for name, value in (
        ("continuedFrom", link.continued_from),
        ("firstRun", link.first_run),
        ("continuedAs", execution.continued_as),
    ):
        if value:
            view[name] = value
    return view


def _about(execution: pb.Execution, read: Read) -> dict[str, Any]:
    """Return the members shared with the canonical shape, under the same names."""
    view: dict[str, Any] = {}
    for name, value in (
        ("version", execution.workflow_version),
        ("requestId", execution.request_id),
        ("lastSequence", execution.last_sequence),
        ("compensation", compensation_word(execution)),
        ("archived", execution.archived),
    ):
        if value:
            view[name] = value
    if execution.HasField("output"):
        view["output"] = read(execution.output)
    if execution.HasField("origin"):
        origin = execution.origin
        view["origin"] = {
            "executionId": origin.execution_id,
            "fromNodes": list(origin.from_nodes),
        }
    if execution.HasField("hold"):
        view["hold"] = hold_view(execution.hold)
    if execution.HasField("erasure"):
        erasure = execution.erasure
        at = instant(erasure.at_us)
        view["erased"] = {"at": at, "actor": erasure.actor, "reason": erasure.reason}
    return view


def compensation_word(execution: pb.Execution) -> str:
    """Return the progress of the compensation; empty without one."""
    return _COMPENSATION_WORDS.get(execution.compensation, "")


def hold_view(hold: pb.Hold) -> dict[str, Any]:
    """Return the hold before the start of an execution."""
    view: dict[str, Any] = {
        "reason": pb.HoldReason.Name(hold.reason).removeprefix("HOLD_REASON_").lower()
    }
    if hold.until_us:
        view["until"] = instant(hold.until_us)
    if hold.key:
        view["key"] = hold.key
    return view


def visualize_view(
    execution: pb.Execution, *, now_us: int, all_steps: bool = False
) -> dict[str, Any]:
    """Return the body of `GET /executions/{id}/visualize`: begun steps, or all.

    The duration of a running execution counts until `now_us`.
    """
    ended_us = execution.ended_at_us or now_us
    steps = [
        _picture(node, node_status(node.status))
        for node in execution.nodes
        if all_steps or node_status(node.status) != "pending"
    ]
    return {
        "executionId": execution.execution_id,
        "workflowName": execution.workflow_name or execution.workflow_id,
        "status": execution_status(execution.status),
        "duration": _milliseconds(execution.started_at_us, ended_us),
        "steps": steps,
    }


def _step_result(node: pb.Node, word: str, read: Read) -> dict[str, Any]:
    result: dict[str, Any] = {"stepId": node.id, "status": word, "attempts": node.attempts}
    _add_duration(result, node)
    if word == "success":
        result["result"] = read(node.output)
    if node.HasField("failure"):
        result["error"] = failure_view(node.failure, node_key="stepId")
    if node.final:
        result["notRetried"] = node.final
    if begun := _begun_us(node):
        result["startTime"] = seconds(begun)
    if node.ended_at_us:
        result["endTime"] = seconds(node.ended_at_us)
    if node.child_execution_id:
        result["childExecutionId"] = node.child_execution_id
    if node.held:
        result["held"] = True
    if node.undoes:
        result["undoes"] = node.undoes
    return result


def _picture(node: pb.Node, word: str) -> dict[str, Any]:
    step: dict[str, Any] = {
        "id": node.id,
        "name": node.name or node.id,
        "status": word,
        "attempts": node.attempts,
    }
    _add_duration(step, node)
    step["dependencies"] = list(node.dependencies)
    return step


def _context(execution: pb.Execution, read: Read) -> dict[str, Any]:
    """Return the input with the results of completed steps under their ids."""
    given = read(execution.input)
    context: dict[str, Any] = {}
    if isinstance(given, dict) and not execution.input.HasField("reference"):
        context.update(given)
    elif given is not None:
        context["input"] = given
    for node in execution.nodes:
        if node.status == pb.NODE_STATUS_COMPLETED:
            context[node.id] = read(node.output)
    return context


def _add_duration(view: dict[str, Any], node: pb.Node) -> None:
    if (begun := _begun_us(node)) and node.ended_at_us:
        view["duration"] = _milliseconds(begun, node.ended_at_us)


def _begun_us(node: pb.Node) -> int:
    # Timers and steps without an action have no worker: they begin when they are ready.
    return node.started_at_us or node.scheduled_at_us


def _milliseconds(begun_us: int, ended_us: int) -> int:
    return max(0, ended_us - begun_us) // 1_000 if begun_us else 0
