"""The database clock as an owner knows it."""

from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics


class SetClock(Clock):
    """A machine whose wall clock is set."""

    def __init__(self) -> None:
        self.wall_us = 1_000_000_000
        self.up_ms = 5_000.0

    def now_us(self) -> int:
        return self.wall_us

    def monotonic_ms(self) -> float:
        return self.up_ms


async def test_a_wall_clock_that_is_set_changes_no_time() -> None:
    """Time follows the database clock, however the machine's clock is set."""
    clock = SetClock()
    ownership = Ownership(clock=clock, metrics=OrchestratorMetrics(Metrics()))
    ownership.observe_time(7_000_000)
    clock.wall_us += 3_600_000_000
    assert ownership.now_us() == 7_000_000
    clock.wall_us -= 7_200_000_000
    clock.up_ms += 2.0
    assert ownership.now_us() == 7_002_000
