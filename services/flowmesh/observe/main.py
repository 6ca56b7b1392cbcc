"""Composition root of the observe service, which the suite runs in the process `event`."""

from contextlib import AsyncExitStack
from typing import Final

from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.event.v1.alert_service_pb2_grpc import AlertServiceStub
from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceStub
from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceStub
from flowmesh.api.observe.v1 import dashboard_service_pb2_grpc, observe_service_pb2_grpc
from flowmesh.audit import audit_relay
from flowmesh.observe.dashboard_server import DashboardServer
from flowmesh.observe.dashboard_store import DashboardStore
from flowmesh.observe.keeping import Keeping
from flowmesh.observe.loops import KeepingLoop
from flowmesh.observe.objective_store import ObjectiveStore
from flowmesh.observe.objectives import ObjectiveLoop
from flowmesh.observe.questions.questions import questions_of
from flowmesh.observe.server import ObserveServer
from flowmesh.observe.slos import Slos
from flowmesh.observe.spans import Requests
from flowmesh.observe.store import MIGRATIONS, SCHEMA, Retention, SignalStore
from flowmesh.runtime import Runtime

CONNECTIONS: Final = 3
MIB: Final = 1024 * 1024


async def serve_observe(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Serve what is kept until the stack is closed; readers are served although nothing is kept."""
    pool = await stack.enter_async_context(
        runtime.database(SCHEMA, MIGRATIONS, pool_max=CONNECTIONS)
    )
    store = SignalStore(pool)
    settings, now_us = runtime.settings, runtime.clock.now_us
    retention = Retention(
        days=settings.observe_days,
        months=settings.observe_months,
        logs_days=settings.observe_logs_days,
        bytes_max=settings.observe_mib_max * MIB,
    )
    runtime.add_loop(KeepingLoop(store=store, retention=retention, now_us=now_us))
    slos = Slos(
        searches=runtime.stub(SearchServiceStub, "orchestrator"),
        definitions=runtime.stub(DefinitionServiceStub, "definition"),
    )
    relay = audit_relay(runtime, pool)
    objectives = ObjectiveStore(pool, call=relay.call)
    runtime.add_loop(
        ObjectiveLoop(
            store=objectives,
            slos=slos,
            alerts=runtime.stub(AlertServiceStub, "event"),
            metrics=runtime.metrics,
            now_us=now_us,
            log=runtime.log,
        )
    )
    runtime.serve(
        ObserveServer(
            store=store,
            keeping=Keeping(now_us=now_us, log=runtime.log),
            slos=slos,
            objectives=objectives,
            requests=Requests(
                store=store,
                histories=runtime.stub(HistoryServiceStub, "orchestrator"),
                insights=runtime.stub(InsightServiceStub, "orchestrator"),
            ),
            questions=questions_of(runtime, store),
            now_us=now_us,
        ),
        observe_service_pb2_grpc.add_ObserveServiceServicer_to_server,
    )
    runtime.serve(
        DashboardServer(store=DashboardStore(pool, call=relay.call), now_us=now_us),
        dashboard_service_pb2_grpc.add_DashboardServiceServicer_to_server,
    )
