"""Revocations on the bus: every process forgets the principal or session within a second."""

import json
from collections.abc import Iterable

from flowmesh.bus import Bus
from flowmesh.errors import Unavailable
from flowmesh.runtime.access import EVERY_ID, REVOCATIONS
from flowmesh.runtime.loop import Loop


class Revocations:
    """Announces that principals or sessions changed or ended."""

    def __init__(self, bus: Bus, prefix: str) -> None:
        self._bus = bus
        self._subject = f"{prefix}.{REVOCATIONS}"

    async def announce(self, *ids: str) -> None:
        """End the streams of these users, keys and sessions, and forget their permissions."""
        await self._publish(ids=ids)

    async def announce_all(self) -> None:
        """End all streams, which resume, and forget all permissions."""
        await self._publish(ids=(EVERY_ID,))

    async def refresh(self) -> None:
        """Forget all permissions, which are then looked up again; streams continue."""
        await self._publish(refresh=True)

    async def announce_end(self, id: str, ends_us: int) -> None:
        """End the present streams of a key at a time, when the secrets that they have used end."""
        await self._publish(ids=(id,), ends_us=ends_us)

    async def heartbeat(self) -> None:
        """Show every process that it would hear of revocations."""
        await self._publish()

    async def _publish(
        self, *, ids: Iterable[str] = (), refresh: bool = False, ends_us: int = 0
    ) -> None:
        """Publish a message; without the bus, processes ask again within a second by themselves."""
        message = json.dumps({"ids": list(ids), "refresh": refresh, "ends_us": ends_us}).encode()
        try:
            await self._bus.publish_core(self._subject, message)
            await self._bus.flush()
        except Unavailable:
            return


class HeartbeatLoop(Loop):
    """Publishes heartbeats."""

    interval_ms = 1_000

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    async def run_once(self) -> None:
        await self._revocations.heartbeat()
