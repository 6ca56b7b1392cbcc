"""The background loop of the worker service."""

from dataclasses import dataclass

from flowmesh.runtime import Loop
from flowmesh.telemetry import Metrics
from flowmesh.worker.limits import TICK_MS
from flowmesh.worker.relay import Relay


@dataclass(frozen=True, slots=True)
class Tick:
    """The counts of the relay at one tick."""

    orchestrators: int
    worker_sets: int
    tasks: int


class RelayLoop(Loop):
    """Drives the relay: pings, silent workers, recalls, waiting results."""

    interval_ms = TICK_MS

    def __init__(self, relay: Relay, metrics: Metrics) -> None:
        super().__init__()
        self._relay = relay
        self._orchestrators = metrics.gauge(
            "flowmesh_orchestrators_attached", "Streams to orchestrators."
        )
        self._sets = metrics.gauge(
            "flowmesh_worker_sets", "Remote workers connected, and the built-in pool."
        )
        self._tasks = metrics.gauge(
            "flowmesh_tasks_held", "Tasks that run or whose result is unacknowledged."
        )

    async def run_once(self) -> Tick:
        self._relay.tick()
        tick = Tick(*self._relay.counts())
        self._orchestrators.set(tick.orchestrators)
        self._sets.set(tick.worker_sets)
        self._tasks.set(tick.tasks)
        return tick
