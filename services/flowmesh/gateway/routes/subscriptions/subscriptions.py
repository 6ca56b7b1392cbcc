"""Routes about durable subscriptions and their notifications."""

from http import HTTPStatus

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.instants import us_of
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, one_of
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response, secret_response
from flowmesh.gateway.routes.subscriptions import bodies
from flowmesh.views import instant

_STATUSES = ("pending", "delivered", "dead", "counted")


async def list_subscriptions(backends: Backends, request: Request) -> Response:
    response = await backends.subscriptions.ListSubscriptions(
        pb.ListSubscriptionsRequest(namespace=request.namespace)
    )
    found = [bodies.subscription_value(each) for each in response.subscriptions]
    return json_response(bodies.SubscriptionList(subscriptions=found))


async def put_subscription(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SubscriptionRequest)
    message = pb.PutSubscriptionRequest(
        namespace=request.namespace, subscription=envelope.message(request.param("subscription"))
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


async def get_subscription(backends: Backends, request: Request) -> Response:
    response = await backends.subscriptions.GetSubscription(
        pb.GetSubscriptionRequest(
            namespace=request.namespace, subscription=request.param("subscription")
        )
    )
    return json_response(bodies.subscription_value(response.state))


async def delete_subscription(backends: Backends, request: Request) -> Response:
    await backends.subscriptions.DeleteSubscription(
        pb.DeleteSubscriptionRequest(
            namespace=request.namespace, subscription=request.param("subscription")
        )
    )
    return json_response(bodies.DeletedValue(deleted=True))


async def pause_subscription(backends: Backends, request: Request) -> Response:
    response = await backends.subscriptions.PauseSubscription(
        pb.PauseSubscriptionRequest(
            namespace=request.namespace, subscription=request.param("subscription")
        )
    )
    return json_response(bodies.subscription_value(response.state))


async def resume_subscription(backends: Backends, request: Request) -> Response:
    response = await backends.subscriptions.ResumeSubscription(
        pb.ResumeSubscriptionRequest(
            namespace=request.namespace, subscription=request.param("subscription")
        )
    )
    return json_response(bodies.subscription_value(response.state))


async def rotate_subscription_secret(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.RotateSecretRequest)
    response = await backends.subscriptions.RotateSubscriptionSecret(
        pb.RotateSubscriptionSecretRequest(
            namespace=request.namespace,
            subscription=request.param("subscription"),
            overlap_ms=envelope.overlap_ms,
        )
    )
    return secret_response(
        bodies.RotatedSecret(
            secret=response.secret, previous_until=instant(response.previous_until_us)
        )
    )


async def test_subscription(backends: Backends, request: Request) -> Response:
    response = await backends.subscriptions.TestSubscription(
        pb.TestSubscriptionRequest(
            namespace=request.namespace, subscription=request.param("subscription")
        )
    )
    return json_response(
        bodies.TestedValue(
            delivered=response.delivered,
            http_status=response.http_status,
            error=response.error,
            duration_ms=response.duration_ms,
        )
    )


async def list_notifications(backends: Backends, request: Request) -> Response:
    status = request.text("status")
    response = await backends.subscriptions.ListNotifications(
        pb.ListNotificationsRequest(
            namespace=request.namespace,
            subscription=request.param("subscription"),
            status=(
                pb.NotificationStatus.Value(f"NOTIFICATION_STATUS_{status.upper()}")
                if status
                else pb.NOTIFICATION_STATUS_UNSPECIFIED
            ),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        bodies.NotificationList(
            notifications=[bodies.notification_value(each) for each in response.notifications],
            next_page_token=response.next_page_token,
        )
    )


async def resend_notifications(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ResendRequest)
    response = await backends.subscriptions.ResendNotifications(
        pb.ResendNotificationsRequest(
            namespace=request.namespace,
            subscription=request.param("subscription"),
            notification_ids=envelope.ids,
            since_us=us_of("since", envelope.since) if envelope.since else 0,
        )
    )
    return json_response(bodies.ResentValue(count=response.count))


_SUBSCRIPTIONS = "/api/v1/subscriptions"
_SUBSCRIPTION = f"{_SUBSCRIPTIONS}/{{subscription}}"
_EXAMPLE = {
    "types": ["flowmesh.workflow.failed"],
    "webhook": {"url": "https://example.com/hooks/flowmesh"},
}


def _switch(summary: str) -> Operation:
    answer = Answer(200, "The subscription.", bodies.SubscriptionValue)
    return Operation(tag=MANAGE, summary=summary, answers=(answer,), errors=(404,))


ROUTES = (
    Route(
        "GET",
        _SUBSCRIPTIONS,
        list_subscriptions,
        Operation(
            tag=MANAGE,
            summary="List durable subscriptions",
            answers=(Answer(200, "Sorted by name.", bodies.SubscriptionList),),
        ),
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
    Route("GET", _SUBSCRIPTION, get_subscription, _switch("Get a durable subscription")),
    Route(
        "DELETE",
        _SUBSCRIPTION,
        delete_subscription,
        Operation(
            tag=MANAGE,
            summary="Delete a durable subscription with its notifications",
            answers=(Answer(200, "Deleted.", bodies.DeletedValue),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        f"{_SUBSCRIPTION}:pause",
        pause_subscription,
        _switch("Pause a subscription; events are stored meanwhile"),
    ),
    Route(
        "POST",
        f"{_SUBSCRIPTION}:resume",
        resume_subscription,
        _switch("Resume a subscription, and close its circuit breaker"),
    ),
    Route(
        "POST",
        f"{_SUBSCRIPTION}:rotateSecret",
        rotate_subscription_secret,
        Operation(
            tag=MANAGE,
            summary="Replace the secret of a subscription",
            body=Body(bodies.RotateSecretRequest, required=False),
            answers=(Answer(200, "The new secret.", bodies.RotatedSecret),),
            errors=(404, 409),
        ),
    ),
    Route(
        "POST",
        f"{_SUBSCRIPTION}:test",
        test_subscription,
        Operation(
            tag=TEST,
            summary="Send a test event to the sink of a subscription",
            answers=(Answer(200, "The outcome.", bodies.TestedValue),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        f"{_SUBSCRIPTION}/notifications",
        list_notifications,
        Operation(
            tag=TEST,
            summary="List the notifications of a subscription",
            query=(
                Query("status", "Only notifications with this status.", one_of(*_STATUSES)),
                *PAGING,
            ),
            answers=(Answer(200, "Newest first.", bodies.NotificationList),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        f"{_SUBSCRIPTION}/notifications:resend",
        resend_notifications,
        Operation(
            tag=MANAGE,
            summary="Send notifications again",
            body=Body(bodies.ResendRequest, required=False),
            answers=(Answer(200, "Their number.", bodies.ResentValue),),
            errors=(404,),
        ),
    ),
)
