"""JSON shapes of executions and events as REST answers and callbacks show them.

Not here: how they are fetched, and the canonical `/api/v1` answers that only the gateway gives.
"""

from flowmesh.views.events import (
    CLOUD_TYPES,
    END_TYPES,
    EVENT_TYPES,
    SIGNAL_FLOW,
    cloud_event_value,
    cloud_type,
    event_type,
    event_view,
)
from flowmesh.views.executions import (
    EXECUTION_STATUS_WORDS,
    NODE_STATUS_WORDS,
    compensation_word,
    execution_status,
    execution_view,
    hold_view,
    node_status,
    visualize_view,
)
from flowmesh.views.values import (
    Read,
    exact_value,
    failure_view,
    instant,
    json_or_text,
    json_value,
    raw_json,
    raw_value,
    search_view,
    seconds,
    size_value,
)

__all__ = [
    "CLOUD_TYPES",
    "END_TYPES",
    "EVENT_TYPES",
    "EXECUTION_STATUS_WORDS",
    "NODE_STATUS_WORDS",
    "SIGNAL_FLOW",
    "Read",
    "cloud_event_value",
    "cloud_type",
    "compensation_word",
    "event_type",
    "event_view",
    "exact_value",
    "execution_status",
    "execution_view",
    "failure_view",
    "hold_view",
    "instant",
    "json_or_text",
    "json_value",
    "node_status",
    "raw_json",
    "raw_value",
    "search_view",
    "seconds",
    "size_value",
    "visualize_view",
]
