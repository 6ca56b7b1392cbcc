"""The requests of an application by route, for the host that runs it."""

from typing import Final

from flowmesh.apps.http.messages import Request
from flowmesh.apps.release_process.conversation import RouteServed, Served
from flowmesh.telemetry.durations import Ended

ROUTES_MAX: Final = 100
OTHER: Final = "other"
FAILED: Final = 500
"""The status from which a request failed."""


class ServedRequests:
    """Counts until they are taken; routes beyond the bound are `other`."""

    def __init__(self) -> None:
        self._routes: dict[str, Ended] = {}

    def request(self, request: Request, status: int, size: int, seconds: float) -> None:
        route = request.route
        if route not in self._routes and len(self._routes) >= ROUTES_MAX:
            route = OTHER
        self._routes.setdefault(route, Ended()).add(seconds, 0.0, failed=status >= FAILED)

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None:
        """Count nothing: a run is a part of a request."""

    def taken(self) -> Served:
        """Return what was served since the last call."""
        routes, self._routes = self._routes, {}
        return Served(
            routes=[
                RouteServed(
                    route=route,
                    completed=each.completed,
                    failed=each.failed,
                    seconds=each.seconds,
                    buckets=each.buckets,
                )
                for route, each in routes.items()
            ]
        )
