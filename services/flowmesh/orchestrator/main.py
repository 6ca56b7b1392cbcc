"""Composition root of the orchestrator."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from flowmesh import policies
from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.api.event.v1 import alert_service_pb2_grpc
from flowmesh.api.execution.v1 import bulk_service_pb2_grpc as bulk_grpc
from flowmesh.api.execution.v1 import control_service_pb2_grpc as control_grpc
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as limits_grpc
from flowmesh.api.execution.v1 import receiver_service_pb2_grpc
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as retention_grpc
from flowmesh.api.execution.v1 import search_service_pb2_grpc as search_grpc
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_grpc
from flowmesh.api.history.v1 import insight_service_pb2_grpc as insight_grpc
from flowmesh.api.registry.v1.registry_service_pb2 import (
    INSTANCE_STATUS_HEALTHY,
    ListInstancesRequest,
)
from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from flowmesh.api.worker.v1 import dispatch_service_pb2_grpc
from flowmesh.bus import Message
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.api.bulk_server import BulkServer
from flowmesh.orchestrator.api.control_server import ControlServer
from flowmesh.orchestrator.api.dispatch_server import DispatchServer
from flowmesh.orchestrator.api.execution_server import (
    ExecutionServer,
    HistoryServer,
    OutboxServer,
    PartitionServer,
    PayloadServer,
)
from flowmesh.orchestrator.api.insight_server import InsightServer
from flowmesh.orchestrator.api.limit_server import LimitServer, PermitServer
from flowmesh.orchestrator.api.retention_server import RetentionServer
from flowmesh.orchestrator.api.search_server import SearchServer
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.insight.insights import Insights
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.operations.approval_links import Links
from flowmesh.orchestrator.operations.bulk_actions import Calls
from flowmesh.orchestrator.operations.bulks import Bulks
from flowmesh.orchestrator.operations.control import Control
from flowmesh.orchestrator.operations.dead_letters import DeadLetters
from flowmesh.orchestrator.operations.event_listeners import Listeners
from flowmesh.orchestrator.operations.executions import Executions
from flowmesh.orchestrator.operations.limit_operations import Limits
from flowmesh.orchestrator.operations.link_keys import LinkKeys
from flowmesh.orchestrator.operations.slowdowns import SlowdownLoop
from flowmesh.orchestrator.operations.webhook_receivers import ReceiverServer
from flowmesh.orchestrator.owner import Orchestrator
from flowmesh.orchestrator.ownership.ownership import ClaimTimer, LeaseLoop
from flowmesh.orchestrator.retention.deletion import Deleting
from flowmesh.orchestrator.retention.erasure import Erasing
from flowmesh.orchestrator.retention.housekeeping import HousekeepingLoop
from flowmesh.orchestrator.search.listing import Listing
from flowmesh.orchestrator.search.searches import Searches
from flowmesh.orchestrator.storage.archive import Archive
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.histories import Histories
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.runtime import Runtime

RESTART_PAUSE_S = 1.0


async def run(runtime: Runtime) -> None:
    """Serves executions, payloads, histories, the outbox and dispatch."""
    async with AsyncExitStack() as stack:
        migrations = files("flowmesh.orchestrator.storage.migrations")
        pool = await stack.enter_async_context(runtime.database("orchestrator", migrations))
        metrics = OrchestratorMetrics(runtime.metrics, runtime.settings.metrics_workflows)
        finished = FinishedStates(
            cache=runtime.cache,
            prefix=runtime.settings.bus_prefix,
            seconds=runtime.settings.finished_seconds,
            metrics=runtime.metrics,
            monotonic_ms=runtime.clock.monotonic_ms,
        )
        core = _core(runtime, OrchestratorStore(pool), metrics, finished)
        executions, housekeeping = _serve(runtime, core, metrics, finished)
        stack.push_async_callback(executions.close)
        await _listen(runtime, core)
        await core.begin()
        stack.push_async_callback(core.end)
        claims = ClaimTimer(core.ownership, runtime.clock)
        for run_it in (core.committer.run, core.publisher.run, core.timers.run, claims.run):
            task = asyncio.create_task(_kept_up(run_it, runtime.log))
            stack.push_async_callback(_stop, task)
        runtime.add_loop(LeaseLoop(core.ownership, core.lease_expired))
        runtime.add_loop(housekeeping)
        if runtime.settings.alert_slowdown:
            runtime.add_loop(
                SlowdownLoop(
                    stats=core.stats,
                    factor=runtime.settings.alert_slowdown,
                    alerts=runtime.stub(alert_service_pb2_grpc.AlertServiceStub, "event"),
                    now_us=core.ownership.now_us,
                    metrics=metrics,
                    log=runtime.log,
                )
            )
        runtime.on_drain(core.ownership.drain)
        await runtime.until_stopped()


def _core(
    runtime: Runtime,
    store: OrchestratorStore,
    metrics: OrchestratorMetrics,
    finished: FinishedStates,
) -> Orchestrator:
    definitions = runtime.stub(definition_service_pb2_grpc.DefinitionServiceStub, "definition")
    settings = runtime.settings

    def publisher(outbox: Outbox) -> Publisher:
        return Publisher(
            bus=runtime.bus, outbox=outbox, prefix=settings.bus_prefix, log=runtime.log
        )

    return Orchestrator(
        store=store,
        plans=PlanCache(definitions=definitions, clock=runtime.clock),
        payloads=Payloads(store=store),
        clock=runtime.clock,
        log=runtime.log,
        address=runtime.address,
        data_dir_id=settings.data_dir_id,
        metrics=metrics,
        spans=runtime.spans,
        publisher=publisher,
        ids=ExecutionIds(secrets.randbits(25)),
        draw=random.random,
        partition_stub=lambda address: runtime.stub_at(
            execution_grpc.PartitionServiceStub, address
        ),
        permit_stub=lambda address: runtime.stub_at(limits_grpc.PermitServiceStub, address),
        finished=finished,
        policy=policies.load(settings.policy) if settings.policy else None,
        log_transitions=settings.log_transitions,
    )


def _serve(
    runtime: Runtime, core: Orchestrator, metrics: OrchestratorMetrics, finished: FinishedStates
) -> tuple[Executions, HousekeepingLoop]:
    executions = Executions(
        core=core,
        stub_at=lambda address: runtime.stub_at(execution_grpc.ExecutionServiceStub, address),
    )
    dispatch = DispatchServer(
        dispatcher=core.dispatcher, ownership=core.ownership, spawn=core.spawn
    )
    searches = Searches(pool=core.store.pool, now_us=core.ownership.now_us)
    listing = Listing(searches=searches, states=core.states, state_of=executions.state)
    folder = runtime.settings.archive_dir
    archive = Archive(Path(folder)) if folder else None
    archiving = Archiving(store=core.store, plans=core.plans, archive=archive)
    runtime.serve(
        ExecutionServer(executions=executions, listing=listing, archiving=archiving, core=core),
        execution_grpc.add_ExecutionServiceServicer_to_server,
    )
    control = _serve_control(runtime, core, executions)
    _serve_searches(runtime, core, Calls(executions, control), searches)
    runtime.serve(PayloadServer(core=core), execution_grpc.add_PayloadServiceServicer_to_server)
    runtime.serve(
        PartitionServer(core=core, executions=executions),
        execution_grpc.add_PartitionServiceServicer_to_server,
    )
    runtime.serve(
        HistoryServer(histories=Histories(store=core.store), archiving=archiving),
        history_grpc.add_HistoryServiceServicer_to_server,
    )
    _serve_insights(runtime, core, executions, archiving)
    runtime.serve(
        ReceiverServer(
            executions=executions,
            listeners=Listeners(executions=executions, payloads=core.payloads, store=core.store),
        ),
        receiver_service_pb2_grpc.add_ReceiverServiceServicer_to_server,
    )
    runtime.serve(OutboxServer(core=core), history_grpc.add_OutboxServiceServicer_to_server)
    limits = Limits(
        core=core,
        stub_at=lambda at: runtime.stub_at(limits_grpc.LimitServiceStub, at),
        permit_stub=lambda at: runtime.stub_at(limits_grpc.PermitServiceStub, at),
    )
    runtime.serve(
        LimitServer(
            limits=limits,
            dead_letters=DeadLetters(listing=listing, states=core.states),
        ),
        limits_grpc.add_LimitServiceServicer_to_server,
    )
    runtime.serve(PermitServer(core=core), limits_grpc.add_PermitServiceServicer_to_server)
    runtime.serve(dispatch, dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server)
    retention = _serve_retention(runtime, core, executions, archiving, metrics, finished)
    return executions, retention


def _serve_control(runtime: Runtime, core: Orchestrator, executions: Executions) -> Control:
    """What people do to running executions."""
    control = Control(
        core=core,
        executions=executions,
        stub_at=lambda address: runtime.stub_at(control_grpc.ControlServiceStub, address),
    )
    links = Links(
        keys=LinkKeys(store=core.store, new_secret=secrets.token_bytes),
        executions=executions,
        control=control,
        now_us=core.ownership.now_us,
        base_url=lambda: _public_url(runtime),
    )
    runtime.serve(
        ControlServer(control=control, links=links),
        control_grpc.add_ControlServiceServicer_to_server,
    )
    return control


async def _public_url(runtime: Runtime) -> str:
    """Where people reach a gateway; empty where none is known."""
    if runtime.settings.public_url:
        return runtime.settings.public_url
    registry = runtime.stub(RegistryServiceStub, "registry")
    try:
        found = await registry.ListInstances(
            ListInstancesRequest(name="gateway", statuses=[INSTANCE_STATUS_HEALTHY])
        )
    except Unavailable:
        return ""
    places = (instance.metadata.get("http", "") for instance in found.instances)
    return next((f"http://{place}" for place in places if place), "")


def _serve_insights(
    runtime: Runtime, core: Orchestrator, executions: Executions, archiving: Archiving
) -> None:
    """What histories tell."""
    runtime.serve(
        InsightServer(
            insights=Insights(
                core=core,
                executions=executions,
                archiving=archiving,
                stub_at=lambda address: runtime.stub_at(insight_grpc.InsightServiceStub, address),
            )
        ),
        insight_grpc.add_InsightServiceServicer_to_server,
    )


def _serve_searches(runtime: Runtime, core: Orchestrator, calls: Calls, searches: Searches) -> None:
    runtime.serve(
        SearchServer(
            executions=calls.executions,
            searches=searches,
            stub_at=lambda address: runtime.stub_at(search_grpc.SearchServiceStub, address),
        ),
        search_grpc.add_SearchServiceServicer_to_server,
    )
    bulks = Bulks(
        store=core.store,
        payloads=core.payloads,
        searches=searches,
        calls=calls,
        owned=core.ownership.epochs,
        now_us=core.ownership.now_us,
        clock=runtime.clock,
        ids=ExecutionIds(secrets.randbits(25)),
        spawn=core.spawn,
    )
    core.on_gained.append(bulks.gained)
    runtime.serve(BulkServer(bulks), bulk_grpc.add_BulkServiceServicer_to_server)


def _serve_retention(
    runtime: Runtime,
    core: Orchestrator,
    executions: Executions,
    archiving: Archiving,
    metrics: OrchestratorMetrics,
    finished: FinishedStates,
) -> HousekeepingLoop:
    """Serves what becomes of ended executions; returns the loop that sees to it."""
    retention_days = runtime.settings.retention_days

    def stub_at(address: str) -> "retention_grpc.RetentionServiceAsyncStub":
        return runtime.stub_at(retention_grpc.RetentionServiceStub, address)

    deleting = Deleting(
        core=core,
        executions=executions,
        archiving=archiving,
        finished=finished,
        stub_at=stub_at,
    )
    erasing = Erasing(
        store=core.store,
        executions=executions,
        archiving=archiving,
        payloads=core.payloads,
        finished=finished,
        now_us=core.ownership.now_us,
        log=runtime.log,
        stub_at=stub_at,
    )
    runtime.serve(
        RetentionServer(
            store=core.store,
            archiving=archiving,
            deleting=deleting,
            erasing=erasing,
            retention_days=retention_days,
        ),
        retention_grpc.add_RetentionServiceServicer_to_server,
    )
    return HousekeepingLoop(
        store=core.store,
        now_us=core.store.now_us,
        metrics=metrics,
        retention_days=retention_days,
        archiving=archiving,
        finish_erasures=erasing.finish,
        log=runtime.log,
    )


async def _listen(runtime: Runtime, core: Orchestrator) -> None:
    """Hears of changed definitions, so that the next start uses them."""

    async def changed(message: Message) -> None:
        core.plans.forget(orjson.loads(message.data)["namespace"])

    subject = f"{runtime.settings.bus_prefix}.definitions.changed"
    await runtime.bus.subscribe_core(subject, changed)


async def _kept_up(run: Callable[[], Awaitable[None]], log: Any) -> None:
    """Runs what must not end; what it did not foresee is logged and costs a second."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("background_failed")
            await asyncio.sleep(RESTART_PAUSE_S)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
