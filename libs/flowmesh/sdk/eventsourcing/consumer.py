"""A consumer of a group: a handler that runs for each event until it succeeds."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.values.event_streams import Delivery, Park, StoredEvent

EventHandler = Callable[[StoredEvent], Any]
"""`handler(event)`, async or not."""

_log = logging.getLogger("flowmesh.sdk")
WAIT_S = 20.0
PAUSE_S = 1.0
ERROR_CHARACTERS_MAX = 1_000


async def consume_events(
    client: Client, group: str, handler: EventHandler, *, concurrency: int = 10
) -> None:
    """Call `handler(event)` for each event of a group, until canceled.

    Returning acknowledges the event, an exception asks for another attempt, and `Park` parks it.
    """
    consumer = _Consumer(client, handler)
    while True:
        try:
            deliveries = await client.event_groups.receive(group, concurrency, wait=WAIT_S)
        except NotFound:
            raise
        except FlowmeshError as error:
            _log.warning("cannot receive events of group %s: %s", group, error)
            await asyncio.sleep(PAUSE_S)
            continue
        await asyncio.gather(*(consumer.handle(each) for each in deliveries))


class _Consumer:
    def __init__(self, client: Client, handler: EventHandler) -> None:
        self._groups = client.event_groups
        self._handler = handler

    async def handle(self, delivery: Delivery) -> None:
        """Run the handler, and settle the delivery; an unsettled one is delivered again."""
        try:
            result = self._handler(delivery.event)
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # noqa: BLE001 any failure of the handler is another attempt
            text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS_MAX]
            settled = self._groups.nack(delivery, error=text, park=isinstance(error, Park))
        else:
            settled = self._groups.ack(delivery)
        try:
            await settled
        except FlowmeshError as error:
            _log.warning("cannot settle an event of group %s: %s", delivery.group, error)
