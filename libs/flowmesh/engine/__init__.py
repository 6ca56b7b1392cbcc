"""The engine: decisions on commands as events and effects, and the state of an execution. No I/O.

decide(state, command, now, into)   add the events and effects of a command to a transition
apply(state, event)                 advance the state by one event
replay(id, plan, events)            the state after a history
copy_state(state)                   an independent copy; immutable parts are shared
"""

from flowmesh.engine.children.commands import ChildBegan, ChildDone, Join, Rendered
from flowmesh.engine.commands import (
    DELIVERIES_MAX,
    Abort,
    Asked,
    Begin,
    Breakpoints,
    Cancel,
    Collect,
    Command,
    Debounce,
    Decide,
    DeliveryLost,
    Expand,
    Finish,
    Pause,
    Record,
    Resume,
    Signal,
    Start,
    Steer,
    Suspend,
    TaskEnded,
    TaskRuns,
    Terminate,
    TimersDue,
)
from flowmesh.engine.decide import decide
from flowmesh.engine.decisions.approvals import outcome_of
from flowmesh.engine.decisions.attempts import why_final
from flowmesh.engine.decisions.durable import usage_problem
from flowmesh.engine.decisions.starting import first_hold, is_next_run, skips_debounce
from flowmesh.engine.decisions.values import encode_output
from flowmesh.engine.erasure import Erase, StillOpen
from flowmesh.engine.events.apply import apply, replay, restore_held
from flowmesh.engine.events.recorded import Recorded
from flowmesh.engine.reruns import Repeat, failed_nodes, plan_rerun
from flowmesh.engine.search_attributes import SearchValue, SetAttributes, search_messages
from flowmesh.engine.state.copies import copy_state, dispose
from flowmesh.engine.state.journal import (
    JOURNAL_BYTES_MAX,
    JOURNAL_RECORDS_MAX,
    Journal,
    tries,
)
from flowmesh.engine.state.nodes import ChildState, signal_with_key
from flowmesh.engine.state.pages import map_counts, map_output
from flowmesh.engine.state.state import (
    HISTORY_EVENTS_MAX,
    HISTORY_EVENTS_WARN,
    SIGNALS_BYTES_MAX,
    SIGNALS_MAX,
    MachineState,
    MapState,
    NodeState,
    Scope,
    State,
    has_ended,
)
from flowmesh.engine.state.transition import (
    Ended,
    Full,
    NodeMissing,
    NodeUnfit,
    Transition,
    Unfit,
)
from flowmesh.engine.variables import SetVariable

__all__ = [
    "DELIVERIES_MAX",
    "HISTORY_EVENTS_MAX",
    "HISTORY_EVENTS_WARN",
    "JOURNAL_BYTES_MAX",
    "JOURNAL_RECORDS_MAX",
    "SIGNALS_BYTES_MAX",
    "SIGNALS_MAX",
    "Abort",
    "Asked",
    "Begin",
    "Breakpoints",
    "Cancel",
    "ChildBegan",
    "ChildDone",
    "ChildState",
    "Collect",
    "Command",
    "Debounce",
    "Decide",
    "DeliveryLost",
    "Ended",
    "Erase",
    "Expand",
    "Finish",
    "Full",
    "Join",
    "Journal",
    "MachineState",
    "MapState",
    "NodeMissing",
    "NodeState",
    "NodeUnfit",
    "Pause",
    "Record",
    "Recorded",
    "Rendered",
    "Repeat",
    "Resume",
    "Scope",
    "SearchValue",
    "SetAttributes",
    "SetVariable",
    "Signal",
    "Start",
    "State",
    "Steer",
    "StillOpen",
    "Suspend",
    "TaskEnded",
    "TaskRuns",
    "Terminate",
    "TimersDue",
    "Transition",
    "Unfit",
    "apply",
    "copy_state",
    "decide",
    "dispose",
    "encode_output",
    "failed_nodes",
    "first_hold",
    "has_ended",
    "is_next_run",
    "map_counts",
    "map_output",
    "outcome_of",
    "plan_rerun",
    "replay",
    "restore_held",
    "search_messages",
    "signal_with_key",
    "skips_debounce",
    "tries",
    "usage_problem",
    "why_final",
]
