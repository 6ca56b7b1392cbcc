"""Composition of the durable subscriptions of the event service, with their loops."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.egress import Egress
from flowmesh.event.api.subscription_server import SubscriptionServer
from flowmesh.event.intake.intake import Intake
from flowmesh.event.intake.reports import ORCHESTRATOR
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.notifications.alerts import Alerts, MetricLoop, Metrics
from flowmesh.event.notifications.compiled import SubscriptionCache
from flowmesh.event.notifications.feed import Feed, FeedLoop
from flowmesh.event.notifications.loops import NotificationLoop
from flowmesh.event.notifications.sealing import SigningSecrets
from flowmesh.event.notifications.sending import NotificationSender
from flowmesh.event.notifications.starts import Starts
from flowmesh.event.notifications.store import NotificationStore
from flowmesh.event.queues import Queues
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.subscriptions.watch_events import NamespaceWatch
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.runtime import Runtime
from flowmesh.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Sending:
    """The parts that send notifications; publications of events use them as well."""

    subscriptions: SubscriptionCache
    sender: NotificationSender
    loop: NotificationLoop
    store: NotificationStore
    alerts: Alerts
    signing: SigningSecrets


async def sending_parts(
    runtime: Runtime,
    store: NotificationStore,
    metrics: EventMetrics,
    egress: Egress,
    queues: Queues,
    sandbox: Sandbox,
) -> Sending:
    """Create the parts that send notifications, and add their loop to the runtime."""
    signing = SigningSecrets(runtime.keys.subscriptions if runtime.keys else None)
    await signing.seal_plain(store)
    subscriptions = SubscriptionCache(sandbox)
    sender = NotificationSender(
        egress=egress,
        queues=queues,
        event_secrets=EventSecrets(runtime.stub(SecretServiceStub, "identity")),
        signing=signing,
        subscriptions=subscriptions,
        clock=runtime.clock,
    )
    loop = NotificationLoop(
        store=store, sender=sender, clock=runtime.clock, metrics=metrics, log=runtime.log
    )
    runtime.add_loop(loop)
    runtime.on_drain(loop.drain)
    alerts = Alerts(store=store, on_notifications=loop.notify)
    return Sending(subscriptions, sender, loop, store, alerts, signing)


def subscription_server(
    runtime: Runtime,
    sending: Sending,
    published: TriggerStore,
    intake: Intake,
    stream: EventStream,
    watch: NamespaceWatch,
    queues: Queues,
) -> SubscriptionServer:
    """Create the server, and add the loops of feeds and metrics to the runtime."""
    feeder = f"event-{uuid.uuid4().hex}"
    notify: Callable[[], None] = sending.loop.notify
    feeds = FeedLoop(
        store=sending.store,
        feed=Feed(
            store=sending.store,
            published=published,
            watch=watch,
            stream=stream,
            alerts=sending.alerts,
            feeder=feeder,
        ),
        subscriptions=sending.subscriptions,
        feeder=feeder,
        log=runtime.log,
    )
    values = Metrics(searches=runtime.stub(SearchServiceStub, ORCHESTRATOR), queues=queues)
    rules = MetricLoop(
        store=sending.store,
        subscriptions=sending.subscriptions,
        alerts=sending.alerts,
        measure=values.value,
        feeder=feeder,
        on_notifications=notify,
        log=runtime.log,
    )
    runtime.add_loop(feeds)
    runtime.add_loop(rules)
    runtime.on_drain(feeds.drain)
    return SubscriptionServer(
        store=sending.store,
        starts=Starts(intake=intake, stream=stream, watch=watch),
        sender=sending.sender,
        signing=sending.signing,
        on_change=feeds.wake,
        on_notifications=notify,
        clock=runtime.clock,
    )
