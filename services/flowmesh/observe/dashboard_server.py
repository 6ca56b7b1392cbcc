"""DashboardService over gRPC: documents to stored dashboards, and back."""

from collections.abc import Callable
from typing import Any, Final

from flowmesh.api.observe.v1 import dashboard_service_pb2 as pb
from flowmesh.api.observe.v1 import dashboard_service_pb2_grpc
from flowmesh.dashboards.document import Dashboard, Panel, Series, read
from flowmesh.errors import Invalid
from flowmesh.observe.dashboard_store import DashboardStore
from flowmesh.rpc import namespace_of, valid_id

Context = Any
_KINDS: Final = {
    "line": pb.DASHBOARD_PANEL_KIND_LINE,
    "number": pb.DASHBOARD_PANEL_KIND_NUMBER,
    "table": pb.DASHBOARD_PANEL_KIND_TABLE,
}
_UNITS: Final = {
    "count": pb.DASHBOARD_UNIT_COUNT,
    "per-second": pb.DASHBOARD_UNIT_PER_SECOND,
    "seconds": pb.DASHBOARD_UNIT_SECONDS,
    "bytes": pb.DASHBOARD_UNIT_BYTES,
    "share": pb.DASHBOARD_UNIT_SHARE,
}


class DashboardServer(dashboard_service_pb2_grpc.DashboardServiceServicer):
    """Checks documents and stores them."""

    def __init__(self, *, store: DashboardStore, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us

    async def ListDashboards(
        self, request: pb.ListDashboardsRequest, context: Context
    ) -> pb.ListDashboardsResponse:
        found = await self._store.listed(namespace_of(request))
        return pb.ListDashboardsResponse(
            dashboards=[
                pb.DashboardSummary(
                    name=each.name,
                    title=each.title,
                    panel_count=len(each.panels),
                    updated_at_us=each.updated_at_us,
                )
                for each in found
            ]
        )

    async def GetDashboard(
        self, request: pb.GetDashboardRequest, context: Context
    ) -> pb.GetDashboardResponse:
        valid_id(request.name, "name")
        found, document = await self._store.get(namespace_of(request), request.name)
        return pb.GetDashboardResponse(dashboard=found, document=document)

    async def PutDashboard(
        self, request: pb.PutDashboardRequest, context: Context
    ) -> pb.PutDashboardResponse:
        namespace = namespace_of(request)
        document = read(request.source, request.content_type)
        if request.name and request.name != document.name:
            text = f"the document has the name {document.name!r}, the request {request.name[:64]!r}"
            raise Invalid("DASHBOARD_INVALID", text)
        made = _message(document, self._now_us())
        await self._store.put(namespace, made, document.text)
        return pb.PutDashboardResponse(dashboard=made)

    async def DeleteDashboard(
        self, request: pb.DeleteDashboardRequest, context: Context
    ) -> pb.DeleteDashboardResponse:
        valid_id(request.name, "name")
        await self._store.delete(namespace_of(request), request.name)
        return pb.DeleteDashboardResponse()


def _message(document: Dashboard, now_us: int) -> pb.Dashboard:
    return pb.Dashboard(
        name=document.name,
        title=document.title,
        hours=document.hours,
        panels=[_panel(each) for each in document.panels],
        updated_at_us=now_us,
    )


def _panel(panel: Panel) -> pb.DashboardPanel:
    return pb.DashboardPanel(
        title=panel.title,
        kind=_KINDS[panel.kind],
        unit=_UNITS[panel.unit],
        series=[_series(each) for each in panel.series],
        hours=panel.hours,
    )


def _series(series: Series) -> pb.DashboardSeries:
    return pb.DashboardSeries(
        metric=series.metric,
        label=series.label,
        where=series.where,
        group_by=series.by,
        quantile=series.quantile,
    )
