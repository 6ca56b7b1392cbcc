"""Routes about projections of events."""

from http import HTTPStatus

from flowmesh.api.eventstore.v1 import projection_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import (
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
    Operation,
    Route,
)
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.eventstore import answers
from flowmesh.gateway.routes.eventstore import requests as bodies
from flowmesh.views import raw_json


async def list_projections(backends: Backends, request: Request) -> Response:
    response = await backends.projections.ListProjections(
        pb.ListProjectionsRequest(namespace=request.namespace)
    )
    found = [answers.projection_value(each) for each in response.projections]
    return json_response(answers.ProjectionList(projections=found))


async def put_projection(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ProjectionRequest)
    response = await backends.projections.PutProjection(
        pb.PutProjectionRequest(
            namespace=request.namespace,
            projection=pb.Projection(
                projection=request.param("projection"), filter=envelope.filter.message()
            ),
        )
    )
    status = HTTPStatus.CREATED if response.created else HTTPStatus.OK
    return json_response(answers.projection_value(response.projection), status)


async def get_projection(backends: Backends, request: Request) -> Response:
    response = await backends.projections.GetProjection(
        pb.GetProjectionRequest(namespace=request.namespace, projection=request.param("projection"))
    )
    return json_response(answers.projection_value(response.projection))


async def read_projection(backends: Backends, request: Request) -> Response:
    response = await backends.projections.ReadProjection(
        pb.ReadProjectionRequest(
            namespace=request.namespace,
            projection=request.param("projection"),
            keys=request.texts("key"),
            generation=request.whole("generation"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        answers.ProjectionStates(
            states={each.key: raw_json(each.state) for each in response.states},
            next_page_token=response.next_page_token,
            checkpoint=response.checkpoint,
        )
    )


async def commit_projection(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.CommitProjectionRequest)
    await backends.projections.CommitProjection(
        pb.CommitProjectionRequest(
            namespace=request.namespace,
            projection=request.param("projection"),
            generation=envelope.generation,
            from_checkpoint=envelope.from_checkpoint,
            to_checkpoint=envelope.to_checkpoint,
            states=[each.message() for each in envelope.states],
        )
    )
    return json_response(answers.StoredValue(stored=True))


async def rebuild_projection(backends: Backends, request: Request) -> Response:
    response = await backends.projections.RebuildProjection(
        pb.RebuildProjectionRequest(
            namespace=request.namespace, projection=request.param("projection")
        )
    )
    return json_response(answers.projection_value(response.projection))


async def swap_projection(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SwapProjectionRequest)
    response = await backends.projections.SwapProjection(
        pb.SwapProjectionRequest(
            namespace=request.namespace,
            projection=request.param("projection"),
            generation=envelope.generation,
        )
    )
    return json_response(answers.projection_value(response.projection))


async def delete_projection(backends: Backends, request: Request) -> Response:
    await backends.projections.DeleteProjection(
        pb.DeleteProjectionRequest(
            namespace=request.namespace, projection=request.param("projection")
        )
    )
    return json_response(answers.StoredValue(stored=True))


PROJECTIONS = "/api/v1/projections"
PROJECTION = f"{PROJECTIONS}/{{projection}}"
_PROJECTION = Answer(200, "The projection.", answers.ProjectionValue)

ROUTES = (
    Route(
        "GET",
        PROJECTIONS,
        list_projections,
        Operation(
            tag=MANAGE,
            summary="List projections of events",
            answers=(Answer(200, "Sorted by name.", answers.ProjectionList),),
        ),
    ),
    Route(
        "PUT",
        PROJECTION,
        put_projection,
        Operation(
            tag=EXECUTE,
            summary="Create a projection of events",
            body=Body(
                bodies.ProjectionRequest,
                required=False,
                example={"filter": {"category": "order"}},
            ),
            answers=(
                Answer(201, "It was created.", answers.ProjectionValue),
                Answer(200, "It existed.", answers.ProjectionValue),
            ),
            errors=(409, 413, 415),
        ),
    ),
    Route(
        "GET",
        PROJECTION,
        get_projection,
        Operation(
            tag=MANAGE,
            summary="Get a projection of events",
            answers=(_PROJECTION,),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        f"{PROJECTION}/states",
        read_projection,
        Operation(
            tag=TEST,
            summary="Read states of a projection by key, or all",
            query=(
                Query("key", "Keys to read.", repeated=True),
                Query("generation", "Generation of a shadow; 0 is the one in use.", whole()),
                *PAGING,
            ),
            answers=(Answer(200, "States by key.", answers.ProjectionStates),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        f"{PROJECTION}:commit",
        commit_projection,
        Operation(
            tag=EXECUTE,
            summary="Store states of a projection with its checkpoint",
            body=Body(
                bodies.CommitProjectionRequest,
                example={
                    "generation": 1,
                    "fromCheckpoint": 0,
                    "toCheckpoint": 1,
                    "states": [{"key": "a", "state": {"amount": 10}}],
                },
            ),
            answers=(Answer(200, "They are stored.", answers.StoredValue),),
            errors=(404, 409, 413, 415),
        ),
    ),
    Route(
        "POST",
        f"{PROJECTION}:rebuild",
        rebuild_projection,
        Operation(
            tag=MANAGE,
            summary="Begin a rebuild of a projection in a shadow",
            answers=(_PROJECTION,),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        f"{PROJECTION}:swap",
        swap_projection,
        Operation(
            tag=MANAGE,
            summary="Replace the states of a projection by its shadow",
            body=Body(bodies.SwapProjectionRequest),
            answers=(_PROJECTION,),
            errors=(404, 409, 413, 415),
        ),
    ),
    Route(
        "DELETE",
        PROJECTION,
        delete_projection,
        Operation(
            tag=MANAGE,
            summary="Delete a projection with its states",
            answers=(Answer(200, "It is deleted.", answers.StoredValue),),
            errors=(404,),
        ),
    ),
)
