"""Composition of the triggers part of the event service, with its loops."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.access.encryption import DataKeys
from flowmesh.api.definition.v1.trigger_catalog_service_pb2_grpc import TriggerCatalogServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.execution.v1.receiver_service_pb2_grpc import ReceiverServiceStub
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.bus import confirm
from flowmesh.event.api.trigger_server import TriggerServer
from flowmesh.event.composition.changes import change_parts
from flowmesh.event.intake.reports import ORCHESTRATOR
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.notifications.compiled import CompiledSubscription, SubscriptionCache
from flowmesh.event.publishing import Publisher
from flowmesh.event.queues import Queues
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.triggers.catalog import DEFINITION, InstanceWatchLoop, TriggerSyncLoop
from flowmesh.event.triggers.causes import Causes
from flowmesh.event.triggers.firing import FiringLoop
from flowmesh.event.triggers.listeners import ListenerLoop
from flowmesh.event.triggers.maintenance import TriggerMaintenanceLoop
from flowmesh.event.triggers.messages import MessageTriggerLoop
from flowmesh.event.triggers.published import LifecycleTriggers, TriggerCache
from flowmesh.event.triggers.rights import Rights
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.event.triggers.webhooks import Hooks
from flowmesh.runtime import Runtime
from flowmesh.runtime.access import ProcessAccess
from flowmesh.sandbox import Sandbox

if TYPE_CHECKING:
    import asyncpg

EVENT = "event"


@dataclass(frozen=True, slots=True)
class Triggers:
    """The components that other parts of the service use."""

    lifecycle: LifecycleTriggers
    publisher: Publisher
    server: TriggerServer


async def trigger_parts(
    runtime: Runtime,
    store: TriggerStore,
    pool: "asyncpg.Pool[asyncpg.Record]",
    keys: DataKeys,
    metrics: EventMetrics,
    queues: Queues,
    subscriptions: SubscriptionCache,
    on_notifications: Callable[[Sequence[CompiledSubscription]], Awaitable[None]],
    sandbox: Sandbox,
) -> Triggers:
    """Create the components. Events from now on are not missed."""
    executions = runtime.stub(ExecutionServiceStub, ORCHESTRATOR)
    firing = FiringLoop(
        store=store,
        executions=executions,
        rights=_rights(runtime, store),
        metrics=metrics,
        log=runtime.log,
    )
    trigger_cache = TriggerCache(sandbox)
    lifecycle = LifecycleTriggers(
        store=store, trigger_cache=trigger_cache, on_firing=firing.notify, log=runtime.log
    )
    await lifecycle.load()
    messages = _messages(runtime, store, firing, queues, sandbox)
    changes = change_parts(runtime, pool, keys=keys, on_firing=firing.notify, sandbox=sandbox)

    async def follow_triggers() -> None:
        await messages.run_once()
        changes.loop.wake()

    listeners = ListenerLoop(store=store, receivers=runtime.stub(ReceiverServiceStub, ORCHESTRATOR))
    maintenance = TriggerMaintenanceLoop(
        store=store,
        lifecycle=lifecycle,
        firing=firing,
        listeners=listeners,
        on_change=follow_triggers,
        clock=runtime.clock,
    )
    catalog = await _catalog(runtime, store, maintenance)
    for loop in (firing, listeners, maintenance, catalog):
        runtime.add_loop(loop)
    runtime.add_loop(InstanceWatchLoop(runtime, DEFINITION, catalog.request_full_sync))
    runtime.add_loop(InstanceWatchLoop(runtime, EVENT, maintenance.changed))
    runtime.on_drain(firing.drain)
    publisher = Publisher(
        store=store,
        trigger_cache=trigger_cache,
        settled=catalog.settled,
        new_id=_new_id,
        on_firing=firing.notify,
        on_published=listeners.notify,
        subscriptions=subscriptions,
        on_notifications=on_notifications,
    )
    server = TriggerServer(
        store=store,
        publisher=publisher,
        hooks=await _hooks(runtime, store, firing, catalog),
        causes=Causes(store=store, trigger_cache=trigger_cache),
        changes=changes.store,
        settled=catalog.settled,
        on_change=maintenance.changed,
        executions=executions,
    )
    return Triggers(lifecycle, publisher, server)


async def _catalog(
    runtime: Runtime, store: TriggerStore, maintenance: TriggerMaintenanceLoop
) -> TriggerSyncLoop:
    """Return the synchronization with the definitions; announcements from now on are heard."""
    catalog = TriggerSyncLoop(
        store=store,
        definitions=runtime.stub(TriggerCatalogServiceStub, DEFINITION),
        refresh=maintenance.refresh,
        confirm=lambda announcement: confirm(runtime.bus, announcement, runtime.instance_id),
    )
    subject = f"{runtime.settings.bus_prefix}.definitions.changed"
    await runtime.bus.subscribe_core(subject, catalog.on_change_message)
    runtime.bus.on_reconnect(catalog.on_reconnect)
    return catalog


async def _hooks(
    runtime: Runtime, store: TriggerStore, firing: FiringLoop, catalog: TriggerSyncLoop
) -> Hooks:
    """Return the receiver of webhook calls."""
    return Hooks(
        store=store,
        firing=firing,
        settled=catalog.settled,
        executions=runtime.stub(ExecutionServiceStub, ORCHESTRATOR),
        receivers=runtime.stub(ReceiverServiceStub, ORCHESTRATOR),
        secrets=EventSecrets(runtime.stub(SecretServiceStub, "identity")),
        clock=runtime.clock,
        new_id=_new_id,
        key=await store.hook_key(),
    )


def _messages(
    runtime: Runtime, store: TriggerStore, firing: FiringLoop, queues: Queues, sandbox: Sandbox
) -> MessageTriggerLoop:
    """Return the loop of queue triggers, which drains before the firings."""
    loop = MessageTriggerLoop(
        store=store,
        firing=firing,
        queues=queues,
        clock=runtime.clock,
        log=runtime.log,
        sandbox=sandbox,
    )
    queues.on_change(loop.wake)
    runtime.add_loop(loop)
    runtime.on_drain(loop.drain)
    return loop


def _rights(runtime: Runtime, store: TriggerStore) -> Rights | None:
    """Return the check of starts; None in an open installation."""
    access = runtime.access
    if not isinstance(access, ProcessAccess):
        return None
    return Rights(store=store, principal=access.offline)


def _new_id() -> str:
    return uuid.uuid4().hex
