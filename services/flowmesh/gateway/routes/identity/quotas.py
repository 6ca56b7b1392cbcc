"""Quotas of projects and their use."""

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import quota_bodies as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response

HOURS_MAX = 720


async def get_quota(backends: Backends, request: Request) -> Response:
    found = await backends.quotas.GetQuota(
        pb.GetQuotaRequest(project_id=request.param("projectId"))
    )
    value = bodies.ProjectQuota(
        quota=bodies.quota_value(found.quota),
        used=bodies.quota_value(found.used),
        ceiling=bodies.quota_value(found.ceiling),
    )
    return json_response(value)


async def set_quota(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.QuotaRequest)
    stored = await backends.quotas.SetQuota(
        pb.SetQuotaRequest(
            project_id=request.param("projectId"), quota=bodies.quota_message(envelope)
        )
    )
    return json_response(bodies.quota_value(stored.quota))


async def get_usage(backends: Backends, request: Request) -> Response:
    found = await backends.quotas.GetUsage(
        pb.GetUsageRequest(project_id=request.param("projectId"), hours=request.whole("hours"))
    )
    return json_response(bodies.UsageList(usage=[bodies.usage_value(each) for each in found.usage]))


_QUOTAS = "/api/v1/projects/{projectId}/quotas"
ROUTES = (
    Route(
        "GET",
        _QUOTAS,
        get_quota,
        Operation(
            tag=ADMINISTER,
            summary="Get the quota of a project and its use now",
            answers=(Answer(200, "Values of 0 in the quota are unlimited.", bodies.ProjectQuota),),
        ),
    ),
    Route(
        "PUT",
        _QUOTAS,
        set_quota,
        Operation(
            tag=ADMINISTER,
            summary="Set the quota of a project",
            body=Body(bodies.QuotaRequest, example={"runningExecutions": 1_000}),
            answers=(Answer(200, "The quota applies within seconds.", bodies.QuotaValue),),
        ),
    ),
    Route(
        "GET",
        "/api/v1/projects/{projectId}/usage",
        get_usage,
        Operation(
            tag=ADMINISTER,
            summary="Get the executions of a project per hour of their start",
            query=(Query("hours", "The latest hours; 24 by default.", whole(HOURS_MAX)),),
            answers=(Answer(200, "Newest first, without hours that had none.", bodies.UsageList),),
        ),
    ),
)
