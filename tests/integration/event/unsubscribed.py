"""Publications without durable subscriptions."""

from collections.abc import Sequence
from typing import Any

from flowmesh.event.notifications.compiled import CompiledSubscription


async def ignored(subscriptions: Sequence[CompiledSubscription]) -> None:
    """Take the matching subscriptions; there are none."""
    assert not subscriptions


async def confirmed(announcement: dict[str, Any]) -> None:
    """Confirm an announcement to nobody."""


async def settled() -> None:
    """No triggers are announced."""
