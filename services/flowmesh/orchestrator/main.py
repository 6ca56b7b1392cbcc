"""Composition root of the orchestrator."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib.resources import files
from typing import Any

import orjson

from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_grpc
from flowmesh.api.worker.v1 import dispatch_service_pb2_grpc
from flowmesh.bus import Message
from flowmesh.orchestrator.attach_server import DispatchServer
from flowmesh.orchestrator.executions import Executions
from flowmesh.orchestrator.histories import Histories
from flowmesh.orchestrator.housekeeping import HousekeepingLoop
from flowmesh.orchestrator.ids import ExecutionIds
from flowmesh.orchestrator.metrics import OrchestratorMetrics
from flowmesh.orchestrator.outbox import Outbox
from flowmesh.orchestrator.owner import Orchestrator
from flowmesh.orchestrator.ownership import ClaimTimer, LeaseLoop
from flowmesh.orchestrator.payloads import Payloads
from flowmesh.orchestrator.plans import PlanCache
from flowmesh.orchestrator.publisher import Publisher
from flowmesh.orchestrator.server import (
    ExecutionServer,
    HistoryServer,
    OutboxServer,
    PartitionServer,
    PayloadServer,
)
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.runtime import Runtime

RESTART_PAUSE_S = 1.0


async def run(runtime: Runtime) -> None:
    """Serves executions, payloads, histories, the outbox and dispatch."""
    async with AsyncExitStack() as stack:
        migrations = files("flowmesh.orchestrator.migrations")
        pool = await stack.enter_async_context(runtime.database("orchestrator", migrations))
        metrics = OrchestratorMetrics(runtime.metrics)
        core = _core(runtime, OrchestratorStore(pool), metrics)
        executions = _serve(runtime, core)
        stack.push_async_callback(executions.close)
        await _listen(runtime, core)
        await core.begin()
        stack.push_async_callback(core.end)
        claims = ClaimTimer(core.ownership, runtime.clock)
        for run_it in (core.committer.run, core.publisher.run, core.timers.run, claims.run):
            task = asyncio.create_task(_kept_up(run_it, runtime.log))
            stack.push_async_callback(_stop, task)
        runtime.add_loop(LeaseLoop(core.ownership, core.lease_expired))
        runtime.add_loop(
            HousekeepingLoop(
                store=core.store,
                clock=runtime.clock,
                metrics=metrics,
                retention_days=runtime.settings.retention_days,
            )
        )
        runtime.on_drain(core.ownership.drain)
        await runtime.until_stopped()


def _core(runtime: Runtime, store: OrchestratorStore, metrics: OrchestratorMetrics) -> Orchestrator:
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
    )


def _serve(runtime: Runtime, core: Orchestrator) -> Executions:
    executions = Executions(
        core=core,
        stub_at=lambda address: runtime.stub_at(execution_grpc.ExecutionServiceStub, address),
    )
    dispatch = DispatchServer(
        dispatcher=core.dispatcher, ownership=core.ownership, spawn=core.spawn
    )
    runtime.serve(
        ExecutionServer(executions=executions, core=core),
        execution_grpc.add_ExecutionServiceServicer_to_server,
    )
    runtime.serve(PayloadServer(core=core), execution_grpc.add_PayloadServiceServicer_to_server)
    runtime.serve(PartitionServer(core=core), execution_grpc.add_PartitionServiceServicer_to_server)
    runtime.serve(
        HistoryServer(histories=Histories(store=core.store)),
        history_grpc.add_HistoryServiceServicer_to_server,
    )
    runtime.serve(OutboxServer(core=core), history_grpc.add_OutboxServiceServicer_to_server)
    runtime.serve(dispatch, dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server)
    return executions


async def _listen(runtime: Runtime, core: Orchestrator) -> None:
    """Hears of changed definitions, so that the next start uses them."""

    async def changed(message: Message) -> None:
        names = orjson.loads(message.data)
        core.plans.forget(names["namespace"], names["names"])

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
