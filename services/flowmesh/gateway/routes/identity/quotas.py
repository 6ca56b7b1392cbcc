"""Quotas of projects and their use; plans of companies."""

from flowmesh.api.identity.v1 import plan_service_pb2 as plan_pb
from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.gateway.bodies import quota_bodies as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.routes.rpc_route import rpc_route

HOURS_MAX = 720


_PLAN = "/api/v1/companies/{companyId}/plan"
_QUOTAS = "/api/v1/projects/{projectId}/quotas"
ROUTES = (
    rpc_route(
        "GET",
        _QUOTAS,
        pb.GetQuotaRequest,
        tag=ADMINISTER,
        summary="Get the quota of a project and its use now",
        answers=(Answer(200, "Values of 0 in the quota are unlimited.", bodies.ProjectQuota),),
    ),
    rpc_route(
        "PUT",
        _QUOTAS,
        pb.SetQuotaRequest,
        into="quota",
        part="quota",
        tag=ADMINISTER,
        summary="Set the quota of a project",
        body=Body(bodies.QuotaRequest, example={"runningExecutions": 1_000}),
        answers=(Answer(200, "The quota applies within seconds.", bodies.QuotaValue),),
    ),
    rpc_route(
        "GET",
        "/api/v1/projects/{projectId}/usage",
        pb.GetUsageRequest,
        tag=ADMINISTER,
        summary="Get the executions of a project per hour of their start",
        query=(Query("hours", "The latest hours; 24 by default.", whole(HOURS_MAX)),),
        answers=(Answer(200, "Newest first, without hours that had none.", bodies.UsageList),),
    ),
    rpc_route(
        "GET",
        _PLAN,
        plan_pb.GetPlanRequest,
        tag=ADMINISTER,
        summary="Get the plan of a company and its use in this month",
        answers=(Answer(200, "Limits of 0 are unlimited.", bodies.CompanyPlan),),
    ),
    rpc_route(
        "PUT",
        _PLAN,
        plan_pb.SetPlanRequest,
        into="plan",
        part="plan",
        tag=ADMINISTER,
        summary="Set the plan of a company; needs a role on the installation",
        body=Body(bodies.PlanRequest, example={"name": "team", "executions": 100_000}),
        answers=(Answer(200, "The plan applies within seconds.", bodies.PlanValue),),
    ),
)
