"""Logs, metrics and trace context of a process. Decides nothing about what is worth telling."""

from flowmesh.telemetry.context import child_traceparent, current_traceparent, trace
from flowmesh.telemetry.export import (
    VERSION,
    SpanExport,
    TelemetryMissing,
    endpoint_of,
    open_export,
)
from flowmesh.telemetry.logs import Unfailing, configure_logs
from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.spans import Span, Spans

__all__ = [
    "VERSION",
    "Metrics",
    "Span",
    "SpanExport",
    "Spans",
    "TelemetryMissing",
    "Unfailing",
    "child_traceparent",
    "configure_logs",
    "current_traceparent",
    "endpoint_of",
    "open_export",
    "trace",
]
