"""Ended attempts by task type and by worker, as kept signals."""

from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.named import NamedDurations


class AttemptMetrics:
    """The attempts of a process by task type and by worker; exported only on request."""

    def __init__(self, metrics: Metrics, *, exported: bool) -> None:
        self._types = NamedDurations(
            "flowmesh_task_type_attempt", ("task_type",), "Attempts by task type"
        )
        self._workers = NamedDurations("flowmesh_worker_attempt", ("worker",), "Attempts by worker")
        for each in (self._types, self._workers):
            metrics.add_named(each, exported=exported)

    def ended(
        self, key: tuple[str, str, str, str], worker: str, ms: float, now_ms: float, *, failed: bool
    ) -> None:
        """Count an attempt of a kind of task that ended at a worker."""
        namespace, _, task_type, _ = key
        for names, name in ((self._types, task_type), (self._workers, worker)):
            names.ended(namespace, (name,), ms / 1_000, now_ms, failed=failed)
