"""Counts and durations of requests by route template, method and status; those that are kept."""

import time
from typing import Final

from flowmesh.access.principal import DEFAULT_NAMESPACE
from flowmesh.telemetry import Metrics, current_traceparent
from flowmesh.telemetry.context import trace_id_of
from flowmesh.telemetry.signals import KeptCall

_LABELS = ("route", "method", "status")
SERVICE: Final = "gateway"
STARTS: Final = frozenset(
    {
        "/api/v1/workflows/{name}/execute",
        "/workflows/{name}/execute",
        "/api/v1/workflows/{name}/start",
    }
)
# Answers of a start: it runs, or has ended well, or badly, or not in time.
_STARTED: Final = frozenset({200, 202, 422, 504})
_FAILED: Final = 500


class RequestMetrics:
    """`flowmesh_http_requests_total`, `flowmesh_http_request_seconds`, and kept calls."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.counter("flowmesh_http_requests", "HTTP requests served.", _LABELS)
        self._seconds = metrics.histogram(
            "flowmesh_http_request_seconds",
            "Time from the request to the end of the response.",
            ("route",),
        )
        self._signals = metrics.signals

    def observe(self, route: str, method: str, status: int, seconds: float, namespace: str) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if self._signals.slow_ms is None:
            return
        started = route in STARTS and status in _STARTED
        if not started and status < _FAILED:
            return
        if not self._signals.has_room(started=started):
            return
        self._signals.calls.append(
            KeptCall(
                at_us=time.time_ns() // 1_000,
                service=SERVICE,
                method=f"{method} {route}",
                code=f"HTTP {status}" if status >= _FAILED else "OK",
                duration_ms=seconds * 1_000,
                # A request that failed may name any.
                namespace=(namespace or DEFAULT_NAMESPACE) if started else "",
                execution_id="",
                trace_id=trace_id_of(current_traceparent()),
            )
        )
