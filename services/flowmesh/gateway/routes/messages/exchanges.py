"""Routes about exchanges and their bindings."""

from msgspec import UNSET

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.messages import answers
from flowmesh.gateway.routes.messages import requests as bodies
from flowmesh.gateway.routes.messages.queues import DECLARED, declared


async def list_exchanges(backends: Backends, request: Request) -> Response:
    response = await backends.broker.ListExchanges(
        pb.ListExchangesRequest(namespace=request.namespace)
    )
    found = [
        answers.ExchangeValue(
            exchange=each.exchange,
            type=answers.word(topology_pb2.ExchangeType, "EXCHANGE_TYPE_", each.type, ""),
            alternate=each.alternate or UNSET,
        )
        for each in response.exchanges
    ]
    return json_response(answers.ExchangeList(exchanges=found))


async def declare_exchange(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ExchangeRequest)
    response = await backends.broker.DeclareExchange(
        pb.DeclareExchangeRequest(
            namespace=request.namespace, exchange=envelope.message(request.param("exchange"))
        )
    )
    return declared(response.created)


async def delete_exchange(backends: Backends, request: Request) -> Response:
    await backends.broker.DeleteExchange(
        pb.DeleteExchangeRequest(namespace=request.namespace, exchange=request.param("exchange"))
    )
    return json_response(answers.RemovedValue(removed=True))


async def list_bindings(backends: Backends, request: Request) -> Response:
    response = await backends.broker.ListBindings(
        pb.ListBindingsRequest(
            namespace=request.namespace,
            exchange=request.text("exchange"),
            queue=request.text("queue"),
        )
    )
    found = [answers.binding_value(each) for each in response.bindings]
    return json_response(answers.BindingList(bindings=found))


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
    Route(
        "GET",
        EXCHANGES,
        list_exchanges,
        Operation(
            tag=MANAGE,
            summary="List exchanges of messages",
            answers=(Answer(200, "Sorted by name.", answers.ExchangeList),),
        ),
    ),
    Route(
        "PUT",
        EXCHANGE,
        declare_exchange,
        Operation(
            tag=MANAGE,
            summary="Declare an exchange of messages",
            body=Body(bodies.ExchangeRequest, required=False, example={"type": "topic"}),
            answers=DECLARED,
            errors=(409, 413, 415),
        ),
    ),
    Route(
        "DELETE",
        EXCHANGE,
        delete_exchange,
        Operation(
            tag=MANAGE,
            summary="Delete an exchange with its bindings",
            answers=(Answer(200, "It is deleted.", answers.RemovedValue),),
            errors=(404,),
        ),
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
    Route(
        "GET",
        "/api/v1/bindings",
        list_bindings,
        Operation(
            tag=MANAGE,
            summary="List bindings of exchanges",
            query=(
                Query("exchange", "Only bindings from or to this exchange.", OPTIONAL_ID),
                Query("queue", "Only bindings to this queue.", OPTIONAL_ID),
            ),
            answers=(Answer(200, "The bindings.", answers.BindingList),),
        ),
    ),
)
