"""Bodies of requests and responses about durable subscriptions.

A subscription has the same members in a request and in a response.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.jsontext import dump_json
from flowmesh.views import instant, raw_json

ModeWord = Literal["structured", "binary"]
MetricWord = Literal["executions", "queue_depth", "dead_letters"]
StatusWord = Literal["active", "paused", "open", "disabled"]
NotificationWord = Literal["pending", "delivered", "dead", "counted"]


class WebhookSinkValue(Envelope, frozen=True, kw_only=True):
    """A webhook; secrets are references such as `secret://name`."""

    url: str
    mode: ModeWord = "structured"
    secret_ref: Annotated[
        str, Meta(description="Reference to the signing secret; empty lets the service create one.")
    ] = ""
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class QueueSinkValue(Envelope, frozen=True, kw_only=True):
    """An exchange of the broker; the default one routes by the name of a queue."""

    exchange: str = ""
    routing_key: Annotated[str, Meta(description="Empty is the type of the event.")] = ""


class PolicyValue(Envelope, frozen=True, kw_only=True):
    """Attempts and circuit breaker; 0 is the default."""

    max_attempts: Annotated[int, Meta(ge=0, le=100)] = 0
    initial_delay_ms: Annotated[int, Meta(ge=0)] = 0
    max_delay_ms: Annotated[int, Meta(ge=0)] = 0
    concurrency: Annotated[int, Meta(ge=0, le=32)] = 0
    breaker_failures: Annotated[int, Meta(ge=0, le=100)] = 0
    breaker_open_ms: Annotated[int, Meta(ge=0)] = 0


class MetricRuleValue(Envelope, frozen=True, kw_only=True):
    """A threshold of a metric of the namespace."""

    metric: MetricWord
    above: Annotated[float, Meta(ge=0)]
    queue: str = ""
    filter: str = ""


class AlertRuleValue(Envelope, frozen=True, kw_only=True):
    """An alert for `count` events within the window, or for a metric; once per window."""

    count: Annotated[int, Meta(ge=0, le=10_000)] = 0
    window_ms: Annotated[int, Meta(ge=0)] = 0
    metric: MetricRuleValue | None = None


class SubscriptionRequest(Envelope, frozen=True, kw_only=True):
    """A durable subscription: a selection of events, and a sink."""

    types: Annotated[
        list[str],
        Meta(
            description="Types, or prefixes that end with `*`; empty is all.",
            examples=[["flowmesh.workflow.*", "order.paid"]],
        ),
    ] = msgspec.field(default_factory=list)
    source: str = ""
    filter: Annotated[str, Meta(description="CEL condition on `event`.")] = ""
    description: str = ""
    webhook: WebhookSinkValue | None = None
    queue: QueueSinkValue | None = None
    policy: PolicyValue = PolicyValue()
    template: Annotated[
        Any, Meta(description="Template of the body, with `event` and `subscription`.")
    ] = None
    alert: AlertRuleValue | None = None
    cursor: Annotated[
        str, Meta(description="Position of a new subscription: `id:` of a streamed event.")
    ] = ""
    since: Annotated[
        str, Meta(description="Position of a new subscription: an instant in RFC 3339.")
    ] = ""

    def message(self, name: str) -> pb.Subscription:
        """Return the subscription as a message."""
        made = pb.Subscription(
            subscription=name,
            types=self.types,
            source=self.source,
            filter=self.filter,
            description=self.description,
            policy=pb.DeliveryPolicy(**_members(self.policy)),
        )
        if self.template is not None:
            made.template = dump_json(self.template).decode()
        if self.webhook is not None:
            sink = self.webhook
            made.webhook.url, made.webhook.secret_ref = sink.url, sink.secret_ref
            made.webhook.mode = pb.CloudEventMode.Value(f"CLOUD_EVENT_MODE_{sink.mode.upper()}")
            made.webhook.headers.update(sink.headers)
        if self.queue is not None:
            made.queue.CopyFrom(pb.QueueSink(**_members(self.queue)))
        if self.alert is not None:
            made.alert.count, made.alert.window_ms = self.alert.count, self.alert.window_ms
            if self.alert.metric is not None:
                rule = self.alert.metric
                made.alert.metric.CopyFrom(
                    pb.MetricRule(
                        metric=pb.Metric.Value(f"METRIC_{rule.metric.upper()}"),
                        above=rule.above,
                        queue=rule.queue,
                        filter=rule.filter,
                    )
                )
        return made


class RotateSecretRequest(Envelope, frozen=True, kw_only=True):
    """The time for which both secrets sign; 0 is a day."""

    overlap_ms: Annotated[int, Meta(ge=0)] = 0


class ResendRequest(Envelope, frozen=True, kw_only=True):
    """Notifications by id, or all dead ones since an instant."""

    ids: list[str] = msgspec.field(default_factory=list)
    since: str = ""


class SubscriptionValue(Answer, kw_only=True):
    """A durable subscription and its state."""

    name: str
    status: StatusWord
    types: list[str]
    source: str
    filter: str
    description: str
    webhook: WebhookSinkValue | UnsetType = UNSET
    queue: QueueSinkValue | UnsetType = UNSET
    policy: PolicyValue
    template: msgspec.Raw | UnsetType = UNSET
    alert: AlertRuleValue | UnsetType = UNSET
    created_at: Instant
    pending: int
    delivered: int
    dead: int
    dropped: int
    failures: int
    failing_since: Instant | UnsetType = UNSET
    open_until: Instant | UnsetType = UNSET
    last_error: str | UnsetType = UNSET
    previous_secret_until: Instant | UnsetType = UNSET
    cursor: str
    created: bool | UnsetType = UNSET
    secret: (
        Annotated[str, Meta(description="The new secret, in the response to its creation only.")]
        | UnsetType
    ) = UNSET


class SubscriptionList(Answer, kw_only=True):
    """Durable subscriptions by name."""

    subscriptions: list[SubscriptionValue]


class RotatedSecret(Answer, kw_only=True):
    """A new secret, and the end of the overlap with the previous one."""

    secret: str
    previous_until: Instant


class TestedValue(Answer, kw_only=True):
    """The outcome of a test event; without an HTTP response, its status is 0."""

    delivered: bool
    http_status: int
    error: str
    duration_ms: int


class NotificationValue(Answer, kw_only=True):
    """A notification and the state of its delivery."""

    id: str
    event_id: str
    type: str
    status: NotificationWord
    attempts: int
    http_status: int
    last_error: str
    created_at: Instant
    last_attempt_at: Instant | UnsetType = UNSET
    next_attempt_at: Instant | UnsetType = UNSET


class NotificationList(Answer, kw_only=True):
    """Notifications, newest first."""

    notifications: list[NotificationValue]
    next_page_token: str


class ResentValue(Answer, kw_only=True):
    """The number of notifications that are attempted again."""

    count: int


class DeletedValue(Answer, kw_only=True):
    """The effect of a deletion."""

    deleted: bool


def subscription_value(state: pb.SubscriptionState) -> SubscriptionValue:
    config = state.subscription
    status: Any = _word(pb.SubscriptionStatus, state.status)
    return SubscriptionValue(
        name=config.subscription,
        status=status,
        types=list(config.types),
        source=config.source,
        filter=config.filter,
        description=config.description,
        webhook=_webhook(config.webhook) if config.HasField("webhook") else UNSET,
        queue=(
            QueueSinkValue(exchange=config.queue.exchange, routing_key=config.queue.routing_key)
            if config.HasField("queue")
            else UNSET
        ),
        policy=PolicyValue(
            max_attempts=config.policy.max_attempts,
            initial_delay_ms=config.policy.initial_delay_ms,
            max_delay_ms=config.policy.max_delay_ms,
            concurrency=config.policy.concurrency,
            breaker_failures=config.policy.breaker_failures,
            breaker_open_ms=config.policy.breaker_open_ms,
        ),
        template=raw_json(config.template.encode()) if config.template else UNSET,
        alert=_alert(config.alert) if config.HasField("alert") else UNSET,
        created_at=instant(state.created_at_us),
        pending=state.pending,
        delivered=state.delivered,
        dead=state.dead,
        dropped=state.dropped,
        failures=state.failures,
        failing_since=_optional(state.failing_since_us),
        open_until=_optional(state.open_until_us),
        last_error=state.last_error or UNSET,
        previous_secret_until=_optional(state.previous_secret_until_us),
        cursor=state.cursor,
    )


def notification_value(each: pb.Notification) -> NotificationValue:
    status: Any = _word(pb.NotificationStatus, each.status)
    return NotificationValue(
        id=each.notification_id,
        event_id=each.event_id,
        type=each.type,
        status=status,
        attempts=each.attempts,
        http_status=each.http_status,
        last_error=each.last_error,
        created_at=instant(each.created_at_us),
        last_attempt_at=_optional(each.last_attempt_at_us),
        next_attempt_at=_optional(each.next_attempt_at_us),
    )


def _webhook(sink: pb.WebhookSink) -> WebhookSinkValue:
    mode: Any = _word(pb.CloudEventMode, sink.mode) if sink.mode else "structured"
    return WebhookSinkValue(
        url=sink.url, mode=mode, secret_ref=sink.secret_ref, headers=dict(sink.headers)
    )


def _alert(rule: pb.AlertRule) -> AlertRuleValue:
    metric = None
    if rule.HasField("metric"):
        word: Any = _word(pb.Metric, rule.metric.metric)
        metric = MetricRuleValue(
            metric=word,
            above=rule.metric.above,
            queue=rule.metric.queue,
            filter=rule.metric.filter,
        )
    return AlertRuleValue(count=rule.count, window_ms=rule.window_ms, metric=metric)


# Prefixes of the values of enums.
_PREFIXES = {
    "SubscriptionStatus": "SUBSCRIPTION_STATUS_",
    "NotificationStatus": "NOTIFICATION_STATUS_",
    "CloudEventMode": "CLOUD_EVENT_MODE_",
    "Metric": "METRIC_",
}


def _word(choices: Any, value: int) -> str:
    name: str = choices.Name(value)
    return name.removeprefix(_PREFIXES[choices.DESCRIPTOR.name]).lower()


def _members(value: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _optional(at_us: int) -> Instant | UnsetType:
    return instant(at_us) if at_us else UNSET
