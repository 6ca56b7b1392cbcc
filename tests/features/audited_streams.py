"""Audited changes of the event store, of subscriptions and of dead letters."""

from typing import Final

from flowmesh.api.event.v1 import subscription_service_pb2
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2,
    projection_service_pb2,
    stored_event_pb2,
)
from tests.features.audited import call
from tests.features.closed import Caller

NAMESPACE: Final = {"namespace": "everything"}


async def change_streams(owner: Caller) -> None:
    """A stream, a group of consumers, and a projection with a rebuild."""
    event = stored_event_pb2.NewEvent(type="Made")
    await call(owner, "EventStoreService.AppendEvents", stream="s", events=[event], **NAMESPACE)
    await call(owner, "EventStoreService.SetStreamRetention", stream="s", **NAMESPACE)
    await call(owner, "EventStoreService.DeleteStream", stream="s", **NAMESPACE)
    group = event_group_service_pb2.EventGroup(event_group="g")
    await call(owner, "EventGroupService.PutEventGroup", group=group, **NAMESPACE)
    await call(owner, "EventGroupService.ReplayParkedEvents", event_group="g", **NAMESPACE)
    await call(owner, "EventGroupService.DeleteEventGroup", event_group="g", **NAMESPACE)
    projection = projection_service_pb2.Projection(projection="p")
    await call(owner, "ProjectionService.PutProjection", projection=projection, **NAMESPACE)
    named = {"projection": "p", **NAMESPACE}
    await call(owner, "ProjectionService.RebuildProjection", **named)
    await call(owner, "ProjectionService.SwapProjection", generation=2, **named)
    await call(owner, "ProjectionService.DeleteProjection", **named)
    await call(owner, "RetentionService.RebuildExecutions", verify=True, **NAMESPACE)


async def change_subscriptions(owner: Caller) -> None:
    """A subscription that is paused, resumed, tried, sent again and deleted, and dead letters."""
    subscription = subscription_service_pb2.Subscription(subscription="all", types=["made"])
    subscription.queue.routing_key = "made"
    service = "SubscriptionService"
    await call(owner, f"{service}.PutSubscription", subscription=subscription, **NAMESPACE)
    named = {"subscription": "all", **NAMESPACE}
    for method in ("Pause", "Resume", "Delete"):
        if method == "Delete":
            await call(owner, f"{service}.ResendNotifications", **named)
        await call(owner, f"{service}.{method}Subscription", **named)
    hook = subscription_service_pb2.Subscription(subscription="hook", types=["made"])
    hook.webhook.url = "http://127.0.0.1:9/none"
    await call(owner, f"{service}.PutSubscription", subscription=hook, **NAMESPACE)
    hooked = {"subscription": "hook", **NAMESPACE}
    await call(owner, f"{service}.RotateSubscriptionSecret", **hooked)
    await call(owner, "LimitService.DiscardDeadLetters", execution_ids=["exec_none"], **NAMESPACE)
