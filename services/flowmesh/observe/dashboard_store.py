"""Rows of saved dashboards."""

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flowmesh.access.audited import audited_call
from flowmesh.api.observe.v1 import dashboard_service_pb2 as pb
from flowmesh.errors import NotFound, WrongState
from flowmesh.observe.limits import DASHBOARDS_MAX
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg


class DashboardStore:
    """The dashboards of namespaces by name."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", *, call: Callable[[], str] = audited_call
    ) -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.observe").joinpath("sql"), call=call)

    async def put(self, namespace: str, dashboard: pb.Dashboard, document: str) -> None:
        """Store a dashboard and its document. Raises DASHBOARDS_FULL."""
        stored = await self._sql.set_dashboard(
            self._pool,
            namespace=namespace,
            name=dashboard.name,
            document=document,
            body=dashboard.SerializeToString(),
            most=DASHBOARDS_MAX,
        )
        if not stored:
            raise WrongState("DASHBOARDS_FULL", f"the namespace has {DASHBOARDS_MAX} dashboards")

    async def delete(self, namespace: str, name: str) -> None:
        """Delete a dashboard. Raises DASHBOARD_NOT_FOUND."""
        if not await self._sql.delete_dashboard(self._pool, namespace=namespace, name=name):
            raise _missing(name)

    async def get(self, namespace: str, name: str) -> tuple[pb.Dashboard, str]:
        """Return a dashboard and its document. Raises DASHBOARD_NOT_FOUND."""
        row = await self._sql.dashboard(self._pool, namespace=namespace, name=name)
        if row is None:
            raise _missing(name)
        return pb.Dashboard.FromString(row["body"]), row["document"]

    async def listed(self, namespace: str) -> list[pb.Dashboard]:
        """Return the dashboards of a namespace by name."""
        rows = self._sql.dashboards(self._pool, namespace=namespace)
        return [pb.Dashboard.FromString(row["body"]) async for row in rows]


def _missing(name: str) -> NotFound:
    return NotFound("DASHBOARD_NOT_FOUND", f"there is no dashboard {name!r} in this namespace")
