"""Checks of subscriptions, and their defaults."""

from collections.abc import Sequence
from typing import Any, NoReturn

import orjson

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.egress import HeaderInvalid, RequestInvalid, check_headers, check_url
from flowmesh.errors import FlowmeshError, Invalid, Violation
from flowmesh.event.notifications import limits
from flowmesh.expressions import (
    ExpressionInvalid,
    TemplateInvalid,
    compile_condition,
    compile_template,
)
from flowmesh.expressions.secrets import (
    REFERENCE_FORM,
    is_malformed_reference,
    is_secret_reference,
)
from flowmesh.rpc import check_enum_values, valid_id

_INVALID = "SUBSCRIPTION_INVALID"
TEMPLATE_ROOTS = frozenset({"event", "subscription"})
# Headers that the service sets itself.
_OWN_HEADERS = ("webhook-", "ce-")
_OWN_HEADER_NAMES = ("content-type",)


def checked_subscription(given: pb.Subscription) -> pb.Subscription:
    """Return the subscription with its defaults. Raises SUBSCRIPTION_INVALID."""
    check_enum_values([given.webhook.mode], pb.CloudEventMode, "webhook.mode")
    check_enum_values([given.alert.metric.metric], pb.Metric, "alert.metric.metric")
    valid_id(given.subscription, "subscription")
    made = pb.Subscription()
    made.CopyFrom(given)
    _check_selection(made)
    kind = made.WhichOneof("sink")
    if kind is None:
        refuse("sink", "set `webhook` or `queue`")
    if kind == "webhook":
        _check_webhook(made.webhook)
    else:
        _check_queue(made.queue)
    _set_policy(made.policy)
    if made.HasField("alert"):
        _check_alert(made)
    if made.template:
        _check_template(made.template)
    _check_text("description", made.description)
    return made


def check_overlap(overlap_ms: int) -> None:
    """Check the overlap of a rotation. Raises SUBSCRIPTION_INVALID."""
    if not 1 <= overlap_ms <= limits.OVERLAP_MAX_MS:
        refuse("overlap_ms", f"must be from 1 to {limits.OVERLAP_MAX_MS:,}")


def check_resent(ids: Sequence[str]) -> None:
    """Check the ids of notifications. Raises SUBSCRIPTION_INVALID or ID_INVALID."""
    if len(ids) > limits.RESEND_IDS_MAX:
        refuse("notification_ids", f"at most {limits.RESEND_IDS_MAX} are allowed")
    for each in ids:
        valid_id(each, "notification_ids")


def check_instant(field: str, at_us: int) -> None:
    """Check an instant. Raises SUBSCRIPTION_INVALID."""
    if not 0 <= at_us <= 2**53:
        refuse(field, "must be microseconds since the epoch, at most 2^53")


def _check_selection(made: pb.Subscription) -> None:
    if len(made.types) > limits.TYPES_MAX:
        refuse("types", f"holds {len(made.types)} types; at most {limits.TYPES_MAX} are allowed")
    for index, pattern in enumerate(made.types):
        _check_pattern(f"types[{index}]", pattern, required=True)
    _check_pattern("source", made.source)
    if len(made.filter) > limits.FILTER_CHARACTERS_MAX:
        refuse("filter", f"has more than {limits.FILTER_CHARACTERS_MAX:,} characters")
    if made.filter:
        try:
            compile_condition(made.filter, dialect="cel", roots=("event",))
        except ExpressionInvalid as error:
            refuse("filter", str(error))


def _check_pattern(field: str, pattern: str, *, required: bool = False) -> None:
    if required and not pattern:
        refuse(field, "is empty; leave the list empty to select all types")
    _check_text(field, pattern)
    if "*" in pattern[:-1]:
        refuse(field, "may hold `*` only at its end")


def _check_text(field: str, text: str) -> None:
    if len(text) > limits.TEXT_CHARACTERS_MAX or not text.isprintable():
        refuse(field, f"must have at most {limits.TEXT_CHARACTERS_MAX:,} printable characters")


def _check_webhook(sink: pb.WebhookSink) -> None:
    for field in ("url", "secret_ref"):
        if is_malformed_reference(getattr(sink, field)):
            refuse(f"webhook.{field}", f"must be {REFERENCE_FORM}")
    if not is_secret_reference(sink.url):
        try:
            check_url(sink.url)
        except (RequestInvalid, FlowmeshError) as error:
            refuse("webhook.url", str(error))
    if sink.secret_ref and not is_secret_reference(sink.secret_ref):
        refuse("webhook.secret_ref", f"must be {REFERENCE_FORM}, or empty")
    headers = dict(sink.headers)
    if len(headers) > limits.HEADERS_MAX:
        refuse("webhook.headers", f"at most {limits.HEADERS_MAX} are allowed")
    try:
        check_headers(headers)
    except HeaderInvalid as error:
        refuse("webhook.headers", str(error))
    for name in headers:
        if name.lower().startswith(_OWN_HEADERS) or name.lower() in _OWN_HEADER_NAMES:
            refuse("webhook.headers", f"{name} is set by the service")


def _check_queue(sink: pb.QueueSink) -> None:
    if sink.exchange:
        valid_id(sink.exchange, "queue.exchange")
    elif not sink.routing_key:
        refuse("queue.routing_key", "names the queue, because the exchange is empty")
    if len(sink.routing_key.encode()) > 255 or "\0" in sink.routing_key:
        refuse("queue.routing_key", "must have at most 255 bytes, and no NUL character")


def _set_policy(policy: pb.DeliveryPolicy) -> None:
    policy.max_attempts = policy.max_attempts or limits.ATTEMPTS_DEFAULT
    policy.initial_delay_ms = policy.initial_delay_ms or limits.DELAY_DEFAULT_MS
    policy.max_delay_ms = policy.max_delay_ms or limits.DELAY_CAP_DEFAULT_MS
    policy.concurrency = policy.concurrency or limits.CONCURRENCY_DEFAULT
    policy.breaker_failures = policy.breaker_failures or limits.BREAKER_DEFAULT
    policy.breaker_open_ms = policy.breaker_open_ms or limits.OPEN_DEFAULT_MS
    _check_range(policy, "max_attempts", 1, limits.ATTEMPTS_MAX)
    _check_range(policy, "initial_delay_ms", 1, limits.DAY_MS)
    _check_range(policy, "max_delay_ms", 1, limits.DAY_MS)
    _check_range(policy, "concurrency", 1, limits.CONCURRENCY_MAX)
    _check_range(policy, "breaker_failures", 1, limits.BREAKER_MAX)
    _check_range(policy, "breaker_open_ms", 1, limits.DAY_MS)


def _check_alert(made: pb.Subscription) -> None:
    alert = made.alert
    alert.count = alert.count or 1
    alert.window_ms = alert.window_ms or limits.WINDOW_DEFAULT_MS
    _check_range(alert, "count", 1, limits.COUNT_MAX, "alert.")
    _check_range(alert, "window_ms", 1_000, limits.DAY_MS, "alert.")
    if not alert.HasField("metric"):
        return
    metric = alert.metric
    if made.types or made.source or made.filter:
        refuse("alert.metric", "watches no events; leave types, source and filter empty")
    if metric.above < 0 or metric.above != metric.above:
        refuse("alert.metric.above", "must be a number of at least 0")
    if metric.metric == pb.METRIC_UNSPECIFIED:
        refuse("alert.metric.metric", "name executions, queue_depth or dead_letters")
    if metric.metric == pb.METRIC_EXECUTIONS:
        if metric.queue:
            refuse("alert.metric.queue", "is not used by executions")
        if len(metric.filter) > limits.FILTER_CHARACTERS_MAX:
            text = f"has more than {limits.FILTER_CHARACTERS_MAX:,} characters"
            refuse("alert.metric.filter", text)
    else:
        valid_id(metric.queue, "alert.metric.queue")


def _check_template(text: str) -> None:
    if len(text.encode()) > limits.TEMPLATE_BYTES_MAX:
        refuse("template", f"has more than {limits.TEMPLATE_BYTES_MAX // 1024} KiB")
    try:
        compile_template(orjson.loads(text), TEMPLATE_ROOTS)
    except orjson.JSONDecodeError as error:
        refuse("template", f"is not JSON: {error}")
    except TemplateInvalid as error:
        refuse("template", str(error))


def _check_range(message: Any, name: str, least: int, most: int, prefix: str = "policy.") -> None:
    value = getattr(message, name)
    if not least <= value <= most:
        refuse(f"{prefix}{name}", f"must be from {least:,} to {most:,}, not {value:,}")


def refuse(field: str, what: str) -> NoReturn:
    """Raise the refusal of a field."""
    raise Invalid(_INVALID, f"{field}: {what}.", violations=(Violation(field, what, _INVALID),))
