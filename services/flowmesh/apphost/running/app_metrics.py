"""The requests of applications by route, as kept signals of their host."""

import time
from typing import Final

from flowmesh.apphost.storage.records import Key
from flowmesh.apps.release_process.conversation import RouteServed, Served
from flowmesh.apps.release_process.served import ROUTES_MAX
from flowmesh.telemetry.durations import Ended
from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.named import NamedDurations

ROUTE_CHARACTERS_MAX: Final = 200
COUNT_MAX: Final = 2**40


class AppMetrics:
    """Adds up what the processes of applications report; exported only on request."""

    def __init__(self, metrics: Metrics, *, exported: bool) -> None:
        self._requests = NamedDurations(
            "flowmesh_app_request", ("app", "route"), "Requests to applications by route"
        )
        metrics.add_named(self._requests, exported=exported)

    def add(self, key: Key, served: Served) -> None:
        """Add the numbers of a process, of which the code of strangers may have made any."""
        now_ms = time.monotonic() * 1_000
        for each in served.routes[: ROUTES_MAX + 1]:
            if _is_right(each):
                name = key[1], each.route[:ROUTE_CHARACTERS_MAX]
                found = self._requests.of(key[0], name, now_ms)
                found.completed += each.completed
                found.failed += each.failed
                found.seconds += each.seconds
                found.ended_ms = now_ms
                found.buckets = [a + b for a, b in zip(found.buckets, each.buckets, strict=True)]


def _is_right(each: RouteServed) -> bool:
    counts = [each.completed, each.failed, *each.buckets]
    return (
        isinstance(each.route, str)
        and len(each.buckets) == len(Ended().buckets)
        and all(type(count) is int and 0 <= count <= COUNT_MAX for count in counts)
        and isinstance(each.seconds, int | float)
        and 0 <= each.seconds <= COUNT_MAX
    )
