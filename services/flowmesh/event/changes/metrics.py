"""Metrics of change triggers."""

from typing import Final

from flowmesh.event.changes.store import ChangeTrigger
from flowmesh.telemetry import Metrics

LABELS_MAX: Final = 1_000
OTHER: Final = "other"


class ChangeMetrics:
    """The metrics of a process. Further triggers than 1,000 share the label `other`."""

    def __init__(self, metrics: Metrics) -> None:
        self._changes = metrics.counter(
            "flowmesh_event_changes_total", "Changes of tables that fired.", ("outcome",)
        )
        for outcome in ("fired", "refused"):
            self._changes.labels(outcome)
        self._lost = metrics.counter(
            "flowmesh_event_change_slots_lost_total", "Slots that were lost with their changes."
        )
        self._lag = metrics.gauge(
            "flowmesh_event_change_lag_bytes",
            "Log that databases keep for the slots of change triggers.",
            ("namespace", "workflow", "trigger"),
        )
        self._known: set[tuple[str, ...]] = set()

    def changed(self, fired: int, refused: int) -> None:
        self._changes.labels("fired").inc(fired)
        self._changes.labels("refused").inc(refused)

    def lost(self) -> None:
        self._lost.inc()

    def lag(self, trigger: ChangeTrigger, lag_bytes: int) -> None:
        labels = (trigger.namespace, trigger.workflow, trigger.message.id)
        if labels not in self._known and len(self._known) >= LABELS_MAX:
            labels = (OTHER, OTHER, OTHER)
        self._known.add(labels)
        self._lag.labels(*labels).set(lag_bytes)

    def forget(self, known: set[tuple[str, ...]]) -> None:
        """Drop the lag of triggers that no longer exist."""
        for labels in self._known - known:
            self._lag.remove(*labels)
        self._known &= known
