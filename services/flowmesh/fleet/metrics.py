"""Metrics of the fleet, by the names of their source."""

from flowmesh.telemetry import Metrics


class FleetMetrics:
    """Counts of the instance that leads."""

    def __init__(self, metrics: Metrics) -> None:
        self.agents = metrics.gauge("total_agents", "Agents that run or start.")
        # A counter would be exported under another name.
        self._events = metrics.gauge("scaling_events", "Changes of counts by policies.")

    def scaled(self, count: int) -> None:
        """Count changes."""
        self._events.inc(count)
