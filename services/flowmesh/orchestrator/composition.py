"""Composition of one orchestrator: every collaborator is created before its consumers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import control_service_pb2_grpc as control_grpc
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as limits_grpc
from flowmesh.engine import DELIVERIES_MAX
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.commit.piggyback import PiggybackWrites
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.commit.starts import Starts
from flowmesh.orchestrator.commit.timers import Timers
from flowmesh.orchestrator.commit.waiters import Waiters
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.permission_check import PermissionCheck
from flowmesh.orchestrator.dispatch.preparation import Preparer
from flowmesh.orchestrator.dispatch.recovery import Recovery
from flowmesh.orchestrator.dispatch.routing.router import LearnedRouter
from flowmesh.orchestrator.dispatch.statistics.loads import Loads
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Stats
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.quotas import QuotaCounters
from flowmesh.orchestrator.limits.rule_loader import RuleLoader
from flowmesh.orchestrator.model.background import BackgroundTasks
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.model.telemetry import ExecutionTelemetry
from flowmesh.orchestrator.operations.approvals import Approvals
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.control import Control
from flowmesh.orchestrator.operations.deliveries import Deliveries
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.executions import Executions
from flowmesh.orchestrator.operations.immediate_starts import ImmediateStarts
from flowmesh.orchestrator.operations.outcomes import Outcomes
from flowmesh.orchestrator.operations.owner_router import OwnerRouter
from flowmesh.orchestrator.operations.runs import Runs
from flowmesh.orchestrator.operations.start_admission import QueueSizes, StartAdmission
from flowmesh.orchestrator.operations.start_service import StartService
from flowmesh.orchestrator.outward.project import NO_GATEWAY, ProjectCalls
from flowmesh.orchestrator.ownership.attached_workers import AttachedWorkers
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import Peers
from flowmesh.orchestrator.storage.archive import Archive
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.commit_connection import CommitConnection
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.states import States
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.policies import Policy
from flowmesh.runtime import Clock
from flowmesh.telemetry import Spans

if TYPE_CHECKING:
    ExecutionStub = execution_grpc.ExecutionServiceAsyncStub
    PartitionStub = execution_grpc.PartitionServiceAsyncStub
    ControlStub = control_grpc.ControlServiceAsyncStub
    PermitStub = limits_grpc.PermitServiceAsyncStub


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Dependencies that the process passes in: storage, time, other processes, settings."""

    store: OrchestratorStore
    plans: PlanCache
    clock: Clock
    log: Any
    address: str
    data_dir_id: str
    metrics: OrchestratorMetrics
    spans: Spans
    publisher: Callable[[Outbox], Publisher]
    ids: ExecutionIds
    draw: Callable[[], float]
    execution_stub: Callable[[str], ExecutionStub]
    partition_stub: Callable[[str], PartitionStub]
    permit_stub: Callable[[str], PermitStub]
    control_stub: Callable[[str], ControlStub]
    project_calls: ProjectCalls = NO_GATEWAY
    archive: Archive | None = None
    finished: FinishedStates | None = None
    policy: Policy | None = None
    log_transitions: bool = False
    learned_routing: tuple[str, ...] = ()
    deliveries_max: int = DELIVERIES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """State in memory and commands that wait for their commit."""

    background: BackgroundTasks
    payloads: Payloads
    ownership: Ownership
    states: States
    uncommitted: UncommittedExecutions
    lock: CommitLock
    inbox: Inbox
    line: CommitConnection
    piggyback: PiggybackWrites
    starts: Starts
    quotas: QuotaCounters
    waiters: Waiters
    stats: Stats
    telemetry: ExecutionTelemetry
    outbox: Outbox
    publisher: Publisher


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Dispatch of tasks to worker services, with its limits."""

    permits: PermitClient
    preparation: Preparer
    recovery: Recovery
    workers: AttachedWorkers
    dispatcher: Dispatcher
    rules: RuleLoader
    loads: Loads
    admission: StartAdmission
    timers: Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of clients and messages of other executions."""

    peers: Peers
    router: OwnerRouter
    reader: ExecutionReader
    runs: Runs
    starts: StartService
    changes: ExecutionChanges
    deliveries: Deliveries
    archiving: Archiving
    outcomes: Outcomes
    executions: Executions
    immediate_starts: ImmediateStarts
    control: Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """An orchestrator without its lifecycle, for composition roots only."""

    given: Environment
    memory: Memory
    dispatch: Dispatch
    calls: Calls


def compose(given: Environment) -> Core:
    memory = compose_memory(given)
    dispatch = compose_dispatch(given, memory)
    calls = compose_calls(given, memory, dispatch)
    return Core(given=given, memory=memory, dispatch=dispatch, calls=calls)


def compose_memory(given: Environment) -> Memory:
    background = BackgroundTasks(given.log)
    ownership = Ownership(clock=given.clock, metrics=given.metrics)
    states = States(
        store=given.store.executions,
        plans=given.plans,
        epochs=ownership.epochs,
        log=given.log,
        keys=given.store.keys,
        finished=given.finished,
    )
    uncommitted = UncommittedExecutions()
    lock = CommitLock(uncommitted)
    inbox = Inbox(ownership.now_us)
    outbox = Outbox(store=given.store.outbox, executions=given.store.executions, plans=given.plans)
    return Memory(
        background=background,
        payloads=Payloads(store=given.store.payloads),
        ownership=ownership,
        states=states,
        uncommitted=uncommitted,
        lock=lock,
        inbox=inbox,
        line=CommitConnection(given.store.pool, given.store.outbox),
        piggyback=PiggybackWrites(ownership),
        starts=Starts(
            store=given.store.starts,
            epochs=ownership.epochs,
            now_us=ownership.now_us,
            submit=inbox.submit,
            exclusively=lock.exclusively,
        ),
        quotas=QuotaCounters(owned=ownership.epochs, now_us=ownership.now_us),
        waiters=Waiters(),
        stats=Stats(given.metrics),
        telemetry=ExecutionTelemetry(
            spans=given.spans, log=given.log, transitions=given.log_transitions
        ),
        outbox=outbox,
        publisher=given.publisher(outbox),
    )


def compose_dispatch(given: Environment, memory: Memory) -> Dispatch:
    ownership, states, inbox = memory.ownership, memory.states, memory.inbox
    spawn = memory.background.spawn
    permits = PermitClient(
        ownership=ownership,
        clock=given.clock,
        address=given.address,
        stub_at=given.permit_stub,
        spawn=spawn,
    )
    preparation = Preparer(
        states=states,
        payloads=memory.payloads,
        epochs=ownership.epochs,
        submit=inbox.submit,
        spawn=spawn,
    )
    recovery = Recovery(
        store=given.store.schedule,
        states=states,
        epochs=ownership.epochs,
        barrier=memory.lock.barrier,
        submit=inbox.submit,
        spawn=spawn,
        deliveries_max=given.deliveries_max,
    )
    workers = AttachedWorkers(store=given.store.partitions, ownership=ownership, spawn=spawn)
    dispatcher = Dispatcher(
        states=states,
        ownership=ownership,
        clock=given.clock,
        metrics=given.metrics,
        submit=inbox.submit,
        draw=given.draw,
        preparation=preparation,
        open_tasks=recovery,
        uncommitted=memory.uncommitted,
        permits=permits,
        permission_check=PermissionCheck(given.policy),
        attached_workers=workers,
        traceparent_of=memory.telemetry.traceparent_of,
        router=LearnedRouter(given.learned_routing) if given.learned_routing else None,
        deliveries_max=given.deliveries_max,
    )
    return Dispatch(
        permits=permits,
        preparation=preparation,
        recovery=recovery,
        workers=workers,
        dispatcher=dispatcher,
        rules=RuleLoader(store=given.store.limits, changed=dispatcher.limits_changed),
        loads=Loads(dispatcher=dispatcher, stats=memory.stats),
        admission=StartAdmission(
            queue_sizes=QueueSizes(dispatcher=dispatcher, owned=ownership.epochs),
            quotas=memory.quotas,
        ),
        timers=Timers(
            store=given.store.schedule,
            now_us=ownership.now_us,
            epochs=ownership.epochs,
            submit=inbox.submit,
        ),
    )


def compose_calls(given: Environment, memory: Memory, dispatch: Dispatch) -> Calls:
    ownership = memory.ownership

    def new_id(partition: int) -> str:
        return given.ids.make(ownership.now_us(), partition)

    peers = Peers(given.execution_stub)
    router = OwnerRouter(
        ownership=ownership, inbox=memory.inbox, peers=peers, stub_at=given.execution_stub
    )
    reader = ExecutionReader(states=memory.states, ownership=ownership, lock=memory.lock)
    runs = Runs(store=given.store.executions)
    starts = StartService(
        store=given.store.executions,
        plans=given.plans,
        payloads=memory.payloads,
        ownership=ownership,
        starts=memory.starts,
        admission=dispatch.admission,
        router=router,
        reader=reader,
        new_id=new_id,
    )
    changes = ExecutionChanges(
        router=router, reader=reader, payloads=memory.payloads, runs=runs, new_id=new_id
    )
    deliveries = Deliveries(
        starts=starts,
        changes=changes,
        reader=reader,
        runs=runs,
        router=router,
        draw=given.draw,
        partition_stub=given.partition_stub,
    )
    archiving = Archiving(
        store=given.store.archive,
        executions=given.store.executions,
        payloads=given.store.payloads,
        plans=given.plans,
        archive=given.archive,
    )
    outcomes = Outcomes(waiters=memory.waiters, router=router, reader=reader, runs=runs)
    return Calls(
        peers=peers,
        router=router,
        reader=reader,
        runs=runs,
        starts=starts,
        changes=changes,
        deliveries=deliveries,
        archiving=archiving,
        outcomes=outcomes,
        executions=Executions(
            inbox=memory.inbox,
            starts=starts,
            outcomes=outcomes,
            reader=reader,
            runs=runs,
            archiving=archiving,
        ),
        immediate_starts=ImmediateStarts(
            starts=starts,
            plans=given.plans,
            ownership=ownership,
            admission=dispatch.admission,
            inbox=memory.inbox,
        ),
        control=_control(given, memory, changes, starts, reader, router),
    )


def _control(
    given: Environment,
    memory: Memory,
    changes: ExecutionChanges,
    starts: StartService,
    reader: ExecutionReader,
    router: OwnerRouter,
) -> Control:
    return Control(
        approvals=Approvals(store=given.store.messages, states=memory.states),
        changes=changes,
        starts=starts,
        reader=reader,
        router=router,
        inbox=memory.inbox,
        plans=given.plans,
        payloads=memory.payloads,
        stub_at=given.control_stub,
    )
