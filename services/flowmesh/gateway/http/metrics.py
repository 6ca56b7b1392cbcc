"""Counts and durations of requests by route template, method and status."""

from flowmesh.telemetry import Metrics

_LABELS = ("route", "method", "status")


class RequestMetrics:
    """`flowmesh_http_requests_total` and `flowmesh_http_request_seconds`."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.counter("flowmesh_http_requests", "HTTP requests served.", _LABELS)
        self._seconds = metrics.histogram(
            "flowmesh_http_request_seconds",
            "Time from the request to the end of the response.",
            ("route",),
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
