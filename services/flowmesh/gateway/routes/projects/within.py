"""Endpoints of a namespace, served under the path of the project that it belongs to."""

from dataclasses import replace
from functools import wraps

from flowmesh.api.identity.v1 import tenant_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import Endpoint, Route
from flowmesh.gateway.http.requests import AnyResponse, Request

API = "/api/v1"
PROJECT = f"{API}/projects/{{projectId}}"


def in_project(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that works in the namespace of the project in its path."""

    @wraps(endpoint)
    async def within(backends: Backends, request: Request, /) -> AnyResponse:
        found = await backends.tenants.GetProject(
            pb.GetProjectRequest(project_id=request.param("projectId"))
        )
        return await endpoint(backends, request.within(found.project.namespace))

    return within


def mirrored(route: Route) -> Route:
    """Return a route with the same operation under the path of a project."""
    operation = replace(route.operation, summary=f"{route.operation.summary}, in a project")
    return Route(
        route.method,
        PROJECT + route.path.removeprefix(API),
        in_project(route.endpoint),
        operation,
        f"{route.operation_id}InProject",
    )
