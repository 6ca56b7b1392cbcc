"""Composition of the gRPC services of an orchestrator."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from flowmesh.access import acting_as
from flowmesh.api.execution.v1 import bulk_service_pb2_grpc as bulk_grpc
from flowmesh.api.execution.v1 import control_service_pb2_grpc as control_grpc
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as limits_grpc
from flowmesh.api.execution.v1 import meter_service_pb2_grpc, receiver_service_pb2_grpc
from flowmesh.api.execution.v1 import model_usage_service_pb2_grpc as usage_grpc
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
from flowmesh.orchestrator.api.meter_server import MeterServer
from flowmesh.orchestrator.api.retention_server import RetentionServer
from flowmesh.orchestrator.api.search_server import SearchServer
from flowmesh.orchestrator.api.session import Sessions
from flowmesh.orchestrator.api.usage_server import ModelUsageServer
from flowmesh.orchestrator.bulk.actions import Calls as BulkCalls
from flowmesh.orchestrator.bulk.bulks import Bulks
from flowmesh.orchestrator.composition import Core
from flowmesh.orchestrator.dispatch.statistics.queue_stats import Queues
from flowmesh.orchestrator.dispatch.statistics.worker_stats import WorkerList
from flowmesh.orchestrator.insight.ended_items import EndedItems
from flowmesh.orchestrator.insight.insights import Insights
from flowmesh.orchestrator.insight.subjects import Subjects
from flowmesh.orchestrator.lifecycle import Lifecycle
from flowmesh.orchestrator.links.approval_links import ApprovalLinks
from flowmesh.orchestrator.links.keys import LinkKeys
from flowmesh.orchestrator.operations.cluster_stats import ClusterStats
from flowmesh.orchestrator.operations.dead_letters import DeadLetters
from flowmesh.orchestrator.operations.limit_operations import Limits
from flowmesh.orchestrator.operations.live_workers import Workers
from flowmesh.orchestrator.operations.meters import Meters
from flowmesh.orchestrator.retention.deletion import ExecutionDeletion
from flowmesh.orchestrator.retention.erasure import ExecutionErasure
from flowmesh.orchestrator.retention.housekeeping import HousekeepingLoop
from flowmesh.orchestrator.retention.rebuilding import Rebuilding
from flowmesh.orchestrator.retention.rules import RetentionRules
from flowmesh.orchestrator.search.listing import Listing
from flowmesh.orchestrator.search.searches import Searches
from flowmesh.orchestrator.signals.event_listeners import EventListeners
from flowmesh.orchestrator.signals.keyed_signals import KeyedSignals
from flowmesh.orchestrator.signals.webhook_receivers import ReceiverServer
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.histories import Histories
from flowmesh.runtime import Runtime
from flowmesh.runtime.membership import CORE_TYPE

if TYPE_CHECKING:
    InsightStub = insight_grpc.InsightServiceAsyncStub
    LimitStub = limits_grpc.LimitServiceAsyncStub


def bulks_of(core: Core, searches: Searches) -> Bulks:
    memory = core.memory
    return Bulks(
        store=core.given.store.bulks,
        payloads=memory.payloads,
        searches=searches,
        calls=BulkCalls(core.calls.changes, core.calls.control),
        owned=memory.ownership.epochs,
        now_us=memory.ownership.now_us,
        clock=core.given.clock,
        ids=core.given.ids,
        spawn=memory.background.spawn,
    )


def serve_executions(
    runtime: Runtime, core: Core, searches: Searches, lifecycle: Lifecycle
) -> None:
    """Serve starts, reads and changes of executions, their histories, and limits."""
    given, memory, calls = core.given, core.memory, core.calls
    listing = Listing(searches=searches, states=memory.states, state_of=calls.reader.state)
    runtime.serve(
        execution_server(core, listing, lifecycle),
        execution_grpc.add_ExecutionServiceServicer_to_server,
    )
    runtime.serve(
        HistoryServer(histories=Histories(store=given.store.executions), archiving=calls.archiving),
        history_grpc.add_HistoryServiceServicer_to_server,
    )
    runtime.serve(
        ReceiverServer(
            reader=calls.reader,
            listeners=EventListeners(
                changes=calls.changes, payloads=memory.payloads, store=given.store.messages
            ),
        ),
        receiver_service_pb2_grpc.add_ReceiverServiceServicer_to_server,
    )
    runtime.serve(
        LimitServer(
            limits=limits_of(core, lambda at: runtime.stub_at(limits_grpc.LimitServiceStub, at)),
            dead_letters=DeadLetters(
                listing=listing, states=memory.states, store=given.store.dead_letters
            ),
        ),
        limits_grpc.add_LimitServiceServicer_to_server,
    )
    runtime.serve(
        MeterServer(meters_of(core)), meter_service_pb2_grpc.add_MeterServiceServicer_to_server
    )
    runtime.serve(
        ModelUsageServer(given.store.usage), usage_grpc.add_ModelUsageServiceServicer_to_server
    )
    runtime.serve(permit_server(core), limits_grpc.add_PermitServiceServicer_to_server)


def execution_server(core: Core, listing: Listing, lifecycle: Lifecycle) -> ExecutionServer:
    given, memory, calls = core.given, core.memory, core.calls
    return ExecutionServer(
        executions=calls.executions,
        outcomes=calls.outcomes,
        changes=calls.changes,
        keyed_signals=KeyedSignals(
            changes=calls.changes,
            payloads=memory.payloads,
            store=given.store.messages,
            kept=given.store.kept_signals,
            on_kept=lifecycle.kept_signals.wake,
        ),
        ended_items=EndedItems(subjects_of(core)),
        listing=listing,
        stats=ClusterStats(
            stats=memory.stats,
            store=given.store.stats,
            ownership=memory.ownership,
            stub_at=given.execution_stub,
        ),
        sessions=sessions_of(core),
    )


def sessions_of(core: Core) -> Sessions:
    memory, calls = core.memory, core.calls
    return Sessions(
        executions=calls.executions,
        immediate_starts=calls.immediate_starts,
        outcomes=calls.outcomes,
        runs=calls.runs,
        waiters=memory.waiters,
        states=memory.states,
    )


def meters_of(core: Core) -> Meters:
    return Meters(store=core.given.store.meters, now_us=core.memory.ownership.now_us)


def limits_of(core: Core, stub_at: Callable[[str], LimitStub]) -> Limits:
    dispatch = core.dispatch
    return Limits(
        store=core.given.store.limits,
        rules=dispatch.rules,
        dispatcher=dispatch.dispatcher,
        permits=dispatch.permits,
        ownership=core.memory.ownership,
        queues=Queues(dispatch.dispatcher, dispatch.loads),
        workers=WorkerList(dispatch.dispatcher),
        stub_at=stub_at,
        permit_stub=core.given.permit_stub,
    )


def permit_server(core: Core) -> PermitServer:
    return PermitServer(permits=core.dispatch.permits, rules=core.dispatch.rules)


def serve_control(runtime: Runtime, core: Core) -> None:
    """Serve actions on single nodes, and the links by which people decide approvals."""
    control = core.calls.control
    links = ApprovalLinks(
        keys=LinkKeys(store=core.given.store.link_keys, new_secret=secrets.token_bytes),
        reader=core.calls.reader,
        control=control,
        now_us=core.memory.ownership.now_us,
        base_url=lambda: _public_url(runtime),
    )
    runtime.serve(
        ControlServer(control=control, links=links),
        control_grpc.add_ControlServiceServicer_to_server,
    )


async def _public_url(runtime: Runtime) -> str:
    """Return the public URL of a gateway; empty if none is known."""
    if runtime.settings.public_url:
        return runtime.settings.public_url
    registry = runtime.stub(RegistryServiceStub, "registry")
    request = ListInstancesRequest(
        name="gateway", type=CORE_TYPE, statuses=[INSTANCE_STATUS_HEALTHY]
    )
    try:
        # The caller need not see the namespace of the installation.
        with acting_as(None):
            found = await registry.ListInstances(request)
    except Unavailable:
        return ""
    for instance in found.instances:
        place = instance.metadata.get("http", "")
        if place:
            return f"{instance.metadata.get('scheme', 'http')}://{place}"
    return ""


def serve_searches(runtime: Runtime, core: Core, searches: Searches, bulks: Bulks) -> None:
    runtime.serve(
        SearchServer(
            reader=core.calls.reader,
            changes=core.calls.changes,
            searches=searches,
            stub_at=lambda address: runtime.stub_at(search_grpc.SearchServiceStub, address),
        ),
        search_grpc.add_SearchServiceServicer_to_server,
    )
    runtime.serve(BulkServer(bulks), bulk_grpc.add_BulkServiceServicer_to_server)


def serve_insights(runtime: Runtime, core: Core) -> None:
    insights = insights_of(
        core, lambda address: runtime.stub_at(insight_grpc.InsightServiceStub, address)
    )
    runtime.serve(
        InsightServer(insights=insights), insight_grpc.add_InsightServiceServicer_to_server
    )


def subjects_of(core: Core) -> Subjects:
    return Subjects(
        store=core.given.store.executions,
        plans=core.given.plans,
        lock=core.memory.lock,
        archiving=core.calls.archiving,
    )


def insights_of(core: Core, stub_at: Callable[[str], InsightStub]) -> Insights:
    given, memory, calls = core.given, core.memory, core.calls
    return Insights(
        subjects=subjects_of(core),
        reader=calls.reader,
        workers=Workers(
            dispatcher=core.dispatch.dispatcher, ownership=memory.ownership, clock=given.clock
        ),
        ownership=memory.ownership,
        starts=memory.starts,
        plans=given.plans,
        payloads=memory.payloads,
        store=given.store.executions,
        stub_at=stub_at,
    )


def serve_peers(runtime: Runtime, core: Core, lifecycle: Lifecycle) -> None:
    """Serve payloads, partitions, the outbox and dispatch to the other services."""
    runtime.serve(
        PayloadServer(payloads=core.memory.payloads),
        execution_grpc.add_PayloadServiceServicer_to_server,
    )
    runtime.serve(
        partition_server(core, lifecycle),
        execution_grpc.add_PartitionServiceServicer_to_server,
    )
    runtime.serve(outbox_server(core), history_grpc.add_OutboxServiceServicer_to_server)
    runtime.serve(
        dispatch_server(core, lifecycle),
        dispatch_service_pb2_grpc.add_DispatchServiceServicer_to_server,
    )


def partition_server(core: Core, lifecycle: Lifecycle) -> PartitionServer:
    return PartitionServer(keeper=lifecycle.keeper, deliveries=core.calls.deliveries)


def outbox_server(core: Core) -> OutboxServer:
    memory = core.memory
    return OutboxServer(
        store=core.given.store.outbox, outbox=memory.outbox, piggyback=memory.piggyback
    )


def dispatch_server(core: Core, lifecycle: Lifecycle) -> DispatchServer:
    return DispatchServer(
        dispatcher=core.dispatch.dispatcher,
        keeper=lifecycle.keeper,
        spawn=core.memory.background.spawn,
    )


def serve_retention(runtime: Runtime, core: Core, finished: FinishedStates) -> HousekeepingLoop:
    """Serve deletion, archive and erasure; return the loop that applies retention."""
    given, memory, calls = core.given, core.memory, core.calls
    archiving, retention_days = calls.archiving, runtime.settings.retention_days

    def stub_at(address: str) -> retention_grpc.RetentionServiceAsyncStub:
        return runtime.stub_at(retention_grpc.RetentionServiceStub, address)

    deletion = ExecutionDeletion(
        store=given.store.retention,
        states=memory.states,
        reader=calls.reader,
        router=calls.router,
        archiving=archiving,
        finished=finished,
        stub_at=stub_at,
    )
    erasure = ExecutionErasure(
        store=given.store.erasures,
        keys=given.store.keys,
        executions=given.store.executions,
        reader=calls.reader,
        changes=calls.changes,
        archiving=archiving,
        payloads=memory.payloads,
        finished=finished,
        now_us=memory.ownership.now_us,
        log=runtime.log,
        stub_at=stub_at,
    )
    runtime.serve(
        RetentionServer(
            rules=RetentionRules(store=given.store.retention, default_days=retention_days),
            archiving=archiving,
            deletion=deletion,
            erasure=erasure,
            rebuilding=Rebuilding(
                store=given.store.rebuilds,
                executions=given.store.executions,
                plans=given.plans,
                log=runtime.log,
            ),
        ),
        retention_grpc.add_RetentionServiceServicer_to_server,
    )
    return HousekeepingLoop(
        store=given.store,
        now_us=given.store.executions.now_us,
        metrics=given.metrics,
        retention_days=retention_days,
        archiving=archiving,
        finish_erasures=erasure.finish,
        log=runtime.log,
    )
