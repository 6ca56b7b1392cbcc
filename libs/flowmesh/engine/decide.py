"""The decision on a command. Deterministic, no I/O. Mutates `state` and `into`.

`decide` applies each event to the state as it is emitted, because later events depend on it. A
caller that cannot commit them discards the state and replays the history.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine import erasure, search_attributes, variables
from flowmesh.engine.children import commands as cc
from flowmesh.engine.children import decisions as children
from flowmesh.engine.children import joins, messages
from flowmesh.engine.decisions import attempts, durable, starting
from flowmesh.engine.decisions.approvals import deadline_passed, decide_approval
from flowmesh.engine.decisions.attempts import (
    delivery_lost,
    expire,
    not_begun,
    task_ended,
    task_runs,
)
from flowmesh.engine.decisions.bodies import collect, expand
from flowmesh.engine.decisions.ending import close, conclude, fail, finish
from flowmesh.engine.decisions.outcomes import cancel_open_nodes, complete, take_signal
from flowmesh.engine.decisions.progress import advance, begin_roots, release_all
from flowmesh.engine.decisions.steering import set_breakpoints, steer
from flowmesh.engine.decisions.step import Step, repeated
from flowmesh.engine.decisions.values import NULL, failure_of, mark
from flowmesh.engine.events.apply import APPLY
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, State
from flowmesh.engine.state.transition import Ended, Full, Transition, Unfit


def decide(state: State, command: c.Command, now_us: int, into: Transition) -> bool:
    """Add the events and effects of a command to `into`. Return False for a stale command.

    Raises Ended if the command requires an open execution, Unfit if it does not fit the status,
    Full if it exceeds a limit.
    """
    step = Step(state, now_us, into)
    had_ended = into.ended
    followed = _handle(step, command)
    if state.sequence >= s.HISTORY_EVENTS_MAX:
        _history_full(step)
    if into.ended and not had_ended:
        if state.link is not None:
            messages.report_to_parent(state, into)
        if state.joined_by:
            joins.resend(state, into)
    return followed


def _handle(step: Step, command: c.Command) -> bool:
    match command:
        case c.TaskEnded():
            return task_ended(step, command)
        case c.TaskRuns():
            return task_runs(step, command)
        case c.Start():
            _start(step, command)
        case c.TimersDue():
            _timers_due(step)
        case c.Begin():
            return starting.begin_turn(step)
        case c.Debounce():
            return starting.debounce(step, command.start)
        case c.DeliveryLost():
            return delivery_lost(step, command)
        case c.Signal():
            _signal(step, command)
        case c.Cancel():
            _stop(step, command, s.EXECUTION_CANCELED)
        case c.Pause():
            _pause(step, command)
        case c.Resume():
            _resume(step, command)
        case c.Terminate():
            _stop(step, command, s.EXECUTION_TERMINATED)
        case c.Abort():
            _abort(step, command)
        case c.Steer():
            steer(step, command)
        case c.Decide():
            decide_approval(step, command)
        case c.Breakpoints():
            set_breakpoints(step, command)
        case c.Finish():
            finish(step, command)
        case c.Expand():
            return expand(step, command)
        case c.Collect():
            return collect(step, command)
        case search_attributes.SetAttributes():
            if not repeated(step, command.request_id):
                search_attributes.set_attributes(step, command)
        case variables.SetVariable():
            if not repeated(step, command.request_id):
                variables.set_variable(step, command)
        case erasure.Erase():
            erasure.erase(step, command)
        case cc.Rendered():
            return children.rendered(step, command)
        case cc.ChildBegan():
            return children.began(step, command)
        case cc.ChildDone():
            return children.done(step, command)
        case cc.Join():
            return joins.join(step, command)
        case c.Record() | c.Suspend():
            asking = attempts.current(step, command.node, command.attempt)
            return asking is not None and durable.record(step, asking, command)
        case _:
            assert_never(command)
    return True


def _start(step: Step, command: c.Start) -> None:
    _workflow_started(step, command)
    for signal in command.signals:
        received = history.SignalReceived(name=signal.name, payload=signal.payload)
        step.emit("signal_received", received)
    if command.breakpoints is not None:
        set_breakpoints(step, command.breakpoints)
    for name, edited in command.edits.items():
        steered = history.NodeSteered(node=name, input=edited)
        mark(steered.input, step.plan.at(name).sensitive_input)
        step.emit("node_steered", steered)
    for reused in command.reused:
        step.emit("result_reused", reused)
    policy = step.plan.start
    if policy is None or not starting.hold_start(step, policy, command):
        begin_roots(step)


def _workflow_started(step: Step, command: c.Start) -> None:
    plan, body = step.plan, step.add("workflow_started")
    body.namespace = plan.namespace
    body.workflow_id = plan.workflow_id
    body.version = plan.version
    body.plan_digest = plan.digest
    body.input.CopyFrom(command.input)
    if plan.input_schema.sensitive:
        mark(body.input, plan.input_schema.sensitive)
    body.request_id = command.request_id
    body.actor = command.actor
    body.traceparent = command.traceparent
    if command.origin is not None:
        body.origin.CopyFrom(command.origin)
    if command.search:
        body.search.extend(command.search)
    if command.link is not None:
        body.link.CopyFrom(command.link)
    if command.permissions:
        body.permissions.extend(command.permissions)
    APPLY["workflow_started"](step.state, body, step.now)


def _timers_due(step: Step) -> None:
    state = step.state
    if state.ended:
        return
    limit = state.limit_at_us
    if limit and step.now >= limit:
        cancel_open_nodes(step)
        fail(step, "Timeout", f"the execution took longer than {step.plan.timeout_us // 1000} ms")
        return
    if state.paused or state.stopping:
        return
    if state.hold is not None:
        starting.due(step, state.hold)
        return
    ended: deque[NodeState] = deque()
    while (first := state.next_timer()) is not None and first[0] <= step.now:
        node = state.reach(first[1])
        if node.expires_at_us and step.now >= node.expires_at_us:
            expire(step, node)
            ended.append(node)
        elif node.journal is not None and (node.id in state.at_workers or node.journal.suspended):
            durable.due(step, node)
        elif node.id in state.at_workers:
            not_begun(step, node)
        elif node.planned.is_task:
            step.schedule(node.scope, node.planned)
        elif node.planned.body is not None:
            step.ask(node)
        elif node.planned.waits:
            children.due(step, node, ended)
        elif node.approval is not None:
            deadline_passed(step, node, ended)
        else:
            step.emit("timer_fired", history.TimerFired(node=node.id))
            complete(step, node, NULL)
            ended.append(node)
    if ended:
        advance(step, ended)


def _history_full(step: Step) -> None:
    """Fail an execution whose history reached its limit, unless all nodes have ended."""
    if step.state.ended or not step.state.scope.open_count:
        return
    cancel_open_nodes(step)
    message = f"the history has {s.HISTORY_EVENTS_MAX:,} events, the limit"
    failure = failure_of("ResourceLimit", message)
    outcome = s.EXECUTION_FAILED
    conclude(step, history.CompensationStarted(outcome=outcome, failure=failure))


def _signal(step: Step, command: c.Signal) -> None:
    state = step.state
    if command.request_id in state.requests:
        return
    if state.ended:
        raise Ended(state.status)
    if len(state.signals) >= s.SIGNALS_MAX:
        raise Full("SIGNALS_FULL", f"{s.SIGNALS_MAX:,} signals")
    if state.signals_bytes + len(command.payload.data) > s.SIGNALS_BYTES_MAX:
        raise Full("SIGNALS_FULL", f"signals of {s.SIGNALS_BYTES_MAX >> 20} MiB")
    step.emit(
        "signal_received",
        history.SignalReceived(
            name=command.name,
            payload=command.payload,
            actor=command.actor,
            request_id=command.request_id,
        ),
    )
    waiting = state.awaiting.get(command.name)
    if not waiting:
        return
    node = next(iter(waiting.values()))
    if node.journal is not None:
        durable.signaled(step, node, command.name)
        return
    ended: deque[NodeState] = deque()
    take_signal(step, node, ended)
    advance(step, ended)


def _stop(step: Step, command: c.Cancel | c.Terminate, outcome: s.ExecutionStatus) -> None:
    """Cancel or terminate. A compensation can only be terminated; it then stops where it is."""
    if repeated(step, command.request_id):
        return
    undoing = step.state.compensating
    if undoing and outcome == s.EXECUTION_CANCELED:
        raise Unfit(step.state.status)
    cancel_open_nodes(step)
    if undoing:
        command.compensate = False
    close(step, outcome=outcome, command=command)


def _abort(step: Step, command: c.Abort) -> None:
    cancel_open_nodes(step)
    closing = history.CompensationStarted(
        outcome=s.EXECUTION_FAILED, failure=failure_of("POISON", command.message)
    )
    if step.state.compensating:
        conclude(step, closing)
    else:
        close(step, outcome=closing.outcome, failure=closing.failure)


def _pause(step: Step, command: c.Pause) -> None:
    if repeated(step, command.request_id):
        return
    if step.state.paused or step.state.compensating:
        raise Unfit(step.state.status)
    step.emit(
        "workflow_paused",
        history.WorkflowPaused(
            reason=command.reason, actor=command.actor, request_id=command.request_id
        ),
    )


def _resume(step: Step, command: c.Resume) -> None:
    """Begin the held nodes and dispatch the attempts that were not sent while paused."""
    state = step.state
    if repeated(step, command.request_id):
        return
    if not state.paused:
        raise Unfit(state.status)
    step.emit(
        "workflow_resumed",
        history.WorkflowResumed(
            reason=command.reason, actor=command.actor, request_id=command.request_id
        ),
    )
    step.out.dispatch.extend(state.at_workers.values())
    ended: deque[NodeState] = deque()
    release_all(step, ended)
    advance(step, ended)
