"""Alert rules: a notification for many events, or for a metric above its threshold."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
from structlog.typing import FilteringBoundLogger

from flowmesh.access import acting_as
from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.api.execution.v1 import search_service_pb2
from flowmesh.contract.nouns import counted
from flowmesh.errors import FlowmeshError
from flowmesh.event.notifications.compiled import (
    CompiledSubscription,
    Notification,
    SubscriptionCache,
    cloud_event,
)
from flowmesh.event.notifications.store import AlertChange, NotificationStore
from flowmesh.event.queues import Queues
from flowmesh.jsontext import dump_json
from flowmesh.runtime import Loop
from flowmesh.standards.events import OWN_TYPES
from flowmesh.views import instant

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub

RAISED: Final = f"{OWN_TYPES}alert.raised"
RESOLVED: Final = f"{OWN_TYPES}alert.resolved"
# The feeds of the rules on metrics, whose positions do not move.
METRIC_LEASE_MS: Final = 15_000

Measure = Callable[[str, pb.MetricRule], Awaitable[float]]


class Alerts:
    """Raises alerts, at most one in a window of a rule."""

    def __init__(self, *, store: NotificationStore, on_notifications: Callable[[], None]) -> None:
        self._store = store
        self._on_notifications = on_notifications

    async def stored(self, subscriptions: Sequence[CompiledSubscription]) -> None:
        """Raise the alerts of rules whose events are stored, and wake the sender."""
        for each in subscriptions:
            if each.config.HasField("alert"):
                await self.raise_by_count(each)
        self._on_notifications()

    async def raise_by_count(self, compiled: CompiledSubscription) -> bool:
        """Raise an alert if enough events of the window match. Return whether one is raised."""
        rule = compiled.config.alert
        if rule.HasField("metric"):
            return False
        async with self._store.alerting(compiled.id) as change:
            now_us = _free_at(change)
            if now_us is None:
                return False
            count, events = await change.counted(rule.window_ms)
            if count < rule.count:
                return False
            newest = [orjson.loads(each) for each in events]
            seconds = rule.window_ms / 1_000
            values = {
                "text": f"{compiled.name}: {counted(count, 'event')} within {seconds:g} s",
                "count": count,
                "windowMs": rule.window_ms,
                "last": newest[0],
                "events": [_short(each) for each in newest],
            }
            alert = alert_notification(compiled, RAISED, now_us, values)
            until_us = now_us + rule.window_ms * 1_000
            await change.set(alert, alerted_until_us=until_us, raised=True)
        return True

    async def observe(self, compiled: CompiledSubscription, value: float) -> bool:
        """Raise or resolve the alert of a metric. Return whether a notification is stored."""
        rule = compiled.config.alert
        async with self._store.alerting(compiled.id) as change:
            if change.state is None:
                return False
            raised, now_us = change.state["raised"], change.state["now_us"]
            high = value > rule.metric.above
            if high and (_free_at(change) is None):
                return False
            if not high and not raised:
                return False
            kind = RAISED if high else RESOLVED
            metric = pb.Metric.Name(rule.metric.metric).removeprefix("METRIC_").lower()
            word = "is above" if high else "is no longer above"
            values = {
                "text": f"{compiled.name}: {metric} {word} {rule.metric.above:g}: {value:g}",
                "metric": metric,
                "value": value,
                "above": rule.metric.above,
            }
            alert = alert_notification(compiled, kind, now_us, values)
            until_us = now_us + rule.window_ms * 1_000 if high else 0
            await change.set(alert, alerted_until_us=until_us, raised=high)
        return True


class MetricLoop(Loop):
    """Evaluates the rules on metrics."""

    interval_ms = 5_000

    def __init__(
        self,
        *,
        store: NotificationStore,
        subscriptions: SubscriptionCache,
        alerts: Alerts,
        measure: Measure,
        feeder: str,
        on_notifications: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._alerts = alerts
        self._measure = measure
        self._feeder = feeder
        self._on_notifications = on_notifications
        self._log = log

    async def run_once(self) -> int:
        """Evaluate the rules that this process feeds; return the number of new notifications."""
        rows = await self._store.claim_feeds(self._feeder, lease_ms=METRIC_LEASE_MS)
        raised = 0
        for row in rows:
            compiled = self._subscriptions.compiled(row)
            if compiled.watches_events:
                continue
            try:
                value = await self._measure(compiled.namespace, compiled.config.alert.metric)
            except FlowmeshError as error:
                self._log.info("metric_unknown", rule=compiled.name, reason=error.reason)
                continue
            raised += await self._alerts.observe(compiled, value)
        if raised:
            self._on_notifications()
        return raised


class Metrics:
    """Values of the metrics of a namespace."""

    def __init__(self, *, searches: "SearchServiceAsyncStub", queues: Queues) -> None:
        self._searches = searches
        self._queues = queues

    async def value(self, namespace: str, rule: pb.MetricRule) -> float:
        """Return the current value. Raises FlowmeshError if it cannot be read."""
        if rule.metric == pb.METRIC_EXECUTIONS:
            request = search_service_pb2.CountExecutionsRequest(
                namespace=namespace, filter=rule.filter
            )
            with acting_as(None):
                return float((await self._searches.CountExecutions(request)).count)
        state = await self._queues.state(namespace, rule.queue)
        found = state.dead_letters if rule.metric == pb.METRIC_DEAD_LETTERS else state.depth
        return float(found)


def alert_notification(
    compiled: CompiledSubscription, kind: str, now_us: int, values: dict[str, Any]
) -> Notification:
    """Return the notification of an alert as a CloudEvent."""
    event = {
        "id": f"{kind.rpartition('.')[2]}/{now_us}",
        "source": compiled.source,
        "type": kind,
        "subject": compiled.name,
        "time": instant(now_us),
        "data": {"rule": compiled.name, "description": compiled.config.description, **values},
    }
    return Notification(
        namespace=compiled.namespace,
        subscription=compiled.id,
        event_id=f"{event['source']} {event['id']}",
        type=kind,
        event=dump_json(cloud_event(event)),
    )


def _free_at(change: AlertChange) -> int | None:
    """Return the present if no alert was raised in the window; None otherwise."""
    if change.state is None or change.state["alerted_until_us"] > change.state["now_us"]:
        return None
    now_us: int = change.state["now_us"]
    return now_us


def _short(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("id", "type", "subject", "time") if name in event}
