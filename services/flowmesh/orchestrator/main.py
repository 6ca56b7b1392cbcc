"""Composition root of the orchestrator."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from flowmesh import policies
from flowmesh.access.encryption import DataKeys
from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.api.event.v1 import alert_service_pb2_grpc
from flowmesh.api.execution.v1 import control_service_pb2_grpc as control_grpc
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as limits_grpc
from flowmesh.api.identity.v1.quota_service_pb2_grpc import QuotaServiceStub
from flowmesh.audit import audit_relay
from flowmesh.bus import Message, confirm
from flowmesh.extras import ExtraMissing
from flowmesh.orchestrator import services
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.composition import Core, Environment, compose
from flowmesh.orchestrator.lifecycle import Lifecycle, compose_lifecycle
from flowmesh.orchestrator.limits.active_loop import ActiveLoop
from flowmesh.orchestrator.limits.quota_loop import QuotaLoop
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.operations.cluster_stats import StatsLoop
from flowmesh.orchestrator.operations.slowdowns import SlowdownLoop
from flowmesh.orchestrator.ownership.lease_keeper import ClaimLoop, LeaseLoop
from flowmesh.orchestrator.search.searches import Searches
from flowmesh.orchestrator.storage.archive import Archive
from flowmesh.orchestrator.storage.archive_files import FolderFiles
from flowmesh.orchestrator.storage.bucket import BUCKETS, BucketInvalid, bucket_files
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, Queries
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.runtime import Runtime, StartError
from flowmesh.runtime.data_keys import encrypting
from flowmesh.runtime.namespace_quotas import NamespaceQuotas
from flowmesh.runtime.projects.calls import ProjectCalls, project_calls

RESTART_PAUSE_S = 1.0


async def run(runtime: Runtime) -> None:
    """Serve executions, payloads, histories, the outbox and dispatch until stopped."""
    async with AsyncExitStack() as stack:
        migrations = files("flowmesh.orchestrator.storage.migrations")
        pool = await stack.enter_async_context(runtime.database("orchestrator", migrations))
        relay = audit_relay(runtime, pool)
        keys = DataKeys()
        finished = FinishedStates(
            keys=keys,
            cache=runtime.cache,
            prefix=runtime.settings.bus_prefix,
            seconds=runtime.settings.finished_seconds,
            metrics=runtime.metrics,
            monotonic_ms=runtime.clock.monotonic_ms,
        )
        store = OrchestratorStore(Queries(pool, call=relay.call, keys=keys))
        archive = await stack.enter_async_context(_archive(runtime, store))
        calls = await stack.enter_async_context(project_calls(runtime))
        core = compose(_environment(runtime, store, finished, archive, calls))
        await encrypting(runtime, keys, core.memory.states.evict_namespaces)
        lifecycle = _served(runtime, core, finished)
        stack.push_async_callback(core.calls.peers.close)
        await _forget_changed_plans(runtime, core.given.plans)
        await lifecycle.incarnation.begin()
        stack.push_async_callback(lifecycle.incarnation.end)
        statistics = StatsLoop(stats=core.memory.stats, store=core.given.store.stats)
        stack.push_async_callback(_store_last, statistics, runtime.log)
        for run_forever in (lifecycle.committer.run, core.memory.publisher.run):
            task = asyncio.create_task(_with_keys(keys, run_forever, runtime.log))
            stack.push_async_callback(_stop, task)
        runtime.add_loop(core.dispatch.timers)
        runtime.add_loop(lifecycle.kept_signals)
        runtime.add_loop(statistics)
        runtime.add_loop(ClaimLoop(lifecycle.keeper, runtime.clock, runtime.log))
        incarnation = lifecycle.incarnation
        runtime.add_loop(
            LeaseLoop(lifecycle.keeper, expired=incarnation.lease_expired, over=incarnation.over)
        )
        await _count_quotas(runtime, core)
        runtime.add_loop(
            ActiveLoop(
                store=core.given.store.quotas,
                partitions=core.memory.ownership.epochs,
                metrics=runtime.metrics,
            )
        )
        if runtime.settings.alert_slowdown:
            runtime.add_loop(_slowdowns(runtime, core))
        runtime.on_drain(lifecycle.keeper.drain)
        await runtime.until_stopped()


async def _count_quotas(runtime: Runtime, core: Core) -> None:
    """Count the executions of namespaces that have a quota."""
    identity = runtime.stub(QuotaServiceStub, "identity")
    quotas = NamespaceQuotas(identity.ListNamespaceQuotas)
    loop = QuotaLoop(
        counters=core.memory.quotas,
        quotas=quotas,
        store=core.given.store.quotas,
        now_us=core.memory.ownership.now_us,
    )
    await quotas.listen(runtime.bus, runtime.settings.bus_prefix)
    runtime.add_loop(quotas)
    runtime.add_loop(loop)


def _slowdowns(runtime: Runtime, core: Core) -> SlowdownLoop:
    return SlowdownLoop(
        stats=core.memory.stats,
        factor=runtime.settings.alert_slowdown,
        alerts=runtime.stub(alert_service_pb2_grpc.AlertServiceStub, "event"),
        now_us=core.memory.ownership.now_us,
        metrics=core.given.metrics,
        log=runtime.log,
    )


@contextlib.asynccontextmanager
async def _archive(runtime: Runtime, store: OrchestratorStore) -> AsyncIterator[Archive | None]:
    """Yield the archive in a folder or a bucket; None if it is off."""
    address = runtime.settings.archive_dir
    if not address.startswith(BUCKETS):
        yield Archive(FolderFiles(Path(address)), store.keys) if address else None
        return
    try:
        async with bucket_files(address, store.pool) as files:
            yield Archive(files, store.keys)
    except (BucketInvalid, ExtraMissing) as error:
        raise StartError(f"FLOWMESH_ARCHIVE_DIR: {error}") from error


def _environment(
    runtime: Runtime,
    store: OrchestratorStore,
    finished: FinishedStates,
    archive: Archive | None,
    calls: ProjectCalls,
) -> Environment:
    definitions = runtime.stub(definition_service_pb2_grpc.DefinitionServiceStub, "definition")
    settings = runtime.settings

    def publisher(outbox: Outbox) -> Publisher:
        return Publisher(
            bus=runtime.bus,
            outbox=outbox,
            prefix=settings.bus_prefix,
            log=runtime.log,
            keys=store.keys,
        )

    metrics = OrchestratorMetrics(runtime.metrics, settings.metrics_workflows)
    return Environment(
        store=store,
        plans=PlanCache(
            definitions=definitions,
            clock=runtime.clock,
            fresh_s=settings.definition_cache_seconds,
            lookups=metrics.plan_lookups,
        ),
        clock=runtime.clock,
        log=runtime.log,
        address=runtime.address,
        data_dir_id=settings.data_dir_id,
        metrics=metrics,
        spans=runtime.spans,
        publisher=publisher,
        ids=ExecutionIds(secrets.randbits(25), settings.cell),
        draw=random.random,
        execution_stub=lambda address: runtime.stub_at(
            execution_grpc.ExecutionServiceStub, address
        ),
        partition_stub=lambda address: runtime.stub_at(
            execution_grpc.PartitionServiceStub, address
        ),
        permit_stub=lambda address: runtime.stub_at(limits_grpc.PermitServiceStub, address),
        control_stub=lambda address: runtime.stub_at(control_grpc.ControlServiceStub, address),
        project_calls=calls,
        archive=archive,
        finished=finished,
        policy=policies.load(settings.policy) if settings.policy else None,
        log_transitions=settings.log_transitions,
        learned_routing=settings.learned_queues,
        deliveries_max=settings.deliveries_max,
    )


def _served(runtime: Runtime, core: Core, finished: FinishedStates) -> Lifecycle:
    """Add every service and loop to the runtime."""
    searches = Searches(
        pool=core.given.store.pool,
        now_us=core.memory.ownership.now_us,
        keys=core.given.store.keys,
    )
    bulks = services.bulks_of(core, searches)
    lifecycle = compose_lifecycle(core, recovered=(bulks.gained,))
    services.serve_executions(runtime, core, searches, lifecycle)
    services.serve_control(runtime, core)
    services.serve_searches(runtime, core, searches, bulks)
    services.serve_insights(runtime, core)
    services.serve_peers(runtime, core, lifecycle)
    runtime.add_loop(services.serve_retention(runtime, core, finished))
    return lifecycle


async def _forget_changed_plans(runtime: Runtime, plans: PlanCache) -> None:
    """Subscribe to changes of definitions, so that the next start uses them."""

    async def changed(message: Message) -> None:
        announcement = orjson.loads(message.data)
        plans.forget(announcement["namespace"])
        await confirm(runtime.bus, announcement, runtime.instance_id)

    subject = f"{runtime.settings.bus_prefix}.definitions.changed"
    await runtime.bus.subscribe_core(subject, changed)


async def _with_keys(keys: DataKeys, run: Callable[[], Awaitable[None]], log: Any) -> None:
    """Run an endless task once the data keys are known: nothing is committed in plain before."""
    await keys.known.wait()
    await restarted(run, log)


async def restarted(run: Callable[[], Awaitable[None]], log: Any) -> None:
    """Run an endless task; log an unexpected error and run it again after a second."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("background_failed")
            await asyncio.sleep(RESTART_PAUSE_S)


async def _store_last(statistics: StatsLoop, log: Any) -> None:
    try:
        await statistics.run_once()
    except CONNECTION_LOST as error:
        log.warning("statistics_not_stored", problem=type(error).__name__)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
