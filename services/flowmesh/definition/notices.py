"""Announcements of changed names to orchestrators and event services, which confirm them.

A change is acknowledged once every instance has confirmed it: a start then uses the new version,
and hooks, events and schedules the new triggers. An instance that does not answer delays the
acknowledgment by at most 2 s; it learns of the change later: cached plans expire by
`definition_cache_seconds`, and event services read all triggers after a reconnect.
"""

from collections.abc import Sequence
from typing import Any

from flowmesh.bus import Announcer
from flowmesh.definition.limits import NOTICE_TIMEOUT_S
from flowmesh.errors import Unavailable

NAMES_MAX = 1_000


class Notices:
    """Announces changes on `<prefix>.definitions.changed`."""

    def __init__(self, *, announcer: Announcer, log: Any) -> None:
        self._announcer = announcer
        self._log = log

    async def listen(self) -> None:
        """Listen for confirmations."""
        await self._announcer.listen()

    async def changed(self, namespace: str, names: Sequence[str]) -> None:
        """Announce changed names. Never raises; 1,000 names take at most 2 s."""
        for start in range(0, len(names), NAMES_MAX):
            value = {"namespace": namespace, "names": names[start : start + NAMES_MAX]}
            try:
                missing = await self._announcer.announce(value, NOTICE_TIMEOUT_S)
            except Unavailable:
                self._log.warning("definitions_changed_not_published", namespace=namespace)
                return
            if missing:
                self._log.warning("definitions_changed_not_confirmed", instances=sorted(missing))
