"""Notifications to orchestrators about changed names, to invalidate their caches.

Best effort with a time limit: cache entries expire after 30 s anyway. A change is acknowledged
after its notification, so a start after the acknowledgment uses the new version.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from flowmesh.bus import Bus
from flowmesh.definition.limits import NOTICE_TIMEOUT_S
from flowmesh.errors import FlowmeshError

NAMES_MAX = 1_000


class Notices:
    """Publishes changes on `<prefix>.definitions.changed`."""

    def __init__(self, *, bus: Bus, prefix: str, log: Any) -> None:
        self._bus = bus
        self._subject = f"{prefix}.definitions.changed"
        self._log = log

    async def changed(self, namespace: str, names: Sequence[str]) -> None:
        """Publish changed names. Never raises; takes at most 2 s, in any state of the bus."""
        if not names or not self._bus.connected:
            return
        body = orjson.dumps({"namespace": namespace, "names": names[:NAMES_MAX]})
        try:
            async with asyncio.timeout(NOTICE_TIMEOUT_S):
                await self._bus.publish_core(self._subject, body)
                await self._bus.flush()
        except (FlowmeshError, TimeoutError) as error:
            self._log.warning("definitions_changed_not_published", problem=type(error).__name__)
