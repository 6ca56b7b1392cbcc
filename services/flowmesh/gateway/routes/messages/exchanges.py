"""Routes about exchanges and their bindings."""

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.messages import answers
from flowmesh.gateway.routes.messages import requests as bodies
from flowmesh.gateway.routes.messages.queues import DECLARED, declared
from flowmesh.gateway.routes.rpc_route import rpc_route


async def bind_exchange(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.BindingRequest)
    response = await backends.broker.Bind(
        pb.BindRequest(
            namespace=request.namespace, binding=envelope.message(request.param("exchange"))
        )
    )
    return declared(response.created)


async def unbind_exchange(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.BindingRequest)
    response = await backends.broker.Unbind(
        pb.UnbindRequest(
            namespace=request.namespace, binding=envelope.message(request.param("exchange"))
        )
    )
    return json_response(answers.RemovedValue(removed=response.removed))


EXCHANGES = "/api/v1/exchanges"
EXCHANGE = f"{EXCHANGES}/{{exchange}}"
_BINDING = Body(bodies.BindingRequest, example={"queue": "processed", "key": "data.#"})

ROUTES = (
    rpc_route(
        "GET",
        EXCHANGES,
        pb.ListExchangesRequest,
        tag=MANAGE,
        summary="List exchanges of messages",
        answers=(Answer(200, "Sorted by name.", answers.ExchangeList),),
    ),
    rpc_route(
        "PUT",
        EXCHANGE,
        pb.DeclareExchangeRequest,
        names={"exchange": "exchange.exchange"},
        into="exchange",
        tag=MANAGE,
        summary="Declare an exchange of messages",
        body=Body(bodies.ExchangeRequest, required=False, example={"type": "topic"}),
        answers=DECLARED,
        errors=(409, 413, 415),
    ),
    rpc_route(
        "DELETE",
        EXCHANGE,
        pb.DeleteExchangeRequest,
        given={"removed": True},
        tag=MANAGE,
        summary="Delete an exchange with its bindings",
        answers=(Answer(200, "It is deleted.", answers.RemovedValue),),
        errors=(404,),
    ),
    Route(
        "POST",
        f"{EXCHANGE}:bind",
        bind_exchange,
        Operation(
            tag=MANAGE,
            summary="Bind a queue or another exchange to an exchange",
            body=_BINDING,
            answers=DECLARED,
            errors=(404, 413, 415),
        ),
    ),
    Route(
        "POST",
        f"{EXCHANGE}:unbind",
        unbind_exchange,
        Operation(
            tag=MANAGE,
            summary="Remove a binding of an exchange",
            body=_BINDING,
            answers=(Answer(200, "It is removed.", answers.RemovedValue),),
            errors=(413, 415),
        ),
    ),
    rpc_route(
        "GET",
        "/api/v1/bindings",
        pb.ListBindingsRequest,
        tag=MANAGE,
        summary="List bindings of exchanges",
        query=(
            Query("exchange", "Only bindings from or to this exchange.", OPTIONAL_ID),
            Query("queue", "Only bindings to this queue.", OPTIONAL_ID),
        ),
        answers=(Answer(200, "The bindings.", answers.BindingList),),
    ),
)
