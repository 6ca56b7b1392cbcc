"""The plan of a rerun: the nodes that run again and the results that are reused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, State
from flowmesh.plan import Plan, PlanNode
from flowmesh.tasktypes import TASK_TYPES


@dataclass(frozen=True, slots=True)
class Repeat:
    """A node in a rerun: its reused result, or the reason to run it.

    `effect` marks a node that completed before and may repeat its side effects.
    """

    planned: PlanNode
    reused: history.ResultReused | None
    reason: str
    effect: bool


def plan_rerun(state: State, plan: Plan, from_nodes: Iterable[str]) -> list[Repeat]:
    """Return every node of the plan, which may be another version than the one that ran.

    Without `from_nodes` all nodes run again. Raises KeyError for a node missing in the plan.
    """
    named = {plan.by_id[name].index for name in from_nodes}
    again: dict[int, str] = {}
    repeats: list[Repeat] = []
    for planned in _in_order(plan):
        ran = _node_of(state, planned)
        reason = _why_again(state, planned, ran, named, again)
        reused = None
        if reason:
            again[planned.index] = reason
        elif ran is not None and ran.status != s.SKIPPED:
            reused = history.ResultReused(node=planned.id, output=ran.output, metadata=ran.metadata)
            if ran.status == s.FAILED:
                reused.failure.CopyFrom(ran.failure or reused.failure)
        # A skipped node whose dependencies are reused is skipped again.
        before = ran is not None and ran.status == s.COMPLETED
        effect = bool(reason) and before and _has_effect(planned)
        repeats.append(Repeat(planned, reused, reason or "its result is reused", effect))
    return sorted(repeats, key=lambda each: each.planned.index)


def failed_nodes(state: State, plan: Plan) -> list[str]:
    """Return the nodes that always run again; none if the execution completed."""
    if state.status == s.EXECUTION_COMPLETED:
        return []
    return [each.id for each in plan.nodes if _why_failed(state, each, _node_of(state, each))]


def _why_again(
    state: State,
    planned: PlanNode,
    ran: NodeState | None,
    named: set[int],
    again: dict[int, str],
) -> str:
    if not named:
        return "the whole execution runs again"
    if planned.index in named:
        return "it was named"
    earlier = next((index for index in planned.dependencies if index in again), None)
    if earlier is not None:
        return "a node before it runs again"
    return _why_failed(state, planned, ran)


def _why_failed(state: State, planned: PlanNode, ran: NodeState | None) -> str:
    if ran is None or ran.status not in (s.COMPLETED, s.FAILED, s.SKIPPED):
        return "it has no result"
    if ran.status == s.FAILED and not (ran.passes or planned.excused or not planned.critical):
        return "it failed"
    if ran.status == s.COMPLETED and planned.undo is not None and state.closing is not None:
        return "its work was compensated"
    return ""


def _in_order(plan: Plan) -> Iterable[PlanNode]:
    """Yield each node after its dependencies."""
    waiting = [len(node.dependencies) for node in plan.nodes]
    ready = list(plan.roots)
    while ready:
        node = ready.pop()
        yield node
        for successor in node.successors:
            waiting[successor.index] -= 1
            if not waiting[successor.index]:
                ready.append(successor)


def _node_of(state: State, planned: PlanNode) -> NodeState | None:
    own = state.plan.by_id.get(planned.id)
    return state.scope.nodes.get(own.index) if own is not None else None


def _has_effect(planned: PlanNode) -> bool:
    if planned.body is not None:
        return any(_has_effect(node) for node in planned.body.nodes)
    if planned.spec is None or not planned.spec.task_type:
        return False
    task_type = TASK_TYPES.get(planned.spec.task_type)
    if task_type is None:
        return True
    return task_type.repeats_effect(json.loads(planned.spec.config or b"{}"))
