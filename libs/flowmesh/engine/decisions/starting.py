"""How an execution begins that does not at once: later, when it is quiet, or in its turn."""

from __future__ import annotations

from typing import Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.progress import begin_roots
from flowmesh.engine.decisions.steering import set_breakpoints
from flowmesh.engine.decisions.step import Step
from flowmesh.plan import StartPolicy

DELAY = execution_pb2.HOLD_REASON_DELAY
DEBOUNCE = execution_pb2.HOLD_REASON_DEBOUNCE
TURN = execution_pb2.HOLD_REASON_TURN


def holds(step: Step, policy: StartPolicy, command: c.Start) -> bool:
    """Whether a start waits; what goes on from another execution waits for its turn alone."""
    reason = waits_first(policy, command)
    if reason == DELAY:
        _hold(step, DELAY, step.now + policy.delay_us, command.key)
    elif reason == DEBOUNCE:
        _hold(step, DEBOUNCE, _quiet_at(step, policy), command.key)
    elif command.waits:
        _hold(step, TURN, 0, command.key)
    else:
        return False
    return True


def waits_first(policy: StartPolicy, command: c.Start) -> execution_pb2.HoldReason.ValueType:
    """The time that passes before a start has a turn, if any does."""
    if policy.delay_us and command.origin is None and not goes_on(command):
        return DELAY
    if policy.debounce_us and not is_own(command):
        return DEBOUNCE
    return execution_pb2.HOLD_REASON_UNSPECIFIED


def goes_on(command: c.Start) -> bool:
    """Whether it is the next run of an execution that continues as new."""
    return command.link is not None and bool(command.link.continued_from)


def is_own(command: c.Start) -> bool:
    """Whether it waits for no quiet, and gives nobody its input: a child, a next run, a repeat."""
    return command.origin is not None or command.link is not None


def due(step: Step, hold: execution_pb2.Hold) -> None:
    """The time of a hold may be over; where there are turns, the shell says when it has its."""
    if not hold.until_us or step.now < hold.until_us:
        return
    policy = step.plan.start
    if policy is not None and policy.concurrency:
        _hold(step, TURN, 0, hold.key)
    else:
        _begin(step)


def turn(step: Step) -> bool:
    """Begins one that waits for its turn."""
    hold = step.state.hold
    if hold is None or hold.reason != TURN:
        return False
    _begin(step)
    return True


def debounced(step: Step, start: c.Start) -> bool:
    """Another start came: the one that waits has its input, and waits on if it is not due."""
    state, policy = step.state, step.plan.start
    if start.request_id and start.request_id in state.requests:
        return True
    if state.hold is None or policy is None or not policy.debounce_us:
        return False
    quiet = _quiet_at(step, policy) if state.hold.reason == DEBOUNCE else 0
    step.emit(
        "start_debounced",
        history.StartDebounced(
            input=start.input,
            until_us=quiet,
            request_id=start.request_id,
            actor=start.actor,
            search=start.search,
        ),
    )
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
