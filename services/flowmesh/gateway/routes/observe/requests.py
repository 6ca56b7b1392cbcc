"""Routes about stored objectives, and about requests as spans."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body
from flowmesh.gateway.http.parameters import Query
from flowmesh.gateway.routes.observe.observe import (
    MILLISECONDS_MAX,
    SECONDS_MAX,
    KeptLog,
    SloValue,
)
from flowmesh.gateway.routes.rpc_route import rpc_route

_OBSERVE = "/api/v1/observe"
_SLO = f"{_OBSERVE}/slos/{{workflow}}"
_OF_WORKFLOW = {"workflow": "workflow_id"}


class SloRequest(Envelope, frozen=True, kw_only=True):
    """The objective of a workflow."""

    target: Annotated[float, Meta(gt=0, lt=100, description="Percent of executions that complete.")]
    window_s: Annotated[
        int, Meta(ge=0, le=SECONDS_MAX, description="Seconds up to now; 0 is 30 days.")
    ] = 0
    slower_than_ms: Annotated[
        float,
        Meta(ge=0, le=MILLISECONDS_MAX, description="Slower executions are not good; 0 is any."),
    ] = 0.0
    alert_burn_rate: Annotated[
        float,
        Meta(ge=0, le=100_000, description="Burn rate that raises an alert; 0 is 14.4."),
    ] = 0.0


class SloList(Value, kw_only=True):
    """Stored objectives with their last computed states."""

    slos: list[SloValue]


class SloDeleted(Value, kw_only=True):
    """A deleted objective."""

    deleted: bool


class SpanValue(Value, kw_only=True):
    """A call, an execution, or an attempt of a task; `process` is a service or a worker."""

    kind: Literal["call", "execution", "attempt"]
    name: str
    process: str
    start: Instant
    duration_ms: float
    code: str
    failed: bool
    open: bool
    execution_id: str | UnsetType = UNSET
    node: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    wait_ms: float | UnsetType = UNSET


class SpanList(Value, kw_only=True):
    """A request: spans by start, and log records by time."""

    trace_id: str | UnsetType = UNSET
    spans: list[SpanValue]
    logs: list[KeptLog]
    truncated: bool


ROUTES = (
    rpc_route(
        "GET",
        f"{_OBSERVE}/slos",
        pb.ListSlosRequest,
        tag=TEST,
        summary="List the stored service level objectives",
        description="With the states that are computed every minute.",
        answers=(Answer(200, "By workflow.", SloList),),
    ),
    rpc_route(
        "PUT",
        _SLO,
        pb.SetSloRequest,
        part="slo",
        names=_OF_WORKFLOW,
        tag=MANAGE,
        summary="Store the service level objective of a workflow",
        description="When its budget burns too fast, the event `flowmesh.alert.budget` follows.",
        body=Body(SloRequest, example={"target": 99.5, "windowS": 2_592_000}),
        answers=(Answer(200, "Stored, with its state.", SloValue),),
        errors=(404, 409),
    ),
    rpc_route(
        "DELETE",
        _SLO,
        pb.DeleteSloRequest,
        names=_OF_WORKFLOW,
        given={"deleted": True},
        tag=MANAGE,
        summary="Delete the service level objective of a workflow",
        answers=(Answer(200, "Deleted.", SloDeleted),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_OBSERVE}/spans",
        pb.ListSpansRequest,
        names={"trace": "trace_id"},
        tag=TEST,
        summary="Get a request as spans and log records on one axis of time",
        description="Of the request that started an execution, or of a trace.",
        query=(
            Query("executionId", "The execution."),
            Query("trace", "The id of the trace, instead of an execution."),
        ),
        answers=(Answer(200, "Calls, executions and attempts of tasks.", SpanList),),
        errors=(404,),
    ),
)
