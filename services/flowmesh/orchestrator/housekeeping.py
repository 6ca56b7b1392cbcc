"""What must be done now and then: days of history made ahead, unused payloads collected."""

from flowmesh.orchestrator.batch import DAY_US
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.runtime import Clock, Loop


class HousekeepingLoop(Loop):
    """Twice an hour; nothing waits for it."""

    interval_ms = 1_800_000

    def __init__(self, store: OrchestratorStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def run_once(self) -> int:
        await self._store.ensure_history_days(self._clock.now_us() // DAY_US)
        return int(await self._store.one("collect_payloads"))
