"""Limits and emergency stops, read from the database when they have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.storage.store import OrchestratorStore, until_answered


class RuleLoader:
    """Reads the rules of a new version and passes them to `changed`."""

    def __init__(self, *, store: OrchestratorStore, changed: Callable[[Rules], None]) -> None:
        self._store = store
        self._changed = changed
        self._lock = asyncio.Lock()
        self.version = 0

    async def load(self) -> None:
        async with self._lock:
            # The version first: a change in between is read again.
            version = await until_answered(partial(self._store.one, "limits_version"))
            if version == self.version:
                return
            limits = await until_answered(partial(self._store.rows, "limits_set"))
            stops = await until_answered(partial(self._store.rows, "dispatch_stops"))
            self.version = version
            self._changed(Rules(limits, stops, version))
