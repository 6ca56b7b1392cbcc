"""Nodes that the engine completes itself: waits for a time, a signal or an execution, and noops."""

from __future__ import annotations

from collections import deque

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.children import begin as children
from flowmesh.engine.decisions import delays
from flowmesh.engine.decisions.outcomes import complete, fail_node, take_signal
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import NULL, failure_of
from flowmesh.engine.state.state import NodeState, Scope
from flowmesh.plan import FetchNeeded, PlanNode, RenderError, decode, render_input


def begin(step: Step, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
    """Begin a node of the engine. Add it to `ended` if it ends at once."""
    if planned.kind == plan_pb2.NODE_KIND_TIMER:
        _begin_timer(step, scope, planned, ended)
        return
    node = step.scheduled(scope, planned)
    if planned.waits:
        children.begin(step, node, ended)
        return
    step.started(node)
    if planned.signal:
        take_signal(step, node, ended)
    else:
        complete(step, node, NULL)
        ended.append(node)


def _begin_timer(step: Step, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
    try:
        due_at_us = _due_us(step, scope, planned)
    except (RenderError, FetchNeeded, ValueError) as error:
        node = step.scheduled(scope, planned)
        fail_node(step, node, failure_of("ValidationError", f"duration of {node.id}: {error}"))
        ended.append(node)
        return
    step.emit(
        "timer_started",
        history.TimerStarted(node=scope.prefix + planned.id, fire_at_us=due_at_us),
    )


def _due_us(step: Step, scope: Scope, planned: PlanNode) -> int:
    """Return the due time of a timer that begins now. Raises errors of rendering, ValueError."""
    if planned.delay_us or planned.input is None:
        return step.now + planned.delay_us
    node = NodeState(planned, scope)
    node.scheduled_at_us = step.now
    return delays.end_us(decode(render_input(step.state, node)), step.now)
