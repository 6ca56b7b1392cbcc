"""Metrics of the bus: counters of messages and a gauge of readers."""

from collections.abc import Callable
from typing import Final

from flowmesh.telemetry.metrics import Metrics

MESSAGES: Final = "flowmesh_bus_messages_total"
READERS: Final = "flowmesh_bus_readers"


class Traffic:
    """The metrics of a connection."""

    def __init__(self, metrics: Metrics, readers: Callable[[], int]) -> None:
        messages = metrics.counter(MESSAGES, "Messages of streams, by direction.", ("direction",))
        self.published = messages.labels("published")
        self.refused = messages.labels("refused")
        self.consumed = messages.labels("consumed")
        gauge = metrics.gauge(READERS, "Streams that this process reads, for all its subscribers.")
        gauge.set_function(readers)
