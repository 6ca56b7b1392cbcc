"""Routes about hosted applications: releases, states and logs."""

from http import HTTPStatus

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, one_of, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.apps import bodies
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.definitions.formats import YAML
from flowmesh.gateway.routes.rpc_route import rpc_route

LOG_RECORDS_MAX = 1_000
_LEVELS = ("debug", "info", "warn", "error")


async def deploy_app(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.DeployRequest)
    found = await backends.apps.DeployApp(pb.DeployAppRequest(**envelope.fields(request)))
    status = HTTPStatus.CREATED if found.created else HTTPStatus.OK
    return _released(found.release, status)


async def validate_app(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ValidateAppRequest)
    found = await backends.apps.ValidateApp(pb.ValidateAppRequest(**envelope.fields(request)))
    return json_response(bodies.validation(found.findings))


async def get_app_source(backends: Backends, request: Request) -> Response:
    found = await backends.apps.GetRelease(
        pb.GetReleaseRequest(
            namespace=request.namespace,
            app=request.param("app"),
            release=request.whole("release"),
        )
    )
    headers = (
        (b"etag", f'"{found.release.digest}"'.encode()),
        (b"flowmesh-release", str(found.release.release).encode()),
    )
    return Response(HTTPStatus.OK, found.document.encode(), YAML, headers)


async def rollback_app(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.RollbackRequest)
    found = await backends.apps.RollbackApp(
        pb.RollbackAppRequest(
            namespace=request.namespace, app=request.param("app"), release=envelope.release
        )
    )
    return _released(found.release, HTTPStatus.OK)


def _released(release: app_pb2.Release, status: HTTPStatus) -> Response:
    if release.state == app_pb2.RELEASE_STATE_PENDING:
        status = HTTPStatus.ACCEPTED
    return json_response(bodies.release_value(release), status)


_APPS = "/api/v1/apps"
_APP = f"{_APPS}/{{app}}"
_PENDING = Answer(202, "It is still being started.", bodies.ReleaseValue)
_STATE = (Answer(200, "Its state.", bodies.AppValue),)
ROUTES = (
    rpc_route(
        "GET",
        _APPS,
        pb.ListAppsRequest,
        tag=MANAGE,
        summary="List the hosted applications",
        answers=(Answer(200, "Sorted by name.", bodies.AppList),),
    ),
    rpc_route(
        "GET",
        _APP,
        pb.GetAppRequest,
        part="app",
        tag=MANAGE,
        summary="Get the state of a hosted application",
        answers=_STATE,
        errors=(404,),
    ),
    Route(
        "POST",
        f"{_APP}:deploy",
        deploy_app,
        Operation(
            tag=MANAGE,
            summary="Deploy a release of an application",
            description="It takes over once it is ready, without a lost request; otherwise the"
            " serving release stays. The response waits up to 8 s.",
            body=Body(
                bodies.DeployRequest,
                example={
                    "document": "name: hello\nmodules:\n- {name: web, type: http.server, config:"
                    " {address: ':0'}}\n- {name: routes, type: http.router}\n- {name: hello,"
                    " type: http.handler, config: {path: /hello, method: GET}}\n"
                },
            ),
            answers=(
                Answer(200, "The serving release has the same content.", bodies.ReleaseValue),
                Answer(201, "The release serves.", bodies.ReleaseValue),
                _PENDING,
            ),
            errors=(409, 413, 415, 429),
        ),
    ),
    Route(
        "POST",
        f"{_APP}:validate",
        validate_app,
        Operation(
            tag=MANAGE,
            summary="Check a document as a release of an application",
            description="Nothing is stored or started. Findings have file, line and column. The"
            " application need not exist.",
            body=Body(bodies.ValidateAppRequest, example={"document": "modules: []\n"}),
            answers=(Answer(200, "All findings.", bodies.AppValidation),),
            errors=(404, 413, 415, 429),
        ),
    ),
    Route(
        "GET",
        f"{_APP}/source",
        get_app_source,
        Operation(
            tag=MANAGE,
            summary="Get the document of a release",
            description="`ETag` is its digest, `Flowmesh-Release` its number.",
            query=(
                Query(
                    "release",
                    "0 is the present one: that which starts, else that which serves.",
                    whole(bodies.RELEASE_MAX),
                ),
            ),
            answers=(Answer(200, "As it was deployed.", media_type=YAML),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        f"{_APP}:rollback",
        rollback_app,
        Operation(
            tag=MANAGE,
            summary="Return to a release that served before",
            body=Body(bodies.RollbackRequest, required=False),
            answers=(Answer(200, "The release serves.", bodies.ReleaseValue), _PENDING),
            errors=(404, 409, 413, 415),
        ),
    ),
    rpc_route(
        "POST",
        f"{_APP}:stop",
        pb.StopAppRequest,
        part="app",
        tag=MANAGE,
        summary="Stop a hosted application",
        answers=_STATE,
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_APP}:start",
        pb.StartAppRequest,
        part="app",
        tag=MANAGE,
        summary="Start a stopped application",
        answers=_STATE,
        errors=(404,),
    ),
    rpc_route(
        "DELETE",
        _APP,
        pb.DeleteAppRequest,
        tag=MANAGE,
        summary="Delete a hosted application with its data",
        answers=(Answer(204, "It is deleted."),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_APP}/releases",
        pb.ListReleasesRequest,
        tag=MANAGE,
        summary="List the releases of an application",
        answers=(Answer(200, "Newest first, at most 20.", bodies.ReleaseList),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_APP}/logs",
        pb.ReadAppLogRequest,
        tag=MANAGE,
        summary="Read the log of an application",
        query=(
            Query("limit", "Number of records; 0 is 100.", whole(LOG_RECORDS_MAX)),
            Query("level", "At least this level.", one_of(*_LEVELS)),
            Query("text", "Only records that contain this text."),
            Query("module", "Only records of modules with this prefix."),
        ),
        answers=(Answer(200, "The last records, oldest first.", bodies.LogList),),
        errors=(404,),
    ),
)
