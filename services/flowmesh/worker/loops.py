"""The one background loop of the worker service."""

from flowmesh.runtime import Loop
from flowmesh.worker.limits import TICK_MS
from flowmesh.worker.relay import Relay


class RelayLoop(Loop):
    """Lets time pass for the relay: pings, silence, recalls, results that wait."""

    interval_ms = TICK_MS

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    async def run_once(self) -> None:
        self._relay.tick()
