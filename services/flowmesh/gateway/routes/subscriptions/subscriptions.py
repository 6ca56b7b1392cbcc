"""Routes about durable subscriptions and their notifications."""

from http import HTTPStatus
from typing import Any

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.instants import us_of
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, one_of
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, secret_response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.gateway.routes.subscriptions import bodies

_STATUSES = ("pending", "delivered", "dead", "counted")


async def put_subscription(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SubscriptionRequest)
    message = pb.PutSubscriptionRequest(
        namespace=request.namespace,
        subscription=bodies.subscription_message(
            envelope, subscription=request.param("subscription")
        ),
    )
    if envelope.webhook is not None and envelope.queue is not None:
        raise invalid_field("queue", "a subscription has one sink, and `webhook` is given")
    if envelope.cursor and envelope.since:
        raise invalid_field("since", "a position is given once, and `cursor` is given")
    if envelope.cursor:
        message.cursor = envelope.cursor
    elif envelope.since:
        message.from_us = us_of("since", envelope.since)
    response = await backends.subscriptions.PutSubscription(message)
    value = bodies.subscription_value(response.state)
    value.created = response.created
    if response.secret:
        value.secret = response.secret
    return secret_response(value, HTTPStatus.CREATED if response.created else HTTPStatus.OK)


_SUBSCRIPTIONS = "/api/v1/subscriptions"
_SUBSCRIPTION = f"{_SUBSCRIPTIONS}/{{subscription}}"
_EXAMPLE = {
    "types": ["flowmesh.workflow.failed"],
    "webhook": {"url": "https://example.com/hooks/flowmesh"},
}


def _one(summary: str) -> dict[str, Any]:
    answer = Answer(200, "The subscription.", bodies.SubscriptionValue)
    return {
        "part": "state",
        "tag": MANAGE,
        "summary": summary,
        "answers": (answer,),
        "errors": (404,),
    }


ROUTES = (
    rpc_route(
        "GET",
        _SUBSCRIPTIONS,
        pb.ListSubscriptionsRequest,
        tag=MANAGE,
        summary="List durable subscriptions",
        answers=(Answer(200, "Sorted by name.", bodies.SubscriptionList),),
    ),
    Route(
        "PUT",
        _SUBSCRIPTION,
        put_subscription,
        Operation(
            tag=MANAGE,
            summary="Create or change a durable subscription",
            description="A change keeps the position, the secret and the notifications.",
            body=Body(bodies.SubscriptionRequest, example=_EXAMPLE),
            answers=(
                Answer(201, "Created; with its secret.", bodies.SubscriptionValue),
                Answer(200, "Changed.", bodies.SubscriptionValue),
            ),
            errors=(409, 410),
        ),
    ),
    rpc_route(
        "GET",
        _SUBSCRIPTION,
        pb.GetSubscriptionRequest,
        **_one("Get a durable subscription"),
    ),
    rpc_route(
        "DELETE",
        _SUBSCRIPTION,
        pb.DeleteSubscriptionRequest,
        given={"deleted": True},
        tag=MANAGE,
        summary="Delete a durable subscription with its notifications",
        answers=(Answer(200, "Deleted.", bodies.DeletedValue),),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_SUBSCRIPTION}:pause",
        pb.PauseSubscriptionRequest,
        **_one("Pause a subscription; events are stored meanwhile"),
    ),
    rpc_route(
        "POST",
        f"{_SUBSCRIPTION}:resume",
        pb.ResumeSubscriptionRequest,
        **_one("Resume a subscription, and close its circuit breaker"),
    ),
    rpc_route(
        "POST",
        f"{_SUBSCRIPTION}:rotateSecret",
        pb.RotateSubscriptionSecretRequest,
        secret=True,
        tag=MANAGE,
        summary="Replace the secret of a subscription",
        body=Body(bodies.RotateSecretRequest, required=False),
        answers=(Answer(200, "The new secret.", bodies.RotatedSecret),),
        errors=(404, 409),
    ),
    rpc_route(
        "POST",
        f"{_SUBSCRIPTION}:test",
        pb.TestSubscriptionRequest,
        tag=TEST,
        summary="Send a test event to the sink of a subscription",
        answers=(Answer(200, "The outcome.", bodies.TestedValue),),
        errors=(404,),
    ),
    rpc_route(
        "GET",
        f"{_SUBSCRIPTION}/notifications",
        pb.ListNotificationsRequest,
        tag=TEST,
        summary="List the notifications of a subscription",
        query=(
            Query("status", "Only notifications with this status.", one_of(*_STATUSES)),
            *PAGING,
        ),
        answers=(Answer(200, "Newest first.", bodies.NotificationList),),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{_SUBSCRIPTION}/notifications:resend",
        pb.ResendNotificationsRequest,
        tag=MANAGE,
        summary="Send notifications again",
        body=Body(bodies.ResendRequest, required=False),
        answers=(Answer(200, "Their number.", bodies.ResentValue),),
        errors=(404,),
    ),
)
