"""Announcements of appended events, which end the waits of subscribers at all instances."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from flowmesh.bus import Bus, Message
from flowmesh.errors import Unavailable


class Announcements:
    """Positions of namespaces as they are announced. An announcement may be lost."""

    def __init__(self, *, bus: Bus, subject: str) -> None:
        self._bus = bus
        self.subject = subject
        self._waiting: dict[str, set[asyncio.Event]] = {}

    async def announce(self, namespace: str, position: int) -> None:
        """Wake the subscribers of the namespace, here and at other instances."""
        self._wake(namespace)
        try:
            await self._bus.publish_core(self.subject, orjson.dumps([namespace, position]))
        except Unavailable:
            return  # subscribers of other instances look by themselves

    @contextmanager
    def watched(self, namespace: str) -> Iterator["Watch"]:
        """Watch a namespace: an announcement after this point ends the next wait."""
        event = asyncio.Event()
        self._waiting.setdefault(namespace, set()).add(event)
        try:
            yield Watch(event)
        finally:
            self._waiting[namespace].discard(event)
            if not self._waiting[namespace]:
                del self._waiting[namespace]

    async def on_message(self, message: Message) -> None:
        """Handle an announcement of any instance."""
        namespace, _ = orjson.loads(message.data)
        self._wake(namespace)

    async def on_reconnect(self) -> None:
        """Wake all: announcements may have been missed."""
        for namespace in list(self._waiting):
            self._wake(namespace)

    def _wake(self, namespace: str) -> None:
        for event in self._waiting.get(namespace, ()):
            event.set()


class Watch:
    """A wait for announcements."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def clear(self) -> None:
        """Forget former announcements; call it before reading."""
        self._event.clear()

    async def wait(self, seconds: float) -> None:
        """Return at an announcement, or after this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
