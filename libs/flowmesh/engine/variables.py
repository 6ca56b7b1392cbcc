"""Variables of an execution, which people change while it runs: the command, and how it applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state.transition import Full
from flowmesh.plan import decode

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step
    from flowmesh.engine.state.state import State

CHANGES_MAX = 1_000
"""Of all variables of an execution together; it keeps all of them, so that whoever renders an
input again comes to the same.
"""


@dataclass(slots=True)
class SetVariable:
    """The value fits the schema of the variable, which the plan has."""

    name: str
    value: payload_pb2.Payload
    reason: str = ""
    request_id: str = ""
    actor: str = ""


def set_variable(step: Step, command: SetVariable) -> None:
    """The caller has seen to it that the execution is open and the command no repeat."""
    if len(step.state.variables_set) >= CHANGES_MAX:
        raise Full("VARIABLES_FULL", f"{CHANGES_MAX:,} changes of variables")
    step.emit(
        "variable_set",
        history.VariableSet(
            name=command.name,
            value=command.value,
            reason=command.reason,
            actor=command.actor,
            request_id=command.request_id,
        ),
    )


def apply_set(state: State, event: history.VariableSet) -> None:
    state.variables_set += (event,)
    state.variables += ({**state.variables[-1], event.name: decode(event.value)},)
