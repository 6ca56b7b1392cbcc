"""Metered use of a namespace per hour, also as CSV and as OpenMetrics."""

from collections.abc import AsyncGenerator
from http import HTTPStatus

from msgspec import UNSET, UnsetType

from flowmesh.api.execution.v1 import meter_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.bodies.quota_bodies import MeteredValue
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Operation, Route
from flowmesh.gateway.http.parameters import INSTANT, Query, one_of
from flowmesh.gateway.http.requests import AnyResponse, Request, Response, StreamResponse
from flowmesh.gateway.routes.common import PAGING
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.views import instant
from flowmesh.views.meters import OPEN_METRICS, csv_head, csv_line, open_metrics, summed

CSV = "text/csv"
PAGE_SIZE = 1_000
_HOURS = (
    Query("from", "The first hour; by default the begin of the month in UTC.", INSTANT),
    Query("to", "Hours that begin before; by default now.", INSTANT),
)


class MeteredHourValue(Value, kw_only=True):
    """The use in an hour."""

    hour: Instant
    used: MeteredValue


class MeterList(Value, kw_only=True):
    """Use per hour, newest first."""

    hours: list[MeteredHourValue]
    next_page_token: str | UnsetType = UNSET


async def export_meters(backends: Backends, request: Request) -> AnyResponse:
    pages = _pages(backends, request)
    # A refusal is an answer, not the end of a stream.
    first = await anext(pages)
    if request.text("format") == "openmetrics":
        used = summed([*first.hours, *[hour async for page in pages for hour in page.hours]])
        text = open_metrics(request.namespace or "default", used)
        return Response(HTTPStatus.OK, text.encode(), OPEN_METRICS)
    return StreamResponse(_lines(first, pages), CSV)


async def _pages(
    backends: Backends, request: Request
) -> AsyncGenerator[pb.ListMetersResponse, None]:
    message = pb.ListMetersRequest(
        namespace=request.namespace,
        from_us=request.instant_us("from"),
        # One end for all pages.
        to_us=request.instant_us("to") or backends.clock.now_us(),
        page_size=PAGE_SIZE,
    )
    while True:
        page = await backends.meters.ListMeters(message)
        yield page
        if not page.next_page_token:
            return
        message.page_token = page.next_page_token


async def _lines(
    first: pb.ListMetersResponse, pages: AsyncGenerator[pb.ListMetersResponse, None]
) -> AsyncGenerator[bytes, None]:
    yield (csv_head() + _page(first)).encode()
    async for page in pages:
        yield _page(page).encode()


def _page(page: pb.ListMetersResponse) -> str:
    return "".join(csv_line(instant(each.hour_us), each.used) for each in page.hours)


ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/meters",
        pb.ListMetersRequest,
        tag=ADMINISTER,
        summary="Get the metered use of the namespace per hour",
        query=(*_HOURS, *PAGING),
        answers=(Answer(200, "Newest first, without hours that had none.", MeterList),),
    ),
    Route(
        "GET",
        "/api/v1/meters:export",
        export_meters,
        Operation(
            tag=ADMINISTER,
            summary="Export the metered use of the namespace",
            query=(
                *_HOURS,
                Query(
                    "format",
                    "Hours as CSV, newest first, or their sum as OpenMetrics.",
                    one_of("csv", "openmetrics", default="csv"),
                ),
            ),
            answers=(Answer(200, "All hours.", media_types=(CSV, OPEN_METRICS)),),
        ),
    ),
)
