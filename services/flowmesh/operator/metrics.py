"""Metrics of the operator."""

from flowmesh.telemetry import Metrics


class OperatorMetrics:
    """The counters and gauges of one replica."""

    def __init__(self, metrics: Metrics) -> None:
        self.reconciles = metrics.counter(
            "flowmesh_operator_reconciles_total",
            "Objects reconciled, by kind and outcome.",
            ("kind", "outcome"),
        )
        self.reviews = metrics.counter(
            "flowmesh_operator_reviews_total", "Admission reviews, by verdict.", ("verdict",)
        )
        self.review_seconds = metrics.histogram(
            "flowmesh_operator_review_seconds", "Time of an admission review.", ()
        )
        self.queue = metrics.gauge("flowmesh_operator_queue", "Keys that wait.", ())
        self.queue_age = metrics.gauge(
            "flowmesh_operator_queue_age_seconds", "Time for which the oldest due key waits.", ()
        )
        self.leader = metrics.gauge(
            "flowmesh_operator_leader", "1 if this replica reconciles, 0 otherwise.", ()
        )
        self.certificate_days = metrics.gauge(
            "flowmesh_operator_certificate_days", "Days left of the webhook's certificate.", ()
        )
