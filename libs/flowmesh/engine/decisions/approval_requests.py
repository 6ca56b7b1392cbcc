"""Requests for approval by people."""

from __future__ import annotations

from collections import deque
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine.decisions.outcomes import fail_node
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import failure_of
from flowmesh.engine.state.state import NodeState
from flowmesh.plan import (
    FetchNeeded,
    RenderError,
    decode,
    render_input,
)

ASSIGNEES_MAX = 100
NAME_CHARACTERS_MAX = 256
"""Each name is in the entry of an index, whose length is bounded."""


def request(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    try:
        given = render_input(step.state, node)
        value = decode(given)
        assignees = names_in(value, "assignees")
        names_in(value, "escalateTo")
    except (FetchNeeded, RenderError, ValueError) as error:
        fail_node(step, node, failure_of("ValidationError", f"input of {node.id}: {error}"))
        ended.append(node)
        return
    approval = node.planned.approval
    assert approval is not None
    most = max(len(assignees), 1)
    needed = min(approval.needed, most) if approval.needed else most
    due_at_us = step.now + approval.deadline_ms * 1000 if approval.deadline_ms else 0
    if len(given.data) > INLINE_BYTES_MAX:
        given = payload_pb2.Payload(data=b"{}")
    step.emit(
        "approval_requested",
        history.ApprovalRequested(
            node=node.id,
            assignees=assignees,
            needed=needed,
            due_at_us=due_at_us,
            details=given,
        ),
    )


def names_in(value: Any, key: str) -> list[str]:
    """Return the people under a key of a rendered input. Raises ValueError."""
    given = value.get(key) if isinstance(value, dict) else None
    if given is None:
        return []
    named = [given] if isinstance(given, str) else given
    if not isinstance(named, list) or not all(isinstance(one, str) and one for one in named):
        raise ValueError(f"{key} is a list of names, not {str(given)[:100]!r}")
    if any("\0" in one or len(one) > NAME_CHARACTERS_MAX for one in named):
        form = f"at most {NAME_CHARACTERS_MAX} characters, none of them NUL"
        raise ValueError(f"a name in {key} has {form}")
    if len(named) > ASSIGNEES_MAX:
        raise ValueError(f"{key} has {len(named)} names, at most {ASSIGNEES_MAX}")
    return list(dict.fromkeys(named))
