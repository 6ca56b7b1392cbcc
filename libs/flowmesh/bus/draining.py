"""The end of subscriptions without a loss of messages on their way."""

import contextlib

from nats.aio.subscription import Subscription

from flowmesh.bus.bus import FAILURES, Bus
from flowmesh.errors import Unavailable


async def drain(bus: Bus, subscription: Subscription) -> None:
    """End a subscription after its last message.

    The drain of the client library flushes in a way that breaks connections, see `Bus.flush`.
    """
    with contextlib.suppress(Unavailable, *FAILURES):
        await bus.client.end_interest(subscription)
        await bus.flush()
    if not bus.client.is_closed:
        await subscription.unsubscribe()
