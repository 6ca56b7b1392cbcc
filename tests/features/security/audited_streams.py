"""Audited changes of the event store, subscriptions, dead letters, agents, plugins, objectives."""

import json
from pathlib import Path
from typing import Any, Final

from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.api.event.v1 import subscription_service_pb2
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2,
    projection_service_pb2,
    stored_event_pb2,
)
from flowmesh.api.fleet.v1 import agent_pb2
from tests.features.closed import Caller
from tests.features.natives import workflow
from tests.features.plugins.market import Market
from tests.features.security.audited import Audited, call

NAMESPACE: Final = {"namespace": "everything"}


async def change_others(audited: Audited) -> None:
    """Streams, subscriptions, agents, plugins and objectives."""
    owner = audited.closed.owner
    await change_streams(owner)
    await move_messages(owner)
    await change_subscriptions(owner)
    await change_agents(audited)
    await change_plugins(owner)
    await change_objectives(audited)
    await change_dashboards(audited)


async def change_streams(owner: Caller) -> None:
    """A stream, a group of consumers, and a projection with a rebuild."""
    event = stored_event_pb2.NewEvent(type="Made")
    await call(owner, "EventStoreService.AppendEvents", stream="s", events=[event], **NAMESPACE)
    await call(owner, "EventStoreService.SetStreamRetention", stream="s", **NAMESPACE)
    await call(owner, "EventStoreService.DeleteStream", stream="s", **NAMESPACE)
    group = event_group_service_pb2.EventGroup(event_group="g")
    await call(owner, "EventGroupService.PutEventGroup", group=group, **NAMESPACE)
    await call(owner, "EventGroupService.ReplayParkedEvents", event_group="g", **NAMESPACE)
    await call(owner, "EventMoveService.ImportEvents", **NAMESPACE)
    await call(owner, "EventMoveService.ExportStreams", **NAMESPACE)
    await call(owner, "EventMoveService.ImportStreams", **NAMESPACE)
    await call(owner, "EventMoveService.ExportDeliveries", event_group="g", **NAMESPACE)
    await call(owner, "EventMoveService.ImportDeliveries", event_group="g", **NAMESPACE)
    await call(owner, "EventGroupService.DeleteEventGroup", event_group="g", **NAMESPACE)
    projection = projection_service_pb2.Projection(projection="p")
    await call(owner, "ProjectionService.PutProjection", projection=projection, **NAMESPACE)
    named = {"projection": "p", **NAMESPACE}
    await call(owner, "ProjectionService.RebuildProjection", **named)
    await call(owner, "ProjectionService.SwapProjection", generation=2, **named)
    await call(owner, "ProjectionService.DeleteProjection", **named)
    await call(owner, "RetentionService.RebuildExecutions", verify=True, **NAMESPACE)


async def move_messages(owner: Caller) -> None:
    """The messages of a queue as a move to another cell takes them."""
    queue = topology_pb2.Queue(queue="moving")
    await call(owner, "BrokerService.DeclareQueue", queue=queue, **NAMESPACE)
    service, named = "QueueMoveService", {"queue": "moving", **NAMESPACE}
    await call(owner, f"{service}.SuspendQueues", suspended=True, **NAMESPACE)
    await call(owner, f"{service}.ExportMessages", **named)
    await call(owner, f"{service}.ImportMessages", origin="o", **named)
    await call(owner, f"{service}.RemoveMessages", sequence=1, **named)
    await call(owner, f"{service}.SuspendQueues", **NAMESPACE)


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


async def change_agents(audited: Audited) -> None:
    """A spec with an agent, a policy that is changed, and the quota; secrets are in no entry."""
    owner, service = audited.closed.owner, "FleetService"
    spec = agent_pb2.AgentSpec(
        spec="sleepers",
        command=["python", "-c", "import signal; signal.pause()"],
        environment={"SECRET": "xyzzy"},
        health=agent_pb2.AGENT_HEALTH_PROCESS,
    )
    named = {"spec": "sleepers", **NAMESPACE}
    await call(owner, f"{service}.ApplyAgentSpec", **{**NAMESPACE, "spec": spec})
    first, second = (await call(owner, f"{service}.SpawnAgents", count=2, **named)).agents
    await call(owner, f"{service}.RestartAgent", agent_id=first.agent_id, **NAMESPACE)
    await call(owner, f"{service}.StopAgent", agent_id=second.agent_id, **NAMESPACE)
    await call(owner, f"{service}.ScaleAgents", replicas=0, **named)
    for most in (2, 3):
        policy = agent_pb2.ScalingPolicy(
            policy="p", spec="sleepers", strategy=agent_pb2.SCALING_STRATEGY_FIXED, max=most
        )
        await call(owner, f"{service}.ApplyScalingPolicy", policy=policy, **NAMESPACE)
    changed, made = await audited.found(2, method=f"{service}.ApplyScalingPolicy")
    assert (made.before, made.after) == ("", changed.before)
    assert changed.after not in ("", changed.before)
    await call(owner, f"{service}.DeleteScalingPolicy", policy="p", **NAMESPACE)
    quota = agent_pb2.AgentQuota(agents=9)
    await call(owner, f"{service}.SetAgentQuota", quota=quota, **NAMESPACE)
    await call(owner, f"{service}.DeleteAgentSpec", stop_agents=True, **named)
    (stored,) = await audited.found(1, method=f"{service}.ApplyAgentSpec")
    assert stored.actor == "owner@example.com"
    assert "xyzzy" not in stored.details


def catalogue(folder: Path) -> dict[str, Any]:
    """Return the settings of a suite with a catalogue of two versions of a plugin."""
    market = Market(folder)
    for version in ("1.0.0", "1.1.0"):
        market.greeter(version)
    return {**market.environment}


async def change_plugins(owner: Caller) -> None:
    """A plugin that is configured, pinned, upgraded and removed."""
    service = "PluginService"
    plugin = {"name": "greeter", "accepted": ["connect mail.example:7"], **NAMESPACE}
    host = '{"host": "mail.example"}'
    await call(owner, f"{service}.InstallPlugin", version="1.0.0", configuration=host, **plugin)
    greeting = '{"host": "mail.example", "greeting": "Welcome"}'
    await call(owner, f"{service}.ConfigurePlugin", configuration=greeting, **plugin)
    named = {"name": "greeter", **NAMESPACE}
    for pinned in (True, False):
        await call(owner, f"{service}.PinPlugin", pinned=pinned, **named)
    await call(owner, f"{service}.UpgradePlugin", **plugin)
    await call(owner, f"{service}.RemovePlugin", **named)


async def change_objectives(audited: Audited) -> None:
    """An objective that is set, set anew and deleted; computed states are no changes."""
    owner = audited.closed.owner
    source = json.dumps(workflow("watched", {"id": "a", "taskRef": "noop"})).encode()
    await call(
        owner,
        "DefinitionService.Apply",
        source=source,
        content_type="application/json",
        **NAMESPACE,
    )
    named = {"workflow_id": "watched", **NAMESPACE}
    for target in (99.0, 99.5):
        await call(owner, "ObserveService.SetSlo", target=target, **named)
    await call(owner, "ObserveService.DeleteSlo", **named)
    found = await audited.found(4, target="watched")
    # Each service has an outbox of its own, so entries of two have no order.
    applied = [each for each in found if each.method == "DefinitionService.Apply"]
    deleted, changed, made = [each for each in found if each not in applied]
    assert len(applied) == 1
    assert deleted.method == "ObserveService.DeleteSlo"
    assert changed.method == made.method == "ObserveService.SetSlo"
    assert (made.actor, made.before, changed.before) == ("owner@example.com", "", made.after)
    assert deleted.after == ""


async def change_dashboards(audited: Audited) -> None:
    """A dashboard that is saved, saved anew and deleted."""
    owner = audited.closed.owner
    panel = {"title": "Tasks", "series": [{"metric": "flowmesh_tasks_ready"}]}
    for title in ("Audited", "Audited again"):
        document = {"name": "board", "title": title, "panels": [panel]}
        source = json.dumps(document).encode()
        await call(owner, "DashboardService.PutDashboard", source=source, **NAMESPACE)
    await call(owner, "DashboardService.DeleteDashboard", name="board", **NAMESPACE)
    deleted, changed, made = await audited.found(3, target="board")
    assert deleted.method == "DashboardService.DeleteDashboard"
    assert changed.method == made.method == "DashboardService.PutDashboard"
    assert (made.actor, made.before, changed.before) == ("owner@example.com", "", made.after)
    assert (changed.before != changed.after, deleted.after) == (True, "")
