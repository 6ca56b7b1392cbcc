"""Decisions of people: whom a node asks, when enough have decided, and what comes of it."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.ending import failure_of
from flowmesh.engine.decisions.steering import Steering
from flowmesh.engine.state.state import NodeState
from flowmesh.engine.state.transition import NodeMissing, NodeUnfit, Unfit
from flowmesh.plan import NotAtHand, RenderError, decode, decode_if_json, render_input

ASSIGNEES_MAX = 100


class Approvals(Steering):
    """Asks people, and counts what they say."""

    __slots__ = ()

    def begin_approval(self, node: NodeState, ended: deque[NodeState]) -> None:
        try:
            given = render_input(self.state, node)
            value = decode(given)
            assignees = _names(value, "assignees")
        except (NotAtHand, RenderError, ValueError) as error:
            self.fail_node(node, failure_of("ValidationError", f"input of {node.id}: {error}"))
            ended.append(node)
            return
        approval = node.planned.approval
        assert approval is not None
        most = max(len(assignees), 1)
        needed = min(approval.needed, most) if approval.needed else most
        due_at_us = self.now + approval.deadline_ms * 1000 if approval.deadline_ms else 0
        if len(given.data) > INLINE_BYTES_MAX:
            given = payload_pb2.Payload(data=b"{}")
        self.emit(
            "approval_requested",
            history.ApprovalRequested(
                node=node.id,
                assignees=assignees,
                needed=needed,
                due_at_us=due_at_us,
                details=given,
            ),
        )

    def decide_approval(self, command: c.Decide) -> None:
        """Raises Ended, Unfit while it is paused, NodeMissing, and NodeUnfit."""
        if self.repeated(command.request_id):
            return
        if self.state.paused or self.state.compensating:
            raise Unfit(self.state.status)
        node = self.state.node(command.node)
        if node is None or node.planned.approval is None:
            raise NodeMissing(command.node)
        asked = node.approval
        if node.id not in self.state.asking or asked is None:
            raise NodeUnfit(f"{node.id} has been decided, or asks nobody yet")
        if command.asked_at_us not in (0, node.scheduled_at_us):
            raise NodeUnfit(f"{node.id} has been decided; it asks anew")
        if asked.assignees and command.by not in asked.assignees:
            listed = ", ".join(asked.assignees)
            raise NodeUnfit(f"{node.id} does not wait for {command.by!r}, but for {listed}")
        if any(one.by == command.by for one in asked.decisions):
            raise NodeUnfit(f"{command.by!r} has decided {node.id} already")
        self.emit(
            "approval_decided",
            history.ApprovalDecided(
                node=node.id,
                by=command.by,
                approved=command.approved,
                comment=command.comment,
                form=command.form,
                request_id=command.request_id,
            ),
        )
        ended: deque[NodeState] = deque()
        outcome = outcome_of(asked)
        if outcome:
            self.settle(node, outcome, ended)
        self.advance(ended)

    def deadline_passed(self, node: NodeState, ended: deque[NodeState]) -> None:
        """Asks others, if there are any and they were not asked yet; else decides without."""
        asked, approval = node.approval, node.planned.approval
        assert asked is not None
        assert approval is not None
        others = _names(decode_if_json(asked.details.data), "escalateTo")
        if others and not asked.escalated:
            self.emit(
                "approval_escalated",
                history.ApprovalEscalated(
                    node=node.id,
                    assignees=others,
                    due_at_us=self.now + approval.deadline_ms * 1000,
                ),
            )
        elif approval.on_deadline == plan_pb2.DEADLINE_UNSPECIFIED:
            self.fail_node(node, failure_of("Timeout", f"nobody decided {node.id} in time"))
            ended.append(node)
        else:
            approved = approval.on_deadline == plan_pb2.DEADLINE_APPROVE
            self.settle(node, "approved" if approved else "rejected", ended)

    def settle(self, node: NodeState, outcome: str, ended: deque[NodeState]) -> None:
        """Ends a node with what was decided."""
        assert node.approval is not None
        approval = node.planned.approval
        decisions = [_shown(one) for one in node.approval.decisions]
        if outcome == "rejected" and approval is not None and not approval.goes_on_rejected:
            failure = failure_of("Rejected", f"{node.id} was rejected")
            failure.details = json.dumps({"decisions": decisions}).encode()
            self.fail_node(node, failure)
        else:
            value = {"outcome": outcome, "decisions": decisions}
            self.complete(node, payload_pb2.Payload(data=json.dumps(value).encode()))
        ended.append(node)


def outcome_of(asked: execution_pb2.Approval) -> str:
    """What has been decided; empty as long as more decisions are needed."""
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


def _names(value: Any, key: str) -> list[str]:
    """The people in a rendered input; raises ValueError where they are none."""
    given = value.get(key) if isinstance(value, dict) else None
    if given is None:
        return []
    named = [given] if isinstance(given, str) else given
    if not isinstance(named, list) or not all(isinstance(one, str) and one for one in named):
        raise ValueError(f"{key} is a list of names, not {str(given)[:100]!r}")
    if len(named) > ASSIGNEES_MAX:
        raise ValueError(f"{key} has {len(named)} names, at most {ASSIGNEES_MAX}")
    return list(dict.fromkeys(named))
