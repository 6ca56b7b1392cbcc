"""Loader of limits and emergency stops that have changed in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.storage.database import until_answered
from flowmesh.orchestrator.storage.stores.limit_store import LimitStore


class RuleLoader:
    """Reads the rules of a new version and passes them to `changed`."""

    def __init__(self, *, store: LimitStore, changed: Callable[[Rules], None]) -> None:
        self._store = store
        self._changed = changed
        self._lock = asyncio.Lock()
        self.version = 0

    async def load(self) -> None:
        async with self._lock:
            # The version first: a later change leads to another load.
            version = await until_answered(self._store.version)
            if version == self.version:
                return
            limits = await until_answered(self._store.limits)
            stops = await until_answered(self._store.stops)
            self.version = version
            self._changed(Rules(limits, stops, version))
