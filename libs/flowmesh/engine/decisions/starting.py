"""Starts that are held: delayed, debounced, or queued for their turn."""

from __future__ import annotations

from typing import Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.progress import begin_roots
from flowmesh.engine.decisions.steering import set_breakpoints
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import mark
from flowmesh.plan import StartPolicy

DELAY = execution_pb2.HOLD_REASON_DELAY
DEBOUNCE = execution_pb2.HOLD_REASON_DEBOUNCE
TURN = execution_pb2.HOLD_REASON_TURN


def hold_start(step: Step, policy: StartPolicy, command: c.Start) -> bool:
    """Hold a start if its policy demands it. Return whether it is held."""
    reason = first_hold(policy, command)
    if reason == DELAY:
        _hold(step, DELAY, step.now + policy.delay_us, command.key)
    elif reason == DEBOUNCE:
        _hold(step, DEBOUNCE, _quiet_at(step, policy), command.key)
    elif command.waits:
        _hold(step, TURN, 0, command.key)
    else:
        return False
    return True


def first_hold(policy: StartPolicy, command: c.Start) -> execution_pb2.HoldReason.ValueType:
    """Return the hold before a start queues for its turn; UNSPECIFIED if there is none."""
    if policy.delay_us and command.origin is None and not is_next_run(command):
        return DELAY
    if policy.debounce_us and not skips_debounce(command):
        return DEBOUNCE
    return execution_pb2.HOLD_REASON_UNSPECIFIED


def is_next_run(command: c.Start) -> bool:
    """Return whether an execution that continued as new requested the start."""
    return command.link is not None and bool(command.link.continued_from)


def skips_debounce(command: c.Start) -> bool:
    """Return whether debouncing does not apply: to a child, a next run, a rerun."""
    return command.origin is not None or command.link is not None


def due(step: Step, hold: execution_pb2.Hold) -> None:
    """Begin after the time of a hold, or queue where the policy limits concurrency."""
    if not hold.until_us or step.now < hold.until_us:
        return
    policy = step.plan.start
    if policy is not None and policy.concurrency:
        _hold(step, TURN, 0, hold.key)
    else:
        _begin(step)


def begin_turn(step: Step) -> bool:
    """Begin an execution that waits for its turn. Return False if it does not."""
    hold = step.state.hold
    if hold is None or hold.reason != TURN:
        return False
    _begin(step)
    return True


def debounce(step: Step, start: c.Start) -> bool:
    """Replace the input of a held start and extend its hold. Return False if it is not held."""
    state, policy = step.state, step.plan.start
    if start.request_id and start.request_id in state.requests:
        return True
    if state.hold is None or policy is None or not policy.debounce_us:
        return False
    quiet = _quiet_at(step, policy) if state.hold.reason == DEBOUNCE else 0
    debounced = history.StartDebounced(
        input=start.input,
        until_us=quiet,
        request_id=start.request_id,
        actor=start.actor,
        search=start.search,
    )
    mark(debounced.input, step.plan.input_schema.sensitive)
    step.emit("start_debounced", debounced)
    if start.breakpoints is not None:
        set_breakpoints(step, start.breakpoints)
    return True


def _quiet_at(step: Step, policy: StartPolicy) -> int:
    quiet = step.now + policy.debounce_us
    if not policy.max_wait_us:
        return quiet
    return min(quiet, step.state.started_at_us + policy.max_wait_us)


def _hold(step: Step, reason: Any, until_us: int, key: str) -> None:
    hold = execution_pb2.Hold(reason=reason, until_us=until_us, key=key)
    step.emit("workflow_held", history.WorkflowHeld(hold=hold))


def _begin(step: Step) -> None:
    step.emit("workflow_begun", history.WorkflowBegun())
    begin_roots(step)
