"""Metrics of an application in the text form of Prometheus."""

from collections.abc import Collection
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from flowmesh.apps.http.messages import Request

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class AppMetrics:
    """Counters and durations of requests and runs; children are looked up once each."""

    def __init__(self, *, namespace: str, subsystem: str, enabled: Collection[str]) -> None:
        self.registry = CollectorRegistry()
        names: dict[str, Any] = {
            "namespace": namespace,
            "subsystem": subsystem,
            "registry": self.registry,
        }
        self._enabled = frozenset(enabled) or frozenset({"http", "pipeline"})
        self._requests = Counter(
            "http_requests_total", "Served requests.", ("route", "method", "status"), **names
        )
        self._request_seconds = Histogram(
            "http_request_seconds",
            "Time of a request.",
            ("route", "method"),
            buckets=SECONDS,
            **names,
        )
        self._runs = Counter(
            "pipeline_runs_total", "Runs of pipelines.", ("pipeline", "outcome"), **names
        )
        self._run_seconds = Histogram(
            "pipeline_run_seconds", "Time of a run.", ("pipeline",), buckets=SECONDS, **names
        )
        self._request_children: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._run_children: dict[tuple[str, str], tuple[Any, Any]] = {}

    def request(self, request: Request, status: int, size: int, seconds: float) -> None:
        if "http" not in self._enabled:
            return
        key = (request.route, request.method, status)
        children = self._request_children.get(key)
        if children is None:
            children = self._request_children[key] = (
                self._requests.labels(key[0], key[1], str(status)),
                self._request_seconds.labels(key[0], key[1]),
            )
        children[0].inc()
        children[1].observe(seconds)

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None:
        if "pipeline" not in self._enabled:
            return
        key = (pipeline, "failed" if code else "done")
        children = self._run_children.get(key)
        if children is None:
            children = self._run_children[key] = (
                self._runs.labels(*key),
                self._run_seconds.labels(pipeline),
            )
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
