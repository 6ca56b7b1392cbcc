"""Decisions on approvals, and their deadlines."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.approval_requests import names_in
from flowmesh.engine.decisions.outcomes import complete, fail_node
from flowmesh.engine.decisions.progress import advance
from flowmesh.engine.decisions.step import Step, repeated
from flowmesh.engine.decisions.values import failure_of, mark
from flowmesh.engine.state.state import NodeState
from flowmesh.engine.state.transition import NodeMissing, NodeUnfit, Unfit
from flowmesh.plan import (
    decode_if_json,
)


def decide_approval(step: Step, command: c.Decide) -> None:
    """Record a decision. Raises Ended, Unfit while paused, NodeMissing, NodeUnfit."""
    if repeated(step, command.request_id):
        return
    if step.state.paused or step.state.compensating:
        raise Unfit(step.state.status)
    node = step.state.node(command.node)
    if node is None or node.planned.approval is None:
        raise NodeMissing(command.node)
    asked = node.approval
    if node.id not in step.state.asking or asked is None:
        raise NodeUnfit(f"{node.id} has been decided or has not requested approval yet")
    if command.asked_at_us not in (0, node.scheduled_at_us):
        raise NodeUnfit(f"{node.id} has been decided and requests approval again")
    if asked.assignees and command.by not in asked.assignees:
        listed = ", ".join(asked.assignees)
        raise NodeUnfit(f"{node.id} does not wait for {command.by!r}, but for {listed}")
    if any(one.by == command.by for one in asked.decisions):
        raise NodeUnfit(f"{command.by!r} has decided {node.id} already")
    decided = history.ApprovalDecided(
        node=node.id,
        by=command.by,
        approved=command.approved,
        comment=command.comment,
        form=command.form,
        request_id=command.request_id,
    )
    if node.planned.form.sensitive and command.form is not None:
        mark(decided.form, node.planned.form.sensitive)
    step.emit("approval_decided", decided)
    ended: deque[NodeState] = deque()
    outcome = outcome_of(asked)
    if outcome:
        _settle(step, node, outcome, ended)
    advance(step, ended)


def deadline_passed(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    """Escalate once if the input names others; after that apply the deadline policy."""
    asked, approval = node.approval, node.planned.approval
    assert asked is not None
    assert approval is not None
    try:
        others = names_in(decode_if_json(asked.details.data), "escalateTo")
    except ValueError as error:
        fail_node(step, node, failure_of("ValidationError", f"input of {node.id}: {error}"))
        ended.append(node)
        return
    if others and not asked.escalated:
        step.emit(
            "approval_escalated",
            history.ApprovalEscalated(
                node=node.id,
                assignees=others,
                due_at_us=step.now + approval.deadline_ms * 1000,
            ),
        )
    elif approval.on_deadline == plan_pb2.DEADLINE_UNSPECIFIED:
        fail_node(step, node, failure_of("Timeout", f"{node.id} was not decided in time"))
        ended.append(node)
    else:
        approved = approval.on_deadline == plan_pb2.DEADLINE_APPROVE
        _settle(step, node, "approved" if approved else "rejected", ended)


def _settle(step: Step, node: NodeState, outcome: str, ended: deque[NodeState]) -> None:
    """End a node with its outcome."""
    assert node.approval is not None
    approval = node.planned.approval
    decisions = [_shown(one) for one in node.approval.decisions]
    if outcome == "rejected" and approval is not None and not approval.goes_on_rejected:
        failure = failure_of("Rejected", f"{node.id} was rejected")
        failure.details = json.dumps({"decisions": decisions}).encode()
        fail_node(step, node, failure)
    else:
        value = {"outcome": outcome, "decisions": decisions}
        output = payload_pb2.Payload(data=json.dumps(value).encode())
        mark(output, (f"/decisions/*/form{each}" for each in node.planned.form.sensitive))
        complete(step, node, output)
    ended.append(node)


def outcome_of(asked: execution_pb2.Approval) -> str:
    """Return "approved", "rejected", or "" while more decisions are needed."""
    approved = sum(one.approved for one in asked.decisions)
    rejected = len(asked.decisions) - approved
    if approved >= asked.needed:
        return "approved"
    left = max(len(asked.assignees), 1) - rejected
    return "rejected" if left < asked.needed else ""


def _shown(decision: execution_pb2.Decision) -> dict[str, Any]:
    shown: dict[str, Any] = {"by": decision.by, "approved": decision.approved}
    if decision.comment:
        shown["comment"] = decision.comment
    if decision.HasField("form"):
        shown["form"] = decode_if_json(decision.form.data)
    return shown
