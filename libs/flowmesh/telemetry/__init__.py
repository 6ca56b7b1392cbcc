"""Logs, metrics and trace context of a process. Decides nothing about what is worth telling."""

from flowmesh.telemetry.context import child_traceparent, current_traceparent, trace
from flowmesh.telemetry.logs import Unfailing, configure_logs
from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.spans import Spans, open_spans

__all__ = [
    "Metrics",
    "Spans",
    "Unfailing",
    "child_traceparent",
    "configure_logs",
    "current_traceparent",
    "open_spans",
    "trace",
]
