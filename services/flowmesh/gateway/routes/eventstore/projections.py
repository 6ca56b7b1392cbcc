"""Routes about projections of events."""

from flowmesh.api.eventstore.v1 import projection_service_pb2 as pb
from flowmesh.gateway.http.operation_docs import (
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
)
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.routes.common import PAGING
from flowmesh.gateway.routes.eventstore import answers
from flowmesh.gateway.routes.eventstore import requests as bodies
from flowmesh.gateway.routes.rpc_route import rpc_route

PROJECTIONS = "/api/v1/projections"
PROJECTION = f"{PROJECTIONS}/{{projection}}"
_PROJECTION = Answer(200, "The projection.", answers.ProjectionValue)

ROUTES = (
    rpc_route(
        "GET",
        PROJECTIONS,
        pb.ListProjectionsRequest,
        tag=MANAGE,
        summary="List projections of events",
        answers=(Answer(200, "Sorted by name.", answers.ProjectionList),),
    ),
    rpc_route(
        "PUT",
        PROJECTION,
        pb.PutProjectionRequest,
        names={"projection": "projection.projection"},
        into="projection",
        part="projection",
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
    rpc_route(
        "GET",
        PROJECTION,
        pb.GetProjectionRequest,
        part="projection",
        tag=MANAGE,
        summary="Get a projection of events",
        answers=(_PROJECTION,),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{PROJECTION}/states",
        pb.ReadProjectionRequest,
        names={"key": "keys"},
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
    rpc_route(
        "POST",
        f"{PROJECTION}:commit",
        pb.CommitProjectionRequest,
        given={"stored": True},
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
    rpc_route(
        "POST",
        f"{PROJECTION}:rebuild",
        pb.RebuildProjectionRequest,
        part="projection",
        tag=MANAGE,
        summary="Begin a rebuild of a projection in a shadow",
        answers=(_PROJECTION,),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{PROJECTION}:swap",
        pb.SwapProjectionRequest,
        part="projection",
        tag=MANAGE,
        summary="Replace the states of a projection by its shadow",
        body=Body(bodies.SwapProjectionRequest),
        answers=(_PROJECTION,),
        errors=(404, 409, 413, 415),
    ),
    rpc_route(
        "DELETE",
        PROJECTION,
        pb.DeleteProjectionRequest,
        given={"stored": True},
        tag=MANAGE,
        summary="Delete a projection with its states",
        answers=(Answer(200, "It is deleted.", answers.StoredValue),),
        errors=(404,),
    ),
)
