"""Composition root of the event service."""

from contextlib import AsyncExitStack

from flowmesh.access.encryption import DataKeys
from flowmesh.api.event.v1 import (
    alert_service_pb2_grpc,
    event_service_pb2_grpc,
    subscription_service_pb2_grpc,
    trigger_service_pb2_grpc,
)
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.api.history.v1 import history_service_pb2_grpc
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.audit import AuditRelay, audit_relay
from flowmesh.egress import Egress, Policy
from flowmesh.event.api.alert_server import AlertServer
from flowmesh.event.api.event_server import EventServer
from flowmesh.event.composition.notifications import sending_parts, subscription_server
from flowmesh.event.composition.triggers import trigger_parts
from flowmesh.event.delivery.deliveries import DeliveryLoop
from flowmesh.event.delivery.sender import Deliverer
from flowmesh.event.intake.buffer import IntakeBuffer, IntakeStoreLoop
from flowmesh.event.intake.intake import GapFillLoop, Intake, IntakeLoop
from flowmesh.event.intake.reports import ORCHESTRATOR, OrchestratorWatchLoop, ReportLoop
from flowmesh.event.intake.sequencer import Sequencer
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.live.fanout import Fanout
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.notifications.store import NotificationStore
from flowmesh.event.outbox.relay import add_relays
from flowmesh.event.queues import Queues
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.store import MIGRATIONS, DeliveryStore
from flowmesh.event.subscriptions.flows import Flows
from flowmesh.event.subscriptions.watch_events import NamespaceWatch
from flowmesh.event.subscriptions.watch_execution import ExecutionWatch
from flowmesh.event.triggers.published import LifecycleTriggers
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.runtime import Runtime
from flowmesh.sandbox import CpuLedger, Sandbox

SERVICE = "flowmesh.api.event.v1.EventService"
TRIGGER_SERVICE = "flowmesh.api.event.v1.TriggerService"
# CPU time per minute of the filters of one namespace, beyond what is evaluated at once.
FILTER_CPU_MS_MAX = 15_000


async def serve_events(
    runtime: Runtime, stack: AsyncExitStack, keys: DataKeys, queues: Queues
) -> ExecutionWatch:
    """Serve event streams, triggers and callbacks until the stack is closed."""
    pool = await stack.enter_async_context(runtime.database("event", MIGRATIONS))
    relay = audit_relay(runtime, pool)
    policy = Policy.named(runtime.settings.egress, runtime.settings.egress_networks)
    egress = await stack.enter_async_context(Egress(policy))
    sandbox = await stack.enter_async_context(_sandbox(runtime))
    store = DeliveryStore(pool, keys=keys)
    metrics = EventMetrics(runtime.metrics)
    parts = _Parts(runtime, metrics, relay, keys)
    deliveries = parts.deliveries(store, egress)
    sending = await sending_parts(
        runtime,
        NotificationStore(pool, call=relay.call, keys=keys),
        metrics,
        egress,
        queues,
        sandbox,
    )
    published = TriggerStore(pool, call=relay.call, keys=keys)
    triggers = await trigger_parts(
        runtime,
        published,
        pool,
        keys,
        metrics,
        queues,
        sending.subscriptions,
        sending.alerts.stored,
        sandbox,
    )
    intake = await parts.intake(store, deliveries, triggers.lifecycle)
    executions = parts.watch()
    watch = parts.namespaces(intake)
    server = EventServer(executions=executions, namespaces=watch, store=store)
    subscriptions = subscription_server(
        runtime, sending, published, intake, parts.stream, watch, queues
    )
    alerts = AlertServer(
        publisher=triggers.publisher,
        store=store,
        deliveries=deliveries,
        url=runtime.settings.alert_webhook,
        secret=runtime.settings.alert_webhook_secret,
        log=runtime.log,
    )
    runtime.serve(server, event_service_pb2_grpc.add_EventServiceServicer_to_server, SERVICE)
    runtime.serve(
        triggers.server,
        trigger_service_pb2_grpc.add_TriggerServiceServicer_to_server,
        TRIGGER_SERVICE,
    )
    runtime.serve(
        subscriptions, subscription_service_pb2_grpc.add_SubscriptionServiceServicer_to_server
    )
    runtime.serve(alerts, alert_service_pb2_grpc.add_AlertServiceServicer_to_server)
    add_relays(runtime, stack)
    return executions


def _sandbox(runtime: Runtime) -> Sandbox:
    """Return the processes that evaluate filters which may take long."""
    monotonic_ms = runtime.clock.monotonic_ms
    return Sandbox(
        cpu=CpuLedger(
            execution_ms_max=0, namespace_ms_max=FILTER_CPU_MS_MAX, monotonic_ms=monotonic_ms
        )
    )


class _Parts:
    """Factory of the parts of the service; adds their loops to the runtime."""

    def __init__(
        self, runtime: Runtime, metrics: EventMetrics, relay: AuditRelay, keys: DataKeys
    ) -> None:
        self._runtime = runtime
        self._relay = relay
        self._metrics = metrics
        self.stream = EventStream(bus=runtime.bus, prefix=runtime.settings.bus_prefix, keys=keys)
        self._fanout = Fanout(clock=runtime.clock, metrics=metrics, log=runtime.log)
        self._executions = runtime.stub(
            execution_service_pb2_grpc.ExecutionServiceStub, ORCHESTRATOR
        )
        self._flows = Flows(executions=self._executions)

    def deliveries(self, store: DeliveryStore, egress: Egress) -> DeliveryLoop:
        clock = self._runtime.clock
        loop = DeliveryLoop(
            store=store,
            deliverer=Deliverer(
                egress=egress,
                executions=self._executions,
                secrets=EventSecrets(self._runtime.stub(SecretServiceStub, "identity")),
                clock=clock,
            ),
            clock=clock,
            metrics=self._metrics,
            log=self._runtime.log,
        )
        self._runtime.add_loop(loop)
        self._runtime.on_drain(loop.drain)
        return loop

    async def intake(
        self, store: DeliveryStore, deliveries: DeliveryLoop, lifecycle: LifecycleTriggers
    ) -> Intake:
        runtime, metrics = self._runtime, self._metrics
        positions = await store.positions()
        buffer = IntakeBuffer(
            store=store,
            stream=self.stream.name,
            place=await store.place(self.stream.name),
            positions=positions,
            metrics=metrics,
            log=runtime.log,
            on_callbacks=deliveries.notify,
            lifecycle=lifecycle,
            on_audited=self._relay.notice if runtime.keys is not None else None,
        )
        intake = Intake(
            stream=self.stream,
            sequencer=Sequencer(positions),
            fanout=self._fanout,
            buffer=buffer,
            metrics=metrics,
            log=runtime.log,
        )
        outbox = runtime.stub(history_service_pb2_grpc.OutboxServiceStub, ORCHESTRATOR)
        orchestrators = OrchestratorWatchLoop(runtime)
        runtime.add_loop(IntakeStoreLoop(buffer=buffer, store=store, clock=runtime.clock))
        runtime.add_loop(GapFillLoop(intake=intake, outbox=outbox))
        runtime.add_loop(orchestrators)
        runtime.add_loop(ReportLoop(buffer=buffer, outboxes=orchestrators.outboxes))
        runtime.add_loop(IntakeLoop(intake))
        runtime.bus.on_reconnect(self.stream.ensure)
        return intake

    def namespaces(self, intake: Intake) -> NamespaceWatch:
        """Return the events of namespaces, for streams and for durable subscriptions."""
        return NamespaceWatch(
            fanout=self._fanout,
            intake=intake,
            stream=self.stream,
            flows=self._flows,
            metrics=self._metrics,
        )

    def watch(self) -> ExecutionWatch:
        return ExecutionWatch(
            fanout=self._fanout,
            history=self._runtime.stub(history_service_pb2_grpc.HistoryServiceStub, ORCHESTRATOR),
            executions=self._executions,
            flows=self._flows,
            metrics=self._metrics,
        )
