"""Composes what the event service does for triggers, and adds its loops."""

import asyncio
import uuid
from dataclasses import dataclass

from flowmesh.api.definition.v1.trigger_catalog_service_pb2_grpc import TriggerCatalogServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.execution.v1.receiver_service_pb2_grpc import ReceiverServiceStub
from flowmesh.event.intake.reports import ORCHESTRATOR
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.triggers.catalog import DEFINITION, Catalog, Neighbours
from flowmesh.event.triggers.causes import Causes
from flowmesh.event.triggers.firing import FiringLoop
from flowmesh.event.triggers.listeners import ListenerLoop
from flowmesh.event.triggers.published import Armory, Lifecycle, Publisher
from flowmesh.event.triggers.server import TriggerServer
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.event.triggers.webhooks import Hooks
from flowmesh.runtime import Clock, Loop, Runtime

EVENT = "event"
FORGET_EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Triggers:
    """What the rest of the service needs of it."""

    lifecycle: Lifecycle
    publisher: Publisher
    server: TriggerServer


class Upkeep(Loop):
    """Reads anew what this process keeps of triggers, and deletes what is past its time."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: TriggerStore,
        lifecycle: Lifecycle,
        firing: FiringLoop,
        listeners: ListenerLoop,
        clock: Clock,
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._firing = firing
        self._listeners = listeners
        self._clock = clock
        self._forget_at_ms = clock.monotonic_ms() + FORGET_EVERY_S * 1_000
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Triggers are others now, or somebody who fired them is gone."""
        self._changed.set()

    async def run_once(self) -> None:
        """Waits for a change or an hour, and looks at everything that may be another now."""
        left_ms = self._forget_at_ms - self._clock.monotonic_ms()
        try:
            async with asyncio.timeout(max(0.0, left_ms / 1_000)):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        try:
            await self._lifecycle.load()
        except BaseException:
            self._changed.set()
            raise
        self._firing.look()
        self._listeners.look()
        if self._clock.monotonic_ms() >= self._forget_at_ms:
            self._forget_at_ms = self._clock.monotonic_ms() + FORGET_EVERY_S * 1_000
            await self._store.forget()


async def trigger_parts(runtime: Runtime, store: TriggerStore, metrics: EventMetrics) -> Triggers:
    """Makes the parts; what fires from now on is not missed."""
    executions = runtime.stub(ExecutionServiceStub, ORCHESTRATOR)
    firing = FiringLoop(store=store, executions=executions, metrics=metrics, log=runtime.log)
    armory = Armory()
    lifecycle = Lifecycle(store=store, armory=armory, on_firing=firing.look, log=runtime.log)
    await lifecycle.load()
    receivers = runtime.stub(ReceiverServiceStub, ORCHESTRATOR)
    listeners = ListenerLoop(store=store, receivers=receivers)
    upkeep = Upkeep(
        store=store,
        lifecycle=lifecycle,
        firing=firing,
        listeners=listeners,
        clock=runtime.clock,
    )
    catalog = Catalog(
        store=store,
        definitions=runtime.stub(TriggerCatalogServiceStub, DEFINITION),
        on_change=upkeep.changed,
    )
    prefix = runtime.settings.bus_prefix
    await runtime.bus.subscribe_core(f"{prefix}.definitions.changed", catalog.hear)
    runtime.bus.on_reconnect(catalog.ask_for_all)
    for loop in (
        firing,
        listeners,
        upkeep,
        catalog,
        Neighbours(runtime, DEFINITION, catalog.want_all),
        Neighbours(runtime, EVENT, upkeep.changed),
    ):
        runtime.add_loop(loop)
    runtime.on_drain(firing.drain)
    hooks = Hooks(
        store=store,
        firing=firing,
        executions=executions,
        receivers=receivers,
        clock=runtime.clock,
        new_id=_new_id,
        key=await store.hook_key(),
    )
    publisher = Publisher(
        store=store,
        armory=armory,
        new_id=_new_id,
        on_firing=firing.look,
        on_published=listeners.look,
    )
    server = TriggerServer(
        store=store,
        firing=firing,
        publisher=publisher,
        hooks=hooks,
        causes=Causes(store=store, armory=armory),
        executions=executions,
    )
    return Triggers(lifecycle, publisher, server)


def _new_id() -> str:
    return uuid.uuid4().hex
