"""Bounds of durable subscriptions."""

from flowmesh.event.notifications import limits as durable
from flowmesh.suite.limits.limit import Limit

_INVALID = "SUBSCRIPTION_INVALID"
_WHERE = "event, at a change of a subscription"

SUBSCRIPTIONS = (
    Limit(
        "durable subscriptions of a namespace",
        durable.SUBSCRIPTIONS_MAX,
        "subscriptions",
        "SUBSCRIPTIONS_FULL",
        _WHERE,
    ),
    Limit("types of a subscription", durable.TYPES_MAX, "types", _INVALID, _WHERE),
    Limit(
        "type, source or description of a subscription",
        durable.TEXT_CHARACTERS_MAX,
        "characters",
        _INVALID,
        _WHERE,
    ),
    Limit(
        "filter of a subscription", durable.FILTER_CHARACTERS_MAX, "characters", _INVALID, _WHERE
    ),
    Limit("template of a subscription", durable.TEMPLATE_BYTES_MAX, "bytes", _INVALID, _WHERE),
    Limit("headers of a webhook sink", durable.HEADERS_MAX, "headers", _INVALID, _WHERE),
    Limit("attempts of a notification", durable.ATTEMPTS_MAX, "attempts", _INVALID, _WHERE),
    Limit(
        "notifications of a subscription in flight",
        durable.CONCURRENCY_MAX,
        "attempts",
        _INVALID,
        _WHERE,
    ),
    Limit("failures that open a breaker", durable.BREAKER_MAX, "attempts", _INVALID, _WHERE),
    Limit("events of an alert rule", durable.COUNT_MAX, "events", _INVALID, _WHERE),
    Limit(
        "overlap of two secrets",
        durable.OVERLAP_MAX_MS,
        "ms",
        _INVALID,
        "event, at a rotation",
    ),
    Limit(
        "notifications resent by id",
        durable.RESEND_IDS_MAX,
        "notifications",
        _INVALID,
        "event, at a resend",
    ),
)
