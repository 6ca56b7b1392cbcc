"""Routes about saved dashboards."""

from http import HTTPStatus
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.observe.v1 import dashboard_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.definitions.formats import YAML
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source, reader

_DASHBOARDS = "/api/v1/observe/dashboards"
_DASHBOARD = f"{_DASHBOARDS}/{{name}}"


class DashboardSummaryValue(Value, kw_only=True):
    """A saved dashboard without its panels."""

    name: str
    title: str
    panel_count: int
    updated_at: Instant


class DashboardList(Value, kw_only=True):
    """Saved dashboards by name."""

    dashboards: list[DashboardSummaryValue]


class DashboardSeriesValue(Value, kw_only=True):
    """A query of a kept series; without a label, a line has the value of the label in `by`."""

    metric: str
    label: str | UnsetType = UNSET
    where: list[str]
    by: Annotated[str | UnsetType, Source("group_by")] = UNSET
    quantile: float | UnsetType = UNSET


class DashboardPanelValue(Value, kw_only=True):
    """Series that are drawn together; `hours` is the own time of a number or a table."""

    title: str
    kind: Literal["line", "number", "table"]
    unit: Literal["count", "per-second", "seconds", "bytes", "share"]
    hours: int | UnsetType = UNSET
    series: list[DashboardSeriesValue]


class SavedDashboard(Value, kw_only=True):
    """A saved dashboard; `hours` up to now are shown at first."""

    name: str
    title: str
    hours: int
    panels: list[DashboardPanelValue]
    updated_at: Instant


class DashboardDeleted(Value, kw_only=True):
    """A deleted dashboard."""

    deleted: bool


_value = reader(SavedDashboard, pb.Dashboard)


async def put_saved_dashboard(backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    found = await backends.dashboards.PutDashboard(
        pb.PutDashboardRequest(
            namespace=request.namespace,
            name=request.param("name"),
            source=source,
            content_type=content_type,
        )
    )
    return json_response(_value(found.dashboard), HTTPStatus.OK)


async def get_saved_dashboard_source(backends: Backends, request: Request) -> Response:
    asked = pb.GetDashboardRequest(namespace=request.namespace, name=request.param("name"))
    found = await backends.dashboards.GetDashboard(asked)
    return Response(HTTPStatus.OK, found.document.encode(), YAML)


ROUTES = (
    rpc_route(
        "GET",
        _DASHBOARDS,
        pb.ListDashboardsRequest,
        name="list_saved_dashboards",
        tag=MANAGE,
        summary="List the saved dashboards",
        answers=(Answer(200, "By name.", DashboardList),),
    ),
    rpc_route(
        "GET",
        _DASHBOARD,
        pb.GetDashboardRequest,
        name="get_saved_dashboard",
        part="dashboard",
        tag=MANAGE,
        summary="Get a saved dashboard",
        answers=(Answer(200, "Its panels and their series.", SavedDashboard),),
        errors=(404,),
    ),
    Route(
        "GET",
        f"{_DASHBOARD}/source",
        get_saved_dashboard_source,
        Operation(
            tag=MANAGE,
            summary="Get the document of a saved dashboard",
            answers=(Answer(200, "As it was saved; JSON is YAML too.", media_type=YAML),),
            errors=(404,),
        ),
    ),
    Route(
        "PUT",
        _DASHBOARD,
        put_saved_dashboard,
        Operation(
            tag=MANAGE,
            summary="Save a dashboard",
            description="In place of the one with its name. Metrics, labels, kinds and units are"
            " checked; each problem has line and column.",
            body=Body(
                None,
                media_types=(JSON, YAML),
                description="The document, whose name is that of the path.",
                schemas={JSON: {"type": "object"}},
                example={
                    "name": "suite",
                    "panels": [
                        {
                            "title": "Executions per second",
                            "unit": "per-second",
                            "series": [{"metric": "flowmesh_workflows_started_total"}],
                        }
                    ],
                },
            ),
            answers=(Answer(200, "Saved.", SavedDashboard),),
            errors=(409, 413, 415),
        ),
    ),
    rpc_route(
        "DELETE",
        _DASHBOARD,
        pb.DeleteDashboardRequest,
        name="delete_saved_dashboard",
        given={"deleted": True},
        tag=MANAGE,
        summary="Delete a saved dashboard",
        answers=(Answer(200, "Deleted.", DashboardDeleted),),
        errors=(404,),
    ),
)
