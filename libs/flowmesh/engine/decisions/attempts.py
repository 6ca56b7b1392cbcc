"""Attempts of tasks: results, lost workers, timeouts and retries."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.outcomes import complete, fail_node
from flowmesh.engine.decisions.progress import advance
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import NULL, failure_of
from flowmesh.engine.state.journal import tries
from flowmesh.engine.state.state import NodeState

NOT_BEGUN = "ScheduleToStartTimeout"
"""The failure class of an attempt that no worker started within its limit."""

RETRY_AFTER_MS_MAX = 24 * 3_600_000
"""The longest delay that a called service may request."""


def current(step: Step, node_id: str, attempt: int) -> NodeState | None:
    """Return the node if `attempt` is its current one and was dispatched."""
    node = step.state.at_workers.get(node_id)
    if node is None or node.attempt != attempt or step.state.ended:
        return None
    return node


def task_ended(step: Step, command: c.TaskEnded) -> bool:
    node = current(step, command.node, command.attempt)
    if node is None:
        return False
    if not node.delivery and command.begun:
        step.started(node, command.worker_id, command.delivery, command.started_at_us)
    if command.failure is not None:
        attempt_failed(step, node, command.failure, command.draw, spent=command.spent)
        return True
    complete(step, node, command.output or NULL, command.metadata)
    advance(step, deque((node,)))
    return True


def task_runs(step: Step, command: c.TaskRuns) -> bool:
    node = current(step, command.node, command.attempt)
    if node is None or node.delivery:
        return False
    step.started(node, command.worker_id, command.delivery, command.started_at_us)
    return True


def delivery_lost(step: Step, command: c.DeliveryLost) -> bool:
    node = current(step, command.node, command.attempt)
    if node is None:
        return False
    lost = max(node.delivery, 1)
    if lost >= command.deliveries_max:
        failure = failure_of("POISON", f"the worker was lost {lost} times ({command.reason})")
        attempt_failed(step, node, failure, 0.0)
        return True
    step.started(node, delivery=lost + 1)
    step.out.dispatch.append(node)
    return True


def expire(step: Step, node: NodeState) -> None:
    """Fail a task whose attempts together exceeded its total timeout."""
    if node.id in step.state.at_workers:
        step.out.cancel.append((node.id, node.attempt))
    limit = node.planned.total_timeout_us // 1000
    fail_node(step, node, failure_of("Timeout", f"all attempts took longer than {limit} ms"))


def not_begun(step: Step, node: NodeState) -> None:
    """Fail an attempt that no worker started within its limit."""
    step.out.cancel.append((node.id, node.attempt))
    limit = node.planned.start_timeout_us // 1000
    failure = failure_of(NOT_BEGUN, f"no worker started it within {limit} ms")
    attempt_failed(step, node, failure, 0.0)


def attempt_failed(
    step: Step, node: NodeState, failure: failure_pb2.Failure, draw: float, *, spent: bool = False
) -> None:
    retry, tried = node.planned.retry, tries(node)
    asked = min(failure.retry_after_ms, RETRY_AFTER_MS_MAX) * 1000
    delay = max(retry.delay_us(tried, draw), asked)
    elapsed = step.now + delay - node.begun_at_us
    allowed = (
        tried < retry.max_attempts
        and retry.allows(getattr(failure, "class"))
        and not (retry.max_elapsed_us and elapsed > retry.max_elapsed_us)
        and not step.state.stopping
        and not spent
    )
    if allowed:
        step.emit(
            "task_retrying",
            history.TaskRetrying(
                node=node.id,
                attempt=node.attempt,
                failure=failure,
                retry_at_us=step.now + delay,
            ),
        )
        step.out.retried.append(node)
        return
    fail_node(step, node, failure)
    advance(step, deque((node,)))


def why_final(node: NodeState) -> str:
    """Return the reason for which no attempt followed the failure of a task."""
    if node.failure is None:
        return ""
    why = node.planned.retry.why_final(getattr(node.failure, "class"), tries(node))
    # The policy allows an attempt: its time was over, or it was not used.
    limited = node.planned.retry.max_elapsed_us or node.planned.total_timeout_us
    return why or (
        "the time of its attempts was over (`maxElapsed`, `totalTimeout`)"
        if limited
        else "the execution was ending, or no retry was left in the limits of the task"
    )
