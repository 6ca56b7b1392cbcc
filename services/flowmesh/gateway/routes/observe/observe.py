"""Routes about kept signals: series, log records, calls and objectives."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.limits import INT64_MAX
from flowmesh.gateway.http.operation_docs import ADMINISTER, TEST, Answer
from flowmesh.gateway.http.parameters import INSTANT, Query, number, whole
from flowmesh.gateway.routes.common import PAGING
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source

_OBSERVE = "/api/v1/observe"
SECONDS_MAX = 366 * 86_400
MILLISECONDS_MAX = SECONDS_MAX * 1_000


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw((text or "{}").encode())


class SeriesPointValue(Value, kw_only=True):
    """The value of a step that begins at a time."""

    at: Instant
    value: float


class MetricSeries(Value, kw_only=True):
    """The points of one value of the label."""

    group: str
    points: list[SeriesPointValue]


class MetricSeriesList(Value, kw_only=True):
    """Series, the largest first. Steps without a value are left out."""

    step_s: int
    series: list[MetricSeries]


class KeptLog(Value, kw_only=True):
    """A line of the log of a service."""

    at: Instant
    level: str
    service: str
    instance_id: str
    event: str
    namespace: str | UnsetType = UNSET
    execution_id: str | UnsetType = UNSET
    trace_id: str | UnsetType = UNSET
    fields: Annotated[msgspec.Raw, Source(read=_raw)]
    position: int


class KeptLogList(Value, kw_only=True):
    """Log records, newest first; after a position the oldest first.

    `notKeptSince` is there while the store of signals refuses them, so that records are missing.
    """

    logs: list[KeptLog]
    next_page_token: str | UnsetType = UNSET
    not_kept_since: Instant | UnsetType = UNSET


class KeptCall(Value, kw_only=True):
    """A slow or failed call; `code` is that of gRPC."""

    at: Instant
    service: str
    instance_id: str
    method: str
    code: str
    duration_ms: float
    namespace: str | UnsetType = UNSET
    execution_id: str | UnsetType = UNSET
    trace_id: str | UnsetType = UNSET
    position: int


class KeptCallList(Value, kw_only=True):
    """Calls, newest first."""

    calls: list[KeptCall]
    next_page_token: str | UnsetType = UNSET


class SloValue(Value, kw_only=True):
    """The state of an objective; `burnRate` 1 uses up the budget exactly in the window."""

    workflow: Annotated[str, Source("workflow_id")]
    target: float
    window_s: int
    slower_than_ms: float
    good: int
    bad: int
    reached: float
    budget_left: float
    burn_rate_hour: float
    burn_rate_now: float
    burn_rate: float
    alert_burn_rate: float
    burning: bool
    computed_at: Instant | UnsetType = UNSET


_LOG_FILTER = Query(
    "filter",
    'A filter by time, level, service, event, execution, trace and text, such as `level = "error"'
    ' AND text ~ "refused"`.',
)
_CALL_FILTER = Query(
    "filter",
    "A filter by time, service, method, code, duration, execution and trace, such as"
    ' `code != OK OR duration > "2s"`.',
)
_AFTER = Query("after", "Only records after this position.", whole(INT64_MAX))
ROUTES = (
    rpc_route(
        "GET",
        f"{_OBSERVE}/series",
        pb.ListSeriesRequest,
        name="list_metric_series",
        tag=ADMINISTER,
        summary="Get a metric of the services over time",
        description="For operators. Values of counters and histograms are increases by step.",
        query=(
            Query("metric", "Its name in `/metrics`, such as `flowmesh_rpc_total`."),
            Query("from", "Since this time; by default an hour ago.", INSTANT),
            Query("until", "Before this time; by default now.", INSTANT),
            Query("stepS", "Seconds of a step; 0 chooses it.", whole(SECONDS_MAX)),
            Query("groupBy", "Label that makes series; `process` is the service of a process."),
            Query("where", "Conditions such as `code!=OK`, by commas.", repeated=True),
            Query("quantile", "Of a histogram, such as 0.95.", number(0, 1)),
        ),
        answers=(Answer(200, "Series, the largest first.", MetricSeriesList),),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/logs",
        pb.ListLogsRequest,
        name="list_logs",
        tag=TEST,
        summary="List log records about the namespace",
        query=(_LOG_FILTER, _AFTER, *PAGING),
        answers=(Answer(200, "Newest first; with `after`, the oldest first.", KeptLogList),),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/service-logs",
        pb.ListServiceLogsRequest,
        name="list_service_logs",
        tag=ADMINISTER,
        summary="List log records of all services",
        description="For operators.",
        query=(_LOG_FILTER, _AFTER, *PAGING),
        answers=(Answer(200, "Newest first; with `after`, the oldest first.", KeptLogList),),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/calls",
        pb.ListCallsRequest,
        name="list_calls",
        tag=TEST,
        summary="List slow and failed calls of the namespace",
        query=(_CALL_FILTER, *PAGING),
        answers=(Answer(200, "Newest first.", KeptCallList),),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/service-calls",
        pb.ListServiceCallsRequest,
        name="list_service_calls",
        tag=ADMINISTER,
        summary="List slow and failed calls of all services",
        description="For operators.",
        query=(_CALL_FILTER, *PAGING),
        answers=(Answer(200, "Newest first.", KeptCallList),),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/slos/{{workflow}}",
        pb.GetSloRequest,
        part="slo",
        names={"workflow": "workflow_id"},
        tag=TEST,
        summary="Get the state of a service level objective",
        description="Computed from the stored executions. Without a target, of the stored one.",
        query=(
            Query("target", "Percent of executions that complete, such as 99.5.", number(0, 100)),
            Query("windowS", "Seconds up to now; by default 30 days.", whole(SECONDS_MAX)),
            Query(
                "slowerThanMs",
                "Slower executions do not count as good; 0 is any.",
                number(0, MILLISECONDS_MAX),
            ),
        ),
        answers=(Answer(200, "Counts, budget and burn rates.", SloValue),),
    ),
)
