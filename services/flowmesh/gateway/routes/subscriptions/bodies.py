"""Bodies of requests and responses about durable subscriptions.

A subscription has the same members in a request and in a response.
"""

from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.instants import optional_us
from flowmesh.jsontext import dump_json
from flowmesh.records import APART, Source, reader, writer
from flowmesh.views import raw_json

ModeWord = Literal["structured", "binary"]
MetricWord = Literal["executions", "queue_depth", "dead_letters"]
StatusWord = Literal["active", "paused", "open", "disabled"]
NotificationWord = Literal["pending", "delivered", "dead", "counted"]


class WebhookSinkValue(Envelope, frozen=True, kw_only=True):
    """A webhook; secrets are references such as `secret://name`."""

    url: str
    mode: Annotated[ModeWord, Source(empty="structured")] = "structured"
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


def _text(template: Any) -> str:
    return dump_json(template).decode()


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
        Any,
        Meta(description="Template of the body, with `event` and `subscription`."),
        Source(read=_text),
    ] = None
    alert: AlertRuleValue | None = None
    cursor: Annotated[
        str, Meta(description="Position of a new subscription: `id:` of a streamed event."), APART
    ] = ""
    since: Annotated[
        str, Meta(description="Position of a new subscription: an instant in RFC 3339."), APART
    ] = ""


class RotateSecretRequest(Envelope, frozen=True, kw_only=True):
    """The time for which both secrets sign; 0 is a day."""

    overlap_ms: Annotated[int, Meta(ge=0)] = 0


class ResendRequest(Envelope, frozen=True, kw_only=True):
    """Notifications by id, or all dead ones since an instant."""

    ids: Annotated[list[str], Source("notification_ids")] = msgspec.field(default_factory=list)
    since: Annotated[str, Source("since_us", partial(optional_us, "since"))] = ""


def _template(text: str) -> Any:
    return raw_json(text.encode())


class SubscriptionValue(Answer, kw_only=True):
    """A durable subscription and its state."""

    name: Annotated[str, Source("subscription.subscription")]
    status: StatusWord
    types: Annotated[list[str], Source("subscription.types")]
    source: Annotated[str, Source("subscription.source")]
    filter: Annotated[str, Source("subscription.filter")]
    description: Annotated[str, Source("subscription.description")]
    webhook: Annotated[WebhookSinkValue, Source("subscription.webhook")] | UnsetType = UNSET
    queue: Annotated[QueueSinkValue, Source("subscription.queue")] | UnsetType = UNSET
    policy: Annotated[PolicyValue, Source("subscription.policy")]
    template: Annotated[msgspec.Raw, Source("subscription.template", _template)] | UnsetType = UNSET
    alert: Annotated[AlertRuleValue, Source("subscription.alert")] | UnsetType = UNSET
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
    created: Annotated[bool, APART] | UnsetType = UNSET
    secret: (
        Annotated[
            str, Meta(description="The new secret, in the response to its creation only."), APART
        ]
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

    id: Annotated[str, Source("notification_id")]
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


subscription_message = writer(SubscriptionRequest, pb.Subscription)
subscription_value = reader(SubscriptionValue, pb.SubscriptionState)
