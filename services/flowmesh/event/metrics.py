"""Metrics of the event service."""

from typing import Final

from flowmesh.telemetry import Metrics

# Seconds from the commit of an event to its arrival in this service.
LAG_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0, 60.0)


class EventMetrics:
    """The metrics of a process, created once."""

    def __init__(self, metrics: Metrics) -> None:
        self.messages = metrics.counter(
            "flowmesh_event_messages_total", "Messages of the event stream.", ("outcome",)
        )
        self.filled = metrics.counter(
            "flowmesh_event_filled_total", "Commits read from an outbox to fill a gap."
        )
        self.lag = metrics.histogram(
            "flowmesh_event_lag_seconds",
            "Seconds from the commit of a watched event to its arrival in the event service.",
            buckets=LAG_BUCKETS,
        )
        self.subscribers = metrics.gauge(
            "flowmesh_event_subscribers", "Open event streams.", ("kind",)
        )
        self.slow = metrics.counter(
            "flowmesh_event_slow_subscribers_total", "Streams ended because their client was slow."
        )
        self.callbacks = metrics.counter(
            "flowmesh_event_callbacks_total", "Callbacks stored for delivery."
        )
        self.attempts = metrics.counter(
            "flowmesh_event_delivery_attempts_total", "Delivery attempts.", ("outcome",)
        )
        # Created at the start: rate() ignores the first increment of a new series.
        self.attempts.labels("dead")
        self.firings = metrics.counter(
            "flowmesh_event_firings_total", "Firings of triggers that ended.", ("outcome",)
        )
        for outcome in ("started", "joined", "refused"):
            self.firings.labels(outcome)
        self.delivery_seconds = metrics.histogram(
            "flowmesh_event_delivery_seconds", "Time of a delivery attempt."
        )
        self.notifications = metrics.counter(
            "flowmesh_event_notifications_total",
            "Attempts of notifications of durable subscriptions.",
            ("outcome",),
        )
        for outcome in ("delivered", "failed", "dead"):
            self.notifications.labels(outcome)
        self.notification_seconds = metrics.histogram(
            "flowmesh_event_notification_seconds", "Time of an attempt of a notification."
        )
