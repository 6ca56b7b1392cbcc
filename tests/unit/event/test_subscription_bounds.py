"""The limits of durable subscriptions at their documented values."""

from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.event.notifications import limits
from flowmesh.event.notifications.checks import (
    check_overlap,
    check_resent,
    checked_subscription,
)

HOOK: dict[str, Any] = {"url": "http://hook.example"}
MEMBERS: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "types": (limits.TYPES_MAX, lambda n: {"types": ["x"] * n}),
    "source": (limits.TEXT_CHARACTERS_MAX, lambda n: {"source": "x" * n}),
    "filter": (limits.FILTER_CHARACTERS_MAX, lambda n: {"filter": f"{'true':<{n}}"}),
    "template": (limits.TEMPLATE_BYTES_MAX, lambda n: {"template": f"{'{}':<{n}}"}),
    "headers": (
        limits.HEADERS_MAX,
        lambda n: {"webhook": HOOK | {"headers": {f"h{each}": "x" for each in range(n)}}},
    ),
    "attempts": (limits.ATTEMPTS_MAX, lambda n: {"policy": {"max_attempts": n}}),
    "concurrency": (limits.CONCURRENCY_MAX, lambda n: {"policy": {"concurrency": n}}),
    "breaker": (limits.BREAKER_MAX, lambda n: {"policy": {"breaker_failures": n}}),
    "count": (limits.COUNT_MAX, lambda n: {"alert": {"count": n}}),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_subscriptions_are_bounded(name: str) -> None:
    """At the limit accepted; one above and a hundred times above refused."""
    most, members = MEMBERS[name]

    def check(value: int) -> None:
        given = {"subscription": "s", "webhook": HOOK} | members(value)
        checked_subscription(pb.Subscription(**given))

    check(most)
    for above in (most + 1, most * 100):
        with pytest.raises(Invalid) as refused:
            check(above)
        assert refused.value.reason == "SUBSCRIPTION_INVALID"


def test_overlaps_and_resends_are_bounded() -> None:
    """Of a rotation and of notifications by id."""
    check_overlap(limits.OVERLAP_MAX_MS)
    check_resent(["n"] * limits.RESEND_IDS_MAX)
    with pytest.raises(Invalid, match="overlap_ms"):
        check_overlap(limits.OVERLAP_MAX_MS + 1)
    with pytest.raises(Invalid, match="notification_ids"):
        check_resent(["n"] * (limits.RESEND_IDS_MAX + 1))
