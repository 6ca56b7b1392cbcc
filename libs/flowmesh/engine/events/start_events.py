"""Events of executions whose start is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.events.ends import own, remember
from flowmesh.engine.search_attributes import NO_SEARCH_VALUES, search_values
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import State


def _workflow_held(state: State, event: history.WorkflowHeld, _at_us: int) -> None:
    state.hold = execution_pb2.Hold()
    state.hold.CopyFrom(event.hold)
    if state.status == s.EXECUTION_RUNNING:
        state.status = s.EXECUTION_PENDING


def _workflow_begun(state: State, _event: history.WorkflowBegun, at_us: int) -> None:
    state.hold = None
    state.begun_at_us = at_us
    if state.status == s.EXECUTION_PENDING:
        state.status = s.EXECUTION_RUNNING


def _start_debounced(state: State, event: history.StartDebounced, _at_us: int) -> None:
    state.input = own(event.input)
    state.search = search_values(event.search) if event.search else NO_SEARCH_VALUES
    if state.hold is not None and event.until_us:
        # A hold of its own: copies of the state share the one of before.
        state.hold = execution_pb2.Hold(
            reason=state.hold.reason, until_us=event.until_us, key=state.hold.key
        )
    remember(state, event.request_id)


APPLY: dict[str, Callable[[State, Any, int], None]] = {
    "workflow_held": _workflow_held,
    "workflow_begun": _workflow_begun,
    "start_debounced": _start_debounced,
}
