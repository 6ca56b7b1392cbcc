"""Reports of applications about their requests, whose processes may run code of strangers."""

import math
from typing import Any

import pytest

from flowmesh.apphost.running.app_metrics import AppMetrics
from flowmesh.apps.http.messages import Request
from flowmesh.apps.release_process.conversation import RouteServed, Served, read, written
from flowmesh.apps.release_process.served import OTHER, ROUTES_MAX, ServedRequests
from flowmesh.telemetry.durations import LATENCY_BUCKETS
from flowmesh.telemetry.metrics import Metrics

KEY = ("shop", "store")
BUCKETS = [1, *([0] * len(LATENCY_BUCKETS))]


def counts(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.collected()
        for sample in family.samples
        if sample.name == "flowmesh_app_requests_total" and sample.value
    }


def request(route: str) -> Request:
    return Request(method="GET", path=route, headers=[], route=route)


def test_reports_are_added_up() -> None:
    """By route and outcome; routes beyond the bound are one."""
    metrics, served = Metrics(), ServedRequests()
    host = AppMetrics(metrics, exported=False)
    for status in (200, 404, 500):
        served.request(request("/a"), status, 10, 0.02)
    for number in range(ROUTES_MAX + 5):
        served.request(request(f"/{number}"), 200, 10, 0.02)
    taken = served.taken()
    assert [each.completed for each in taken.routes if each.route == OTHER] == [6]
    told = read(written(taken).rstrip())
    assert isinstance(told, Served)
    host.add(KEY, told)
    host.add(KEY, Served(routes=told.routes[:1]))
    found = counts(metrics)
    assert (found["shop", "store", "/a", "completed"], found["shop", "store", "/a", "failed"]) == (
        4,
        2,
    )
    assert served.taken().routes == []
    assert "store" not in metrics.exposition()[0].decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"completed": -1},
        {"failed": 1.5},
        {"completed": True},
        {"completed": 2**60},
        {"seconds": -1},
        {"seconds": math.nan},
        {"seconds": "1"},
        {"buckets": [1]},
        {"buckets": ["1", *BUCKETS[1:]]},
        {"route": 7},
    ],
)
def test_wrong_reports_count_nothing(wrong: dict[str, Any]) -> None:
    """Numbers that no application can have; the others of the report count."""
    metrics = Metrics()
    good: dict[str, Any] = {
        "route": "/a",
        "completed": 1,
        "failed": 0,
        "seconds": 0.1,
        "buckets": BUCKETS,
    }
    routes = [RouteServed(**{**good, **wrong}), RouteServed(**{**good, "route": "/b"})]
    AppMetrics(metrics, exported=False).add(KEY, Served(routes=routes))
    assert counts(metrics) == {("shop", "store", "/b", "completed"): 1}
