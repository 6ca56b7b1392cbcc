"""Counts of executions by a filter, and search attributes."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.execution.v1 import search_service_pb2 as pb
from flowmesh.errors import WrongState
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import Envelope, RequestId
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.limits import STEP_S_MAX
from flowmesh.gateway.http.operation_docs import EXECUTE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import FLAG, Query, whole
from flowmesh.gateway.http.requests import Head, Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    FILTER,
    IDEMPOTENCY_KEY,
    actor_of,
    json_response,
    request_id_of,
    wrong_state,
)
from flowmesh.views import instant


class CountGroup(answers.Answer, kw_only=True):
    """A group of executions with its values of the grouping names; empty for none."""

    values: dict[str, str]
    count: int


class CountAnswer(answers.Answer, kw_only=True):
    """Counts, the largest group first; `groupsCapped` is true if there are more groups.

    `warnings` has names of the filter and the groups that no execution has.
    """

    count: int
    groups: list[CountGroup]
    groups_capped: bool
    warnings: list[str] | UnsetType = UNSET


class PointValue(answers.Answer, kw_only=True):
    """Executions that started in a step, with the percentiles of their durations."""

    at: answers.Instant
    values: dict[str, str]
    count: int
    p50_ms: float | UnsetType = UNSET
    p95_ms: float | UnsetType = UNSET
    p99_ms: float | UnsetType = UNSET


class SeriesAnswer(answers.Answer, kw_only=True):
    """Points by time; steps without executions are left out, `capped` ones were not listed."""

    step_s: int
    points: list[PointValue]
    capped: bool


class AttributesRequest(Envelope, frozen=True, kw_only=True):
    """New values of declared search attributes; null removes one."""

    attributes: Annotated[dict[str, Any], Meta(examples=[{"amount": 120, "region": None}])]
    times: Annotated[
        tuple[str, ...], Meta(description="Names of attributes whose text is an RFC 3339 time.")
    ] = ()
    request_id: RequestId = ""


async def count_executions(backends: Backends, request: Head) -> Response:
    names = request.texts("groupBy")
    response = await backends.searches.CountExecutions(
        pb.CountExecutionsRequest(
            namespace=request.namespace, filter=request.text("filter"), group_by=names
        )
    )
    groups = [
        CountGroup(values=dict(zip(names, group.values, strict=True)), count=group.count)
        for group in response.groups
        if names
    ]
    return json_response(
        CountAnswer(
            count=response.count,
            groups=groups,
            groups_capped=response.groups_capped,
            warnings=list(response.warnings) or UNSET,
        )
    )


async def execution_series(backends: Backends, request: Request) -> Response:
    names, durations = request.texts("groupBy"), request.flag("durations")
    step_s = request.whole("stepS", default=3_600)
    response = await backends.searches.CountExecutions(
        pb.CountExecutionsRequest(
            namespace=request.namespace,
            filter=request.text("filter"),
            group_by=names,
            step_s=step_s,
            durations=durations,
        )
    )
    points = [
        PointValue(
            at=instant(group.step_at_us),
            values=dict(zip(names, group.values, strict=True)),
            count=group.count,
            p50_ms=group.p50_ms if durations else UNSET,
            p95_ms=group.p95_ms if durations else UNSET,
            p99_ms=group.p99_ms if durations else UNSET,
        )
        for group in response.groups
    ]
    return json_response(SeriesAnswer(step_s=step_s, points=points, capped=response.groups_capped))


async def set_attributes(backends: Backends, request: Request) -> Response:
    namespace, execution_id = request.namespace, request.param("executionId")
    envelope = await request.envelope(AttributesRequest)
    given = envelope.attributes
    message = pb.SetSearchAttributesRequest(
        namespace=namespace,
        execution_id=execution_id,
        values=[
            _value(name, value, is_time=name in envelope.times)
            for name, value in given.items()
            if value is not None
        ],
        removed=[name for name, value in given.items() if value is None],
        request_id=request_id_of(request, envelope.request_id),
        actor=actor_of(request),
    )
    try:
        response = await backends.searches.SetSearchAttributes(message)
    except WrongState as error:
        return await wrong_state(backends, namespace, execution_id, error)
    return json_response(
        answers.Signaled(execution_id=execution_id, sequence=response.sequence),
        HTTPStatus.ACCEPTED,
    )


def _value(name: str, value: Any, *, is_time: bool) -> search_pb2.SearchValue:
    match value:
        case bool():
            return search_pb2.SearchValue(name=name, flag=value)
        case int() | float():
            return search_pb2.SearchValue(name=name, number=value)
        case str() if is_time:
            try:
                at = datetime.fromisoformat(value[:64])
            except ValueError:
                raise invalid_field(f"attributes.{name}", "must be an RFC 3339 time") from None
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
            return search_pb2.SearchValue(name=name, time_us=int(at.timestamp() * 1_000_000))
        case str():
            return search_pb2.SearchValue(name=name, text=value)
    raise invalid_field(f"attributes.{name}", "must be text, a number, true, false or null")


_GROUP_BY = Query(
    "groupBy",
    "At most 3 of status, workflow, version, day, hour, error.class, needs,"
    " label.<name>, attr.<name>, input.<path>, separated by commas.",
    repeated=True,
)
ROUTES = (
    Route(
        "GET",
        "/api/v1/executions:series",
        execution_series,
        Operation(
            tag=TEST,
            summary="Count executions over time, with percentiles of their durations",
            query=(
                FILTER,
                Query(
                    "stepS",
                    "Length of a step in seconds (default: 3,600), aligned to the epoch.",
                    whole(STEP_S_MAX, least=1),
                ),
                _GROUP_BY,
                Query("durations", "Include the percentiles.", FLAG),
            ),
            answers=(Answer(200, "The points by time, at most 1,000.", SeriesAnswer),),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions:count",
        count_executions,
        Operation(
            tag=TEST,
            summary="Count executions by a filter and in groups",
            query=(
                FILTER,
                _GROUP_BY,
            ),
            answers=(Answer(200, "The counts of the committed state.", CountAnswer),),
        ),
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}:attributes",
        set_attributes,
        Operation(
            tag=EXECUTE,
            summary="Set search attributes of a running execution",
            body=Body(AttributesRequest),
            headers=(IDEMPOTENCY_KEY, ACTOR),
            answers=(Answer(202, "The attributes are set.", answers.Signaled),),
            errors=(404, 409, 413, 415, 429),
        ),
    ),
)
