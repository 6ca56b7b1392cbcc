"""The SignalR hub: negotiation over HTTP, and the WebSocket."""

import secrets

from msgspec import UNSET, UnsetType

from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as AnswerBody
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route, SocketRoute
from flowmesh.gateway.http.parameters import OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.http.sockets import Socket
from flowmesh.gateway.hub.connection import HubConnection
from flowmesh.gateway.routes.common import json_response

HUB = "/hubs/executions"


class HubTransport(AnswerBody, kw_only=True):
    """A transport of the hub."""

    transport: str
    transfer_formats: list[str]


class Negotiated(AnswerBody, kw_only=True):
    """The answer to a negotiation of SignalR."""

    connection_id: str
    available_transports: list[HubTransport]
    negotiate_version: int | UnsetType = UNSET
    connection_token: str | UnsetType = UNSET


async def negotiate_hub(_backends: Backends, request: Request) -> Response:
    """Offer WebSockets only. Connections are not stored, so any gateway serves the WebSocket."""
    connection_id = secrets.token_hex(16)
    answer = Negotiated(
        connection_id=connection_id,
        available_transports=[HubTransport(transport="WebSockets", transfer_formats=["Text"])],
    )
    if request.text("negotiateVersion") not in ("", "0"):
        answer.negotiate_version = 1
        answer.connection_token = secrets.token_hex(16)
    return json_response(answer)


async def execution_hub(backends: Backends, socket: Socket) -> None:
    await socket.accept()
    await HubConnection(backends=backends, socket=socket).serve()


ROUTES = (
    Route(
        "POST",
        f"{HUB}/negotiate",
        negotiate_hub,
        Operation(
            tag=TEST,
            summary="Negotiate a connection of the SignalR hub",
            description="Called by SignalR clients; offers WebSockets with the JSON protocol.",
            query=(Query("negotiateVersion", "Version of the negotiation, 0 or 1."),),
            answers=(Answer(200, "The transports of the hub.", Negotiated),),
        ),
    ),
)
SOCKETS = (
    SocketRoute(
        HUB,
        execution_hub,
        Operation(
            tag=TEST,
            summary="Connect to the SignalR hub of executions",
            description=(
                "The JSON hub protocol, version 1, with the methods `Subscribe`, `SubscribeAll`"
                " and `Unsubscribe`; docs/events-outward.md describes them."
            ),
            query=(
                Query("id", "Connection token of the negotiation; ignored."),
                Query("access_token", "Access token, for browsers, which set no headers here."),
                Query("namespace", "Namespace, for clients that cannot set headers.", OPTIONAL_ID),
            ),
            answers=(Answer(101, "A WebSocket."),),
        ),
    ),
)
