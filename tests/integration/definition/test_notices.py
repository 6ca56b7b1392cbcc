"""The announcement of a change is confirmed by every receiver, or given up after its time."""

import asyncio
from typing import Any

import orjson
import pytest

from flowmesh.bus import Bus, Message, confirm
from flowmesh.definition import notices as limits
from tests.integration.definition.conftest import PREFIX, notices_on

SUBJECT = f"{PREFIX}.definitions.changed"


class Receiver:
    """Confirms what it hears as soon as it may."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus = bus
        self._name = name
        self.heard: list[list[str]] = []
        self.acts = asyncio.Event()

    async def listen(self) -> None:
        await self._bus.subscribe_core(SUBJECT, self._on_change)
        await self._bus.flush()

    async def _on_change(self, message: Message) -> None:
        announcement: dict[str, Any] = orjson.loads(message.data)
        self.heard.append(announcement["names"])
        await self.acts.wait()
        await confirm(self._bus, announcement, self._name)


async def test_a_change_is_acknowledged_after_both_receivers_have_acted(bus: Bus) -> None:
    """Neither is enough alone; the second one ends the wait."""
    one, two = Receiver(bus, "one"), Receiver(bus, "two")
    await one.listen()
    await two.listen()
    notices = notices_on(bus, ("one", "two"))
    await notices.listen()
    changed = asyncio.create_task(notices.changed("default", ["w"]))
    one.acts.set()
    assert not (await asyncio.wait({changed}, timeout=0.2))[0]
    two.acts.set()
    await asyncio.wait_for(changed, 1)


async def test_a_silent_receiver_delays_a_change_by_a_bounded_time(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is registered and does not listen."""
    monkeypatch.setattr(limits, "NOTICE_TIMEOUT_S", 0.2)
    notices = notices_on(bus, ("gone",))
    await notices.listen()
    await asyncio.wait_for(notices.changed("default", ["w"]), 1)


async def test_all_names_of_a_large_change_are_announced(bus: Bus) -> None:
    """In several announcements, each with at most 1,000 names."""
    receiver = Receiver(bus, "one")
    receiver.acts.set()
    await receiver.listen()
    notices = notices_on(bus, ("one",))
    await notices.listen()
    names = [f"w{number}" for number in range(limits.NAMES_MAX + 1)]
    await notices.changed("default", names)
    assert [name for some in receiver.heard for name in some] == names
    assert len(receiver.heard) == 2
