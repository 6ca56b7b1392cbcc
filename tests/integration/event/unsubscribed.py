"""Publications without durable subscriptions."""

from collections.abc import Sequence

from flowmesh.event.notifications.compiled import CompiledSubscription


async def ignored(subscriptions: Sequence[CompiledSubscription]) -> None:
    """Take the matching subscriptions; there are none."""
    assert not subscriptions


async def settled() -> None:
    """No triggers are announced."""
