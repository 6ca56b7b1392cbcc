"""Logs, metrics, spans and trace context of a process.

A name is imported when it is first used: the spans of a worker load neither logs nor metrics.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmesh.telemetry.context import child_traceparent, current_traceparent, trace
    from flowmesh.telemetry.export import (
        VERSION,
        SpanExport,
        TelemetryMissing,
        endpoint_of,
        open_export,
    )
    from flowmesh.telemetry.logs import LossyStream, configure_logs
    from flowmesh.telemetry.metrics import Metrics
    from flowmesh.telemetry.spans import Span, Spans
else:
    HOMES = {
        "VERSION": "export",
        "Metrics": "metrics",
        "Span": "spans",
        "SpanExport": "export",
        "Spans": "spans",
        "TelemetryMissing": "export",
        "LossyStream": "logs",
        "child_traceparent": "context",
        "configure_logs": "logs",
        "current_traceparent": "context",
        "endpoint_of": "export",
        "open_export": "export",
        "trace": "context",
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


__all__ = [
    "VERSION",
    "LossyStream",
    "Metrics",
    "Span",
    "SpanExport",
    "Spans",
    "TelemetryMissing",
    "child_traceparent",
    "configure_logs",
    "current_traceparent",
    "endpoint_of",
    "open_export",
    "trace",
]
