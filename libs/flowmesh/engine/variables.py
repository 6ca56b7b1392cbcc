"""Variables of a running execution: the command that sets one, and its event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.decisions.values import mark
from flowmesh.engine.state.transition import Full
from flowmesh.plan import decode

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step
    from flowmesh.engine.state.state import State

CHANGES_MAX = 1_000
"""Changes of all variables of an execution. All are kept, because a repeated rendering of an input
must have the same result.
"""


@dataclass(slots=True)
class SetVariable:
    """Set a declared variable. The caller has checked the value against its schema."""

    name: str
    value: payload_pb2.Payload
    reason: str = ""
    request_id: str = ""
    actor: str = ""


def set_variable(step: Step, command: SetVariable) -> None:
    """Record a new value. The caller has checked the status and the request id."""
    if len(step.state.variables_set) >= CHANGES_MAX:
        raise Full("VARIABLES_FULL", f"{CHANGES_MAX:,} changes of variables")
    changed = history.VariableSet(
        name=command.name,
        value=command.value,
        reason=command.reason,
        actor=command.actor,
        request_id=command.request_id,
    )
    mark(changed.value, step.plan.variable_schemas[command.name].sensitive)
    step.emit("variable_set", changed)


def apply_set(state: State, event: history.VariableSet) -> None:
    state.variables_set += (event,)
    state.variables += ({**state.variables[-1], event.name: decode(event.value)},)
