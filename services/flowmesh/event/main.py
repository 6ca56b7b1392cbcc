"""Composition root of the event service."""

from contextlib import AsyncExitStack
from typing import Any

from flowmesh.api.broker.v1 import broker_service_pb2_grpc, message_service_pb2_grpc
from flowmesh.api.event.v1 import (
    alert_service_pb2_grpc,
    event_service_pb2_grpc,
    subscription_service_pb2_grpc,
    trigger_service_pb2_grpc,
)
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.api.history.v1 import history_service_pb2_grpc
from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.audit import AuditOutbox, AuditRelay
from flowmesh.egress import Egress, Policy
from flowmesh.event.broker.composition import broker_parts
from flowmesh.event.broker.store import MIGRATIONS as TOPOLOGY
from flowmesh.event.broker.store import SCHEMA, TopologyStore
from flowmesh.event.delivery.deliveries import DeliveryLoop
from flowmesh.event.delivery.sender import Deliverer
from flowmesh.event.eventstore.composition import serve_event_store
from flowmesh.event.eventstore.store import MIGRATIONS as EVENT_STREAMS
from flowmesh.event.eventstore.store import SCHEMA as EVENT_STORE
from flowmesh.event.intake.buffer import IntakeBuffer, IntakeStoreLoop
from flowmesh.event.intake.intake import GapFillLoop, Intake, IntakeLoop
from flowmesh.event.intake.reports import ORCHESTRATOR, OrchestratorWatchLoop, ReportLoop
from flowmesh.event.intake.sequencer import Sequencer
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.notifications.composition import sending_parts, subscription_server
from flowmesh.event.notifications.store import NotificationStore
from flowmesh.event.outbox.relay import add_relays
from flowmesh.event.secrets import EventSecrets
from flowmesh.event.server import EventServer
from flowmesh.event.store import MIGRATIONS, EventStore
from flowmesh.event.subscriptions.fanout import Fanout
from flowmesh.event.subscriptions.flows import Flows
from flowmesh.event.subscriptions.watch_events import NamespaceWatch
from flowmesh.event.subscriptions.watch_execution import ExecutionWatch
from flowmesh.event.triggers.alerts import AlertServer
from flowmesh.event.triggers.composition import trigger_parts
from flowmesh.event.triggers.published import LifecycleTriggers
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.runtime import Runtime
from flowmesh.sandbox import CpuLedger, Sandbox

SERVICE = "flowmesh.api.event.v1.EventService"
TRIGGER_SERVICE = "flowmesh.api.event.v1.TriggerService"
TOPOLOGY_CONNECTIONS = 4
EVENT_STORE_CONNECTIONS = 6
# CPU time per minute of the filters of one namespace, beyond what is evaluated at once.
FILTER_CPU_MS_MAX = 15_000


async def run(runtime: Runtime) -> None:
    """Serve event streams, triggers and callbacks until the process drains."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(runtime.database("event", MIGRATIONS))
        topology = await stack.enter_async_context(
            runtime.database(SCHEMA, TOPOLOGY, pool_max=TOPOLOGY_CONNECTIONS)
        )
        streams = await stack.enter_async_context(
            runtime.database(EVENT_STORE, EVENT_STREAMS, pool_max=EVENT_STORE_CONNECTIONS)
        )
        relay, broker_relay = _relay(runtime, pool), _relay(runtime, topology)
        policy = Policy.named(runtime.settings.egress, runtime.settings.egress_networks)
        egress = await stack.enter_async_context(Egress(policy))
        sandbox = await stack.enter_async_context(_sandbox(runtime))
        store = EventStore(pool)
        metrics = EventMetrics(runtime.metrics)
        parts = _Parts(runtime, metrics, relay)
        deliveries = parts.deliveries(store, egress)
        broker = await broker_parts(runtime, TopologyStore(topology, call=broker_relay.call))
        sending = await sending_parts(
            runtime, NotificationStore(pool, call=relay.call), metrics, egress, broker, sandbox
        )
        published = TriggerStore(pool, call=relay.call)
        triggers = await trigger_parts(
            runtime,
            published,
            pool,
            metrics,
            broker,
            sending.subscriptions,
            sending.alerts.stored,
            sandbox,
        )
        intake = await parts.intake(store, deliveries, triggers.lifecycle)
        executions = parts.watch()
        watch = parts.namespaces(intake)
        server = EventServer(executions=executions, namespaces=watch, store=store)
        await serve_event_store(runtime, streams, _relay(runtime, streams), executions)
        subscriptions = subscription_server(
            runtime, sending, published, intake, parts.stream, watch, broker
        )
        runtime.serve(server, event_service_pb2_grpc.add_EventServiceServicer_to_server, SERVICE)
        runtime.serve(
            triggers.server,
            trigger_service_pb2_grpc.add_TriggerServiceServicer_to_server,
            TRIGGER_SERVICE,
        )
        runtime.serve(
            subscriptions,
            subscription_service_pb2_grpc.add_SubscriptionServiceServicer_to_server,
        )
        alerts = AlertServer(
            publisher=triggers.publisher,
            store=store,
            deliveries=deliveries,
            url=runtime.settings.alert_webhook,
            secret=runtime.settings.alert_webhook_secret,
            log=runtime.log,
        )
        runtime.serve(alerts, alert_service_pb2_grpc.add_AlertServiceServicer_to_server)
        runtime.serve(broker.broker, broker_service_pb2_grpc.add_BrokerServiceServicer_to_server)
        runtime.serve(
            broker.messages, message_service_pb2_grpc.add_MessageServiceServicer_to_server
        )
        add_relays(runtime, stack)
        await runtime.until_stopped()


def _sandbox(runtime: Runtime) -> Sandbox:
    """Return the processes that evaluate filters which may take long."""
    monotonic_ms = runtime.clock.monotonic_ms
    return Sandbox(
        cpu=CpuLedger(
            execution_ms_max=0, namespace_ms_max=FILTER_CPU_MS_MAX, monotonic_ms=monotonic_ms
        )
    )


def _relay(runtime: Runtime, pool: Any) -> AuditRelay:
    """Send the audited changes of a schema to the audit log."""
    relay = AuditRelay(outbox=AuditOutbox(pool), audit=runtime.stub(AuditServiceStub, "identity"))
    runtime.add_loop(relay)
    return relay


class _Parts:
    """Factory of the parts of the service; adds their loops to the runtime."""

    def __init__(self, runtime: Runtime, metrics: EventMetrics, relay: AuditRelay) -> None:
        self._runtime = runtime
        self._relay = relay
        self._metrics = metrics
        self.stream = EventStream(bus=runtime.bus, prefix=runtime.settings.bus_prefix)
        self._fanout = Fanout(clock=runtime.clock, metrics=metrics, log=runtime.log)
        self._executions = runtime.stub(
            execution_service_pb2_grpc.ExecutionServiceStub, ORCHESTRATOR
        )
        self._flows = Flows(executions=self._executions)

    def deliveries(self, store: EventStore, egress: Egress) -> DeliveryLoop:
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
        self, store: EventStore, deliveries: DeliveryLoop, lifecycle: LifecycleTriggers
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
