"""Announcements whose receivers confirm that they have acted on them.

An announcement is a core message: it may be lost, and a receiver may be away. The sender therefore
waits for a bounded time.
"""

import asyncio
import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import orjson

from flowmesh.bus.bus import Bus
from flowmesh.bus.consumer import Message
from flowmesh.errors import Unavailable

_SUBJECT = "confirm"
_NUMBER = "number"


@dataclass(slots=True)
class _Open:
    """An announcement with the receivers that have not confirmed it."""

    missing: set[str]
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)


class Announcer:
    """Announces on a subject. `receivers` returns the ids of those that must confirm."""

    def __init__(
        self, bus: Bus, subject: str, *, sender: str, receivers: Callable[[], Collection[str]]
    ) -> None:
        self._bus = bus
        self._subject = subject
        self._confirmations = f"{subject}.confirmed.{sender}"
        self._receivers = receivers
        self._numbers = itertools.count(1)
        self._open: dict[int, _Open] = {}

    async def listen(self) -> None:
        """Subscribe to the confirmations."""
        await self._bus.subscribe_core(self._confirmations, self._on_confirmation)

    async def announce(self, value: dict[str, Any], timeout_s: float) -> set[str]:
        """Announce a value. Return the receivers that did not confirm it in time.

        Raises Unavailable while the bus is disconnected.
        """
        number = next(self._numbers)
        missing = set(self._receivers())
        sent = self._open[number] = _Open(missing)
        body = orjson.dumps({**value, _SUBJECT: self._confirmations, _NUMBER: number})
        try:
            async with asyncio.timeout(timeout_s):
                await self._bus.publish_core(self._subject, body)
                await self._bus.flush()
                if missing:
                    await sent.confirmed.wait()
        except TimeoutError:
            return missing
        finally:
            del self._open[number]
        return set()

    async def _on_confirmation(self, message: Message) -> None:
        confirmed = orjson.loads(message.data)
        sent = self._open.get(confirmed[_NUMBER])
        if sent is not None:
            sent.missing.discard(confirmed["by"])
            if not sent.missing:
                sent.confirmed.set()


async def confirm(bus: Bus, announcement: dict[str, Any], by: str) -> None:
    """Confirm an announcement as a receiver; without the bus, its sender does not wait for long."""
    body = orjson.dumps({_NUMBER: announcement[_NUMBER], "by": by})
    try:
        await bus.publish_core(announcement[_SUBJECT], body)
    except Unavailable:
        return
