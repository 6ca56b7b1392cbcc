"""The orchestrator of one process: its parts put together, and what happens after a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from flowmesh.api.execution.v1 import execution_service_pb2_grpc, limits_service_pb2_grpc
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.engine import HISTORY_EVENTS_WARN, State, Transition
from flowmesh.orchestrator.commit.batched_execution import Touched
from flowmesh.orchestrator.commit.committer import Committer
from flowmesh.orchestrator.commit.messenger import Messenger
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.commit.timers import Timers
from flowmesh.orchestrator.commit.waiters import Waiters
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.loads import Loads
from flowmesh.orchestrator.dispatch.permission_check import Guard
from flowmesh.orchestrator.dispatch.preparation import Preparing
from flowmesh.orchestrator.dispatch.queue_sizes import QueueSizes
from flowmesh.orchestrator.dispatch.recovery import Recovery
from flowmesh.orchestrator.dispatch.stats import Stats
from flowmesh.orchestrator.dispatch.uncommitted import Undecided
from flowmesh.orchestrator.limits.permit_client import Permits
from flowmesh.orchestrator.limits.permit_ledger import Numbers
from flowmesh.orchestrator.limits.ready_queues import Key, Need, urgent_first
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.model.telemetry import ExecutionTelemetry
from flowmesh.orchestrator.operations.limit_operations import LimitKeeper
from flowmesh.orchestrator.ownership.attached_workers import Roll
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.finished import FinishedStates
from flowmesh.orchestrator.storage.outbox import Outbox, add_events
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.states import States
from flowmesh.orchestrator.storage.store import (
    CONNECTION_LOST,
    RETRY_S,
    CommitLine,
    OrchestratorStore,
    Tenure,
    until_answered,
)
from flowmesh.policies import Policy
from flowmesh.runtime import Clock
from flowmesh.telemetry import Spans

T = TypeVar("T")

KEEP_WHILE_DUE_WITHIN_US = 10_000_000
"""A sleeping execution stays in memory only if it wakes this soon."""


class Orchestrator:
    """Everything one process keeps about the executions it owns."""

    def __init__(
        self,
        *,
        store: OrchestratorStore,
        plans: PlanCache,
        payloads: Payloads,
        clock: Clock,
        log: Any,
        address: str,
        data_dir_id: str,
        metrics: OrchestratorMetrics,
        spans: Spans,
        publisher: Callable[[Outbox], Publisher],
        ids: ExecutionIds,
        draw: Callable[[], float],
        partition_stub: Callable[[str], execution_service_pb2_grpc.PartitionServiceAsyncStub],
        permit_stub: Callable[[str], limits_service_pb2_grpc.PermitServiceAsyncStub],
        finished: FinishedStates | None = None,
        policy: Policy | None = None,
        log_transitions: bool = False,
    ) -> None:
        self.store, self.plans, self.payloads = store, plans, payloads
        self.clock, self.log, self._metrics = clock, log, metrics
        self.stats = Stats(metrics)
        self._told = ExecutionTelemetry(spans=spans, log=log, transitions=log_transitions)
        self.waiters = Waiters()
        # In the order of adding, here and in the ready queues: a simulated run must repeat itself.
        self._tasks: dict[asyncio.Task[None], None] = {}
        # Kinds and priorities of tasks of which the rows have more than there was room for.
        self._wanted: set[tuple[Key, int]] = set()
        self._refilling = False
        # Told of partitions that have become this process's, once their tasks are at hand.
        self.on_gained: list[Callable[[list[int]], Awaitable[None]]] = []
        self.on_renewed: list[Callable[[], None]] = []
        # How often the incarnation was over since it last began.
        self._beginnings = 0
        self.outbox = Outbox(store=store, plans=plans)
        self.publisher = publisher(self.outbox)
        self.ownership = Ownership(
            store=store,
            clock=clock,
            log=log,
            address=address,
            data_dir_id=data_dir_id,
            metrics=metrics,
            partition_stub=partition_stub,
        )
        self.ownership.owner = self
        self.states = States(
            store=store, plans=plans, epochs=self.ownership.epochs, log=log, finished=finished
        )
        self._ids, self._undecided = ids, Undecided()
        self.committer = self._made_committer(ids)
        self.preparing = self._made_preparing()
        self.permits = self._made_permits(address, permit_stub)
        self.limits = LimitKeeper(store=store, changed=self._limits_changed)
        self.ownership.renewed = self._renewed
        self._roll = Roll(store=store, ownership=self.ownership, spawn=self.spawn)
        self.dispatcher = self._made_dispatcher(draw, Guard(policy))
        self.loads = Loads(dispatcher=self.dispatcher, stats=self.stats)
        self.queue_sizes = QueueSizes(dispatcher=self.dispatcher, owned=self.ownership.epochs)
        self.timers = Timers(
            store=store,
            now_us=self.ownership.now_us,
            epochs=self.ownership.epochs,
            submit=self.committer.submit,
        )
        self.draw, self.partition_stub = draw, partition_stub
        self.messenger = self._made_messenger()
        self.recovery = self._made_recovery()

    def _made_dispatcher(self, draw: Callable[[], float], guard: Guard) -> Dispatcher:
        return Dispatcher(
            states=self.states,
            ownership=self.ownership,
            clock=self.clock,
            metrics=self._metrics,
            submit=self.committer.submit,
            draw=draw,
            prepare=lambda task: self.preparing.task(task, self.dispatcher),
            refill=self._refill,
            fetch=lambda ids: self.spawn(self.recovery.fetch_adopted(ids)),
            requeue=self._requeue,
            undecided=self._undecided,
            permits=self.permits,
            guard=guard,
            roll=self._roll,
            traceparent_of=self._told.traceparent_of,
        )

    def _made_messenger(self) -> Messenger:
        return Messenger(
            store=self.store,
            epochs=self.ownership.epochs,
            spawn=self.spawn,
            answered=self.committer.alongside.answer,
            log=self.log,
        )

    def new_id(self, partition: int) -> str:
        """An id that nobody else has."""
        return self._ids.make(self.ownership.now_us(), partition)

    def _made_committer(self, ids: ExecutionIds) -> Committer:
        return Committer(
            store=self.store,
            line=CommitLine(self.store),
            states=self.states,
            ownership=self.ownership,
            ids=ids,
            clock=self.clock,
            metrics=self._metrics,
            after_commit=self._after_commit,
            unchanged=self._unchanged,
            incarnation_over=self.incarnation_over,
            undecided=self._undecided,
        )

    def _made_preparing(self) -> Preparing:
        return Preparing(
            states=self.states,
            payloads=self.payloads,
            epochs=self.ownership.epochs,
            submit=self.committer.submit,
            spawn=self.spawn,
        )

    def _made_permits(
        self,
        address: str,
        stub_at: Callable[[str], limits_service_pb2_grpc.PermitServiceAsyncStub],
    ) -> Permits:
        return Permits(
            ownership=self.ownership,
            clock=self.clock,
            address=address,
            numbers=self._numbers,
            wake_at=self._wake_at,
            stub_at=stub_at,
            spawn=self.spawn,
            granted=self._granted,
        )

    def _made_recovery(self) -> Recovery:
        return Recovery(
            store=self.store,
            states=self.states,
            dispatcher=self.dispatcher,
            epochs=self.ownership.epochs,
            barrier=self.barrier,
        )

    # --- life ---

    async def begin(self) -> None:
        """Becomes an incarnation; partitions come with the first renewal of its lease."""
        await self.store.ensure_history_days()
        await self.limits.load()
        incarnation = await self.ownership.register()
        # First: what is committed as soon as there is a line is told from position 0 on.
        self.publisher.begin(incarnation, 0)
        await self.committer.line.begin(incarnation)
        await self.ownership.renew()

    async def end(self) -> None:
        """Hands everything over and closes the line; what was accepted is committed first."""
        await self.ownership.drain()
        for task in list(self._tasks):
            task.cancel()
        await self.committer.line.close()

    def incarnation_over(self) -> None:
        """The database went back, or memory cannot be trusted: start over as a new incarnation."""
        self.log.warning("incarnation_over", incarnation=self.ownership.incarnation)
        self.ownership.forget_all()
        self._beginnings += 1
        if self._beginnings == 1:
            self.spawn(self._begin_again())

    async def _begin_again(self) -> None:
        """One at a time; begins once more if the new incarnation was over meanwhile."""
        while self._beginnings:
            beginnings = self._beginnings
            try:
                await self.barrier()
                await self.store.one("end_lease", incarnation=self.ownership.incarnation)
                await self.begin()
                self._beginnings -= beginnings
            except CONNECTION_LOST as error:
                self.log.info("begin_waits", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    def lease_expired(self) -> None:
        """The lease is over by our own clock: dispatch has stopped until it is renewed."""
        self.log.warning("lease_expired", incarnation=self.ownership.incarnation)

    @property
    def busy(self) -> bool:
        """Whether anything is being brought to hand: partitions taken over, payloads, states."""
        return bool(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("background_failed", exc_info=task.exception())

    # --- Owner ---

    async def gained(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        for incarnation, position in self.ownership.inherited.items():
            self.publisher.inherit(incarnation, position)
        self.spawn(self._take_over(dict(partitions), workers))

    async def _take_over(self, partitions: dict[int, int], workers: frozenset[str] | None) -> None:
        """Brings back what partitions wait for; goes on trying as long as they are ours."""
        while True:
            mine = self.recovery.still_ours(partitions)
            if not mine:
                return
            try:
                await self.committer.starts.load(mine)
                await self.timers.load(mine)
                await self.recovery.finish_stranded(mine)
                await self.messenger.load(mine)
                break
            except CONNECTION_LOST as error:
                self.log.info("take_over_waits", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        found = await self.recovery.recover({p: partitions[p] for p in mine}, workers)
        self.log.info("partitions_recovered", partitions=len(mine), open_tasks=found)
        for go_on in self.on_gained:
            await until_answered(partial(go_on, mine))

    def lost(self, partitions: Iterable[int]) -> None:
        gone = list(partitions)
        self.dispatcher.drop_partitions(gone)
        self.states.evict_partitions(gone)
        self.timers.drop_partitions(gone)
        self.waiters.drop_partitions(gone)
        self.committer.starts.drop_partitions(gone)

    def resumed(self) -> None:
        self.dispatcher.adoption.resumed()
        self.dispatcher.pump()

    async def barrier(self) -> None:
        await self.committer.barrier()

    # --- limits ---

    def _renewed(self, tenure: Tenure) -> None:
        self.permits.renewed()
        self._roll.note()
        self.loads.sample(self.clock.monotonic_ms())
        for look in self.on_renewed:
            look()
        if tenure.limits_version != self.limits.version:
            self.spawn(self.limits.load())

    def _limits_changed(self, rules: Rules) -> None:
        self.dispatcher.limits_changed(rules)
        self.dispatcher.pump()

    def _numbers(self, namespace: str, need: Need) -> Numbers | None:
        return self.dispatcher.gate.rules.numbers(namespace, need)

    def _granted(self, token: str) -> bool:
        return self.dispatcher.gate.granted(token)

    def _wake_at(self, at_ms: float, wake: Callable[[], None]) -> None:
        delay_s = max(at_ms - self.clock.monotonic_ms(), 0) / 1000
        asyncio.get_running_loop().call_later(delay_s, wake)

    # --- after a commit ---

    def _after_commit(self, position: int, touched: list[Touched], after: bytes | None) -> None:
        batch = history_service_pb2.EventBatch(
            incarnation=self.ownership.incarnation, position=position
        )
        if after is not None:
            batch.after.extend(history_service_pb2.EventBatch.FromString(after).after)
        soon_us = self.ownership.now_us() + KEEP_WHILE_DUE_WITHIN_US
        self._undecided.committed()
        # In the order of the outbox: parts of a commit must not depend on where they are read.
        for one in sorted(touched, key=lambda one: one.entry.state.execution_id):
            state, transition = one.entry.state, one.transition
            add_events(batch, state, transition.first_sequence, one.events)
            self.stats.observe(state, transition, started=one.start is not None)
            if self._told.transitions:
                self._told.committed(state, transition)
            if transition.first_sequence <= HISTORY_EVENTS_WARN <= state.sequence:
                self._metrics.long_histories.inc()
                self._told.history_long(state)
            if not one.kept:
                # Committed in time, but somebody else's by now: only the events are ours to tell.
                continue
            for node_id, attempt in transition.cancel:
                self.dispatcher.cancel(state.execution_id, node_id, attempt)
            together = transition.dispatch
            for node in together if len(together) < 2 else urgent_first(together):
                self.dispatcher.add(state, node, one.partition)
            if one.messages:
                self.messenger.send(one.messages)
            if transition.told is not None:
                self._tell(state, transition)
            self._settle(one, state, soon_us)
        self.stats.tell()
        self._metrics.states_cached.set(len(self.states))
        self._metrics.states_bytes.set(self.states.size)
        self._metrics.history_bytes.inc(sum(len(one.events) for one in touched))
        self.publisher.offer(batch)
        self.dispatcher.pump()

    def _settle(self, one: Touched, state: State, soon_us: int) -> None:
        """Timers, waiters and memory of one execution after its commit."""
        if state.ended:
            self._told.ended(state)
            self.timers.set(state.execution_id, 0)
            self.waiters.ended(state)
            self.states.ended(state.execution_id)
            return
        self._serve(state, one.transition, one.partition)
        wake_at_us = one.row.wake_at_us if one.row is not None else 0
        self.timers.set(state.execution_id, wake_at_us)
        spoken_to = bool(state.signals) or "" in state.awaiting
        if not state.at_workers and wake_at_us > soon_us and not spoken_to:
            # One that sleeps is a row, not memory; one that is spoken to is read over and over.
            self.states.evict(state.execution_id)

    def _serve(self, state: State, transition: Transition, partition: int) -> None:
        """Has fetched what the execution needs to go on."""
        if transition.needs_payload:
            self.preparing.output(state, partition)
        for node in transition.asks:
            self.preparing.body(state, node, partition)

    def _tell(self, state: State, transition: Transition) -> None:
        for node, known in (transition.told or {}).values():
            self.dispatcher.journals.grew(state, node, known)

    def _unchanged(self, state: State, transition: Transition, partition: int) -> None:
        """Commands changed nothing of this execution: what it waits for must still come."""
        self._tell(state, transition)
        self._serve(state, transition, partition)
        self.timers.set(state.execution_id, 0 if state.ended else state.wake_at_us)

    def _requeue(self, execution_ids: set[str]) -> None:
        """Tasks of these came back, and they are not in memory or not as they are stored."""
        self.spawn(self.recovery.look_again(execution_ids))

    # --- tasks for which there was no room ---

    def _refill(self, drained: set[tuple[Key, int]]) -> None:
        self._wanted |= drained
        if not self._refilling:
            self._refilling = True
            self.spawn(self._refill_wanted())

    async def _refill_wanted(self) -> None:
        """Reads tasks for which there was no room, one kind at a time."""
        try:
            while self._wanted:
                key, priority = self._wanted.pop()
                await self.recovery.refill(key, priority)
        finally:
            self._refilling = False
