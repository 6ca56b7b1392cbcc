"""Calls about durable subscriptions, alert rules and their notifications."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.api.event.v1 import subscription_service_pb2_grpc as rpc
from flowmesh.contract.json_value import Json
from flowmesh.records import APART, Source, value_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.messages import Ttl, milliseconds
from flowmesh.sdk.values.payloads import encode

Metric = Literal["executions", "queue_depth", "dead_letters"]
Mode = Literal["structured", "binary"]
NotificationStatus = Literal["", "pending", "delivered", "dead", "counted"]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that gets notifications.

    `secret_ref` (`secret://name`) names the signing secret; without it the service creates one.
    """

    url: str
    mode: Mode = "structured"
    secret_ref: str = ""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class QueueSink:
    """An exchange that gets notifications; without one, the queue `routing_key`."""

    routing_key: str = ""
    exchange: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Attempts of a notification and the circuit breaker of a sink; times are in seconds."""

    max_attempts: int = 0
    initial_delay: Ttl = None
    max_delay: Ttl = None
    concurrency: int = 0
    breaker_failures: int = 0
    breaker_open: Ttl = None


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule: `count` events within `window` seconds, or a metric above a value."""

    count: int = 0
    window: Ttl = None
    metric: Metric | None = None
    above: float = 0
    queue: str = ""
    filter: str = ""


def _sink_text(config: pb.Subscription) -> str:
    queue = config.queue.exchange or config.queue.routing_key
    return config.webhook.url if config.HasField("webhook") else f"queue:{queue}"


def _is_alert(config: pb.Subscription) -> bool:
    return config.HasField("alert")


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A durable subscription and its state; `secret` is set by its creation only."""

    name: Annotated[str, Source("subscription.subscription")]
    status: str
    types: Annotated[tuple[str, ...], Source("subscription.")]
    source: Annotated[str, Source("subscription.")]
    filter: Annotated[str, Source("subscription.")]
    sink: Annotated[str, Source("subscription", read=_sink_text)]
    is_alert: Annotated[bool, Source("subscription", read=_is_alert)]
    description: Annotated[str, Source("subscription.")]
    created_at: datetime | None
    pending: int
    delivered: int
    dead: int
    dropped: int
    failures: int
    failing_since: datetime | None
    open_until: datetime | None
    last_error: str
    cursor: str
    created: Annotated[bool, APART] = False
    secret: Annotated[str, APART] = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """An event for a subscription, and the state of its delivery."""

    id: Annotated[str, Source("notification_id")]
    event_id: str
    type: str
    status: str
    attempts: int
    http_status: int
    last_error: str
    created_at: datetime | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """The outcome of a test event."""

    delivered: bool
    http_status: int
    error: str
    duration_ms: int


class SubscriptionCalls:
    """The durable subscriptions of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.SubscriptionServiceStub(connection.caller.channel)

    async def put(
        self,
        name: str,
        sink: Webhook | QueueSink,
        *,
        types: Sequence[str] = (),
        source: str = "",
        filter: str = "",
        template: Json = None,
        alert: Alert | None = None,
        policy: Policy | None = None,
        description: str = "",
        cursor: str = "",
        since: datetime | None = None,
    ) -> SubscriptionState:
        """Create or change a subscription.

        `types` and `source` may end with `*`; `filter` is a CEL condition on `event`. A new one
        begins now, after the `cursor` of an event, or at an instant.
        """
        config = pb.Subscription(
            subscription=name,
            types=types,
            source=source,
            filter=filter,
            description=description,
            template="" if template is None else encode(template).decode(),
        )
        _set_sink(config, sink)
        _set_policy(config.policy, policy or Policy())
        if alert is not None:
            _set_alert(config.alert, alert)
        request = pb.PutSubscriptionRequest(subscription=config)
        if cursor:
            request.cursor = cursor
        elif since is not None:
            request.from_us = round(since.timestamp() * 1_000_000)
        response = await self._connection.call(self._stub.PutSubscription, request)
        return value_from(
            SubscriptionState, response.state, created=response.created, secret=response.secret
        )

    async def get(self, name: str) -> SubscriptionState:
        """Return a subscription with its state."""
        request = pb.GetSubscriptionRequest(subscription=name)
        response = await self._connection.call(self._stub.GetSubscription, request)
        return value_from(SubscriptionState, response.state)

    async def list(self, *, prefix: str = "") -> AsyncIterator[SubscriptionState]:
        """Yield the subscriptions by name; with `prefix`, those whose names begin with it."""
        request = pb.ListSubscriptionsRequest()
        response = await self._connection.call(self._stub.ListSubscriptions, request)
        for each in response.subscriptions:
            if each.subscription.subscription.startswith(prefix):
                yield value_from(SubscriptionState, each)

    async def delete(self, name: str) -> None:
        """Delete a subscription with its notifications."""
        request = pb.DeleteSubscriptionRequest(subscription=name)
        await self._connection.call(self._stub.DeleteSubscription, request)

    async def pause(self, name: str) -> SubscriptionState:
        """Stop the attempts; matching events are still stored."""
        request = pb.PauseSubscriptionRequest(subscription=name)
        response = await self._connection.call(self._stub.PauseSubscription, request)
        return value_from(SubscriptionState, response.state)

    async def resume(self, name: str) -> SubscriptionState:
        """Start the attempts again, and close the circuit breaker."""
        request = pb.ResumeSubscriptionRequest(subscription=name)
        response = await self._connection.call(self._stub.ResumeSubscription, request)
        return value_from(SubscriptionState, response.state)

    async def rotate_secret(self, name: str, *, overlap: Ttl = None) -> str:
        """Return a new secret; for `overlap` seconds, a day by default, both sign."""
        request = pb.RotateSubscriptionSecretRequest(
            subscription=name, overlap_ms=milliseconds("overlap", overlap)
        )
        response = await self._connection.call(self._stub.RotateSubscriptionSecret, request)
        return response.secret

    async def test(self, name: str) -> TestOutcome:
        """Send a test event now; return its outcome."""
        request = pb.TestSubscriptionRequest(subscription=name)
        response = await self._connection.call(self._stub.TestSubscription, request)
        return value_from(TestOutcome, response)

    async def notifications(
        self, name: str, *, status: NotificationStatus = ""
    ) -> AsyncIterator[Notification]:
        """Yield the notifications of a subscription, newest first."""
        request = pb.ListNotificationsRequest(
            subscription=name,
            page_size=limits.PAGE_SIZE,
            status=pb.NotificationStatus.Value(
                f"NOTIFICATION_STATUS_{status.upper() or 'UNSPECIFIED'}"
            ),
        )
        while True:
            response = await self._connection.call(self._stub.ListNotifications, request)
            for each in response.notifications:
                yield value_from(Notification, each)
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def resend(
        self, name: str, ids: Sequence[str] = (), *, since: datetime | None = None
    ) -> int:
        """Attempt notifications again: those named, or all dead ones since an instant."""
        request = pb.ResendNotificationsRequest(
            subscription=name,
            notification_ids=ids,
            since_us=round(since.timestamp() * 1_000_000) if since else 0,
        )
        response = await self._connection.call(self._stub.ResendNotifications, request)
        return response.count


def _set_sink(config: pb.Subscription, sink: Webhook | QueueSink) -> None:
    if isinstance(sink, QueueSink):
        config.queue.exchange, config.queue.routing_key = sink.exchange, sink.routing_key
        config.queue.SetInParent()
        return
    config.webhook.url, config.webhook.secret_ref = sink.url, sink.secret_ref
    config.webhook.mode = pb.CloudEventMode.Value(f"CLOUD_EVENT_MODE_{sink.mode.upper()}")
    config.webhook.headers.update(sink.headers or {})


def _set_policy(made: pb.DeliveryPolicy, policy: Policy) -> None:
    made.max_attempts, made.concurrency = policy.max_attempts, policy.concurrency
    made.breaker_failures = policy.breaker_failures
    made.initial_delay_ms = milliseconds("initial_delay", policy.initial_delay)
    made.max_delay_ms = milliseconds("max_delay", policy.max_delay)
    made.breaker_open_ms = milliseconds("breaker_open", policy.breaker_open)


def _set_alert(made: pb.AlertRule, alert: Alert) -> None:
    made.SetInParent()
    made.count, made.window_ms = alert.count, milliseconds("window", alert.window)
    if alert.metric is not None:
        made.metric.metric = pb.Metric.Value(f"METRIC_{alert.metric.upper()}")
        made.metric.above, made.metric.queue = alert.above, alert.queue
        made.metric.filter = alert.filter
