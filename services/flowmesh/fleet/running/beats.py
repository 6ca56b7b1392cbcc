"""Calls of agents, recorded together once a second."""

from typing import ClassVar

from flowmesh.fleet.storage.records import Beat
from flowmesh.fleet.storage.store import FleetStore
from flowmesh.runtime.loop import Loop


class BeatLoop(Loop):
    """Collects the calls of agents that reach this instance."""

    interval_ms: ClassVar[int] = 1_000

    def __init__(self, store: FleetStore) -> None:
        self._store = store
        self._beats: dict[str, Beat] = {}

    def take(self, agent_id: str, beat: Beat) -> None:
        """Note that an agent lives."""
        if agent_id not in self._beats:
            self.wake()
        self._beats[agent_id] = beat

    async def run_once(self) -> int:
        beats, self._beats = self._beats, {}
        if beats:
            await self._store.beat(beats)
        return len(beats)
