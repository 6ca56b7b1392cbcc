"""The engine: what happens, how state changes, what the world must be told. No I/O of any kind.

decide(state, command, now, into)   what follows from a command, as events and effects
apply(state, event)                 how one event changes the state
replay(id, plan, events)            the state that a history adds up to
"""

from flowmesh.engine.apply import apply, replay, restore_held
from flowmesh.engine.commands import (
    Cancel,
    Collect,
    Command,
    DeliveryLost,
    Expand,
    Finish,
    Pause,
    Resume,
    Signal,
    Start,
    TaskEnded,
    TaskRuns,
    Terminate,
    TimersDue,
)
from flowmesh.engine.decide import DELIVERIES_MAX, decide
from flowmesh.engine.progress import OUTPUT_BYTES_MAX, encode_output
from flowmesh.engine.state import (
    HISTORY_EVENTS_MAX,
    HISTORY_EVENTS_WARN,
    SIGNALS_BYTES_MAX,
    SIGNALS_MAX,
    MachineState,
    MapState,
    NodeState,
    Scope,
    State,
)
from flowmesh.engine.transition import Ended, SignalsFull, Transition, Unfit

__all__ = [
    "DELIVERIES_MAX",
    "HISTORY_EVENTS_MAX",
    "HISTORY_EVENTS_WARN",
    "OUTPUT_BYTES_MAX",
    "SIGNALS_BYTES_MAX",
    "SIGNALS_MAX",
    "Cancel",
    "Collect",
    "Command",
    "DeliveryLost",
    "Ended",
    "Expand",
    "Finish",
    "MachineState",
    "MapState",
    "NodeState",
    "Pause",
    "Resume",
    "Scope",
    "Signal",
    "SignalsFull",
    "Start",
    "State",
    "TaskEnded",
    "TaskRuns",
    "Terminate",
    "TimersDue",
    "Transition",
    "Unfit",
    "apply",
    "decide",
    "encode_output",
    "replay",
    "restore_held",
]
