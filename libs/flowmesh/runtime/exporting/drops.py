"""The count of signals that neither the store of the suite nor a receiver of exports took."""

from typing import TYPE_CHECKING

from flowmesh.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client import Counter


def dropped(metrics: Metrics, kind: str) -> "Counter":
    """Return the counter of a kind, which is there before the first drop for alerts to see."""
    counter = metrics.counter(
        "flowmesh_observe_dropped_total", "Signals that were not kept.", ("kind",)
    )
    return counter.labels(kind)
