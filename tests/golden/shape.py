"""The parts of an execution's state that golden histories compare, as JSON."""

from typing import Any

from google.protobuf import json_format

from flowmesh.contract.json_value import Json
from flowmesh.engine import NodeState, State

NUMBERS = (
    "status",
    "attempt",
    "delivery",
    "scheduled_at_us",
    "started_at_us",
    "ended_at_us",
    "due_at_us",
)


def message(value: Any) -> Json:
    return None if value is None else json_format.MessageToDict(value)


def holds(now: Json, kept: Json) -> bool:
    """Return whether all expected members are present; later additions are allowed."""
    if isinstance(kept, dict) and isinstance(now, dict):
        return all(key in now and holds(now[key], value) for key, value in kept.items())
    if isinstance(kept, list) and isinstance(now, list):
        return len(kept) == len(now) and all(map(holds, now, kept))
    return bool(kept == now)


def described(state: State) -> Json:
    """All of a state that its history or its snapshot must bring back."""
    return {
        "status": state.status,
        "sequence": state.sequence,
        "startedAt": state.started_at_us,
        "endedAt": state.ended_at_us,
        "wakeAt": 0 if state.ended else state.wake_at_us,
        "requestId": state.request_id,
        "traceparent": state.traceparent,
        "input": message(state.input),
        "output": message(state.output),
        "failure": message(state.failure),
        "signals": [message(each) for each in state.signals],
        "requests": dict(state.requests),
        "timers": {} if state.ended else dict(sorted(state.timers.items())),
        "open": state.scope.open_count,
        "running": state.running_count,
        "waiting": state.scope.waiting,
        "atWorkers": list(state.at_workers),
        "held": sorted(state.held),
        "nodes": {node.id: _node(node) for _, node in sorted(state.scope.nodes.items())},
    }


def _node(node: NodeState) -> Json:
    return {
        **{name: getattr(node, name) for name in NUMBERS},
        "output": message(node.output),
        "failure": message(node.failure),
        "metadata": node.metadata.decode(),
        "worker": node.worker_id,
        "because": node.because_of,
    }
