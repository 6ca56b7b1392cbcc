"""The orchestrator of one process: its parts put together, and what happens after a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.engine import OUTPUT_BYTES_MAX, Finish, State, Transition, encode_output
from flowmesh.errors import FlowmeshError, NotFound, TooLarge
from flowmesh.expressions import RenderError
from flowmesh.orchestrator.committer import Committer, Touched
from flowmesh.orchestrator.dispatcher import Dispatcher
from flowmesh.orchestrator.ids import ExecutionIds
from flowmesh.orchestrator.metrics import OrchestratorMetrics
from flowmesh.orchestrator.outbox import Outbox, event_row
from flowmesh.orchestrator.ownership import Ownership
from flowmesh.orchestrator.payloads import INLINE_BYTES_MAX, Payloads
from flowmesh.orchestrator.plans import PlanCache
from flowmesh.orchestrator.publisher import Publisher
from flowmesh.orchestrator.ready import Key, ReadyTask
from flowmesh.orchestrator.recovery import Recovery
from flowmesh.orchestrator.states import Entry, States
from flowmesh.orchestrator.stats import Stats
from flowmesh.orchestrator.store import CONNECTION_LOST, CommitLine, OrchestratorStore
from flowmesh.orchestrator.telemetry import ExecutionTelemetry
from flowmesh.orchestrator.timers import Timers
from flowmesh.orchestrator.waiters import Waiters
from flowmesh.orchestrator.works import Work
from flowmesh.plan import PayloadNeeded, PayloadReader, render_input, scope_of
from flowmesh.runtime import Clock
from flowmesh.telemetry import Spans

T = TypeVar("T")

KEEP_WHILE_DUE_WITHIN_US = 10_000_000
"""A sleeping execution stays in memory only if it wakes this soon."""

RETRY_S = 0.2
"""Pause after the database did not answer something that must be done."""


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
    ) -> None:
        self.store, self.plans, self.payloads = store, plans, payloads
        self.clock, self.log, self._metrics = clock, log, metrics
        self.stats, self._told = Stats(metrics), ExecutionTelemetry(spans=spans, log=log)
        self.waiters = Waiters()
        self._tasks: set[asyncio.Task[None]] = set()
        # Kinds and priorities of tasks of which the rows have more than there was room for.
        self._wanted: set[tuple[Key, int]] = set()
        self._refilling = False
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
        self.states = States(store=store, plans=plans, epochs=self.ownership.epochs, log=log)
        self.committer = Committer(
            store=store,
            line=CommitLine(store),
            states=self.states,
            ownership=self.ownership,
            ids=ids,
            metrics=metrics,
            after_commit=self._after_commit,
            unchanged=self._unchanged,
            incarnation_over=self.incarnation_over,
        )
        self.dispatcher = Dispatcher(
            states=self.states,
            ownership=self.ownership,
            clock=clock,
            metrics=metrics,
            submit=self.committer.submit,
            draw=draw,
            prepare=self._prepare,
            refill=self._refill,
        )
        self.timers = Timers(
            store=store,
            now_us=self.ownership.now_us,
            epochs=self.ownership.epochs,
            submit=self.committer.submit,
        )
        self.recovery = self._made_recovery()

    def _made_recovery(self) -> Recovery:
        return Recovery(
            store=self.store,
            states=self.states,
            dispatcher=self.dispatcher,
            epochs=self.ownership.epochs,
            barrier=self.barrier,
            log=self.log,
        )

    # --- life ---

    async def begin(self) -> None:
        """Becomes an incarnation; partitions come with the first renewal of its lease."""
        await self.store.ensure_history_days(self.clock.now_us() // 86_400_000_000)
        incarnation = await self.ownership.register()
        await self.committer.line.begin(incarnation)
        self.publisher.begin(incarnation, 0)
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
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("background_failed", exc_info=task.exception())

    # --- Owner ---

    async def gained(self, partitions: dict[int, int], *, planned: bool) -> None:
        for incarnation, position in self.ownership.inherited.items():
            self.publisher.inherit(incarnation, position)
        self.spawn(self._take_over(dict(partitions), planned))

    async def _take_over(self, partitions: dict[int, int], planned: bool) -> None:
        """Brings back what partitions wait for; goes on trying as long as they are ours."""
        while True:
            mine = self._still_ours(partitions)
            if not mine:
                return
            try:
                await self.timers.load(mine)
                await self.recovery.finish_stranded(mine)
                break
            except CONNECTION_LOST as error:
                self.log.info("take_over_waits", problem=type(error).__name__)
                await asyncio.sleep(RETRY_S)
        # Worker services that have not found this process yet may hold tasks of an earlier owner.
        planned = planned and not self.ownership.young
        found = await self.recovery.recover(mine, planned=planned)
        self.log.info("partitions_recovered", partitions=len(mine), open_tasks=found)

    def _still_ours(self, partitions: dict[int, int]) -> list[int]:
        epochs = self.ownership.epochs
        return [p for p, epoch in partitions.items() if epochs.get(p) == epoch]

    def lost(self, partitions: Iterable[int]) -> None:
        gone = list(partitions)
        self.dispatcher.drop_partitions(gone)
        self.states.evict_partitions(gone)
        self.timers.drop_partitions(gone)
        self.waiters.drop_partitions(gone)

    def resumed(self) -> None:
        self.dispatcher.pump()

    async def barrier(self) -> None:
        await self.committer.barrier()

    # --- after a commit ---

    def _after_commit(self, position: int, touched: list[Touched], after: bytes | None) -> None:
        batch = history_service_pb2.EventBatch(
            incarnation=self.ownership.incarnation, position=position
        )
        if after is not None:
            batch.after.extend(history_service_pb2.EventBatch.FromString(after).after)
        # In the order of the outbox: parts of a commit must not depend on where they are read.
        for one in sorted(touched, key=lambda one: one.entry.state.execution_id):
            state, transition = one.entry.state, one.transition
            batch.rows.append(event_row(state, transition.first_sequence, one.events))
            self.stats.observe(state, transition, started=one.start is not None)
            if not one.kept:
                # Committed in time, but somebody else's by now: only the events are ours to tell.
                continue
            for node, attempt in transition.cancel:
                node_id = state.plan.nodes[node].id
                self.dispatcher.cancel(state.execution_id, node_id, attempt)
            for node in transition.dispatch:
                self.dispatcher.add(state, node, one.partition)
            self._settle(one, state)
        self._metrics.states_cached.set(len(self.states))
        self.publisher.offer(batch)
        self.dispatcher.pump()

    def _settle(self, one: Touched, state: State) -> None:
        """Timers, waiters and memory of one execution after its commit."""
        if state.ended:
            self._told.ended(state)
            self.timers.set(state.execution_id, 0)
            self.waiters.ended(state)
            self.states.ended(state.execution_id)
            return
        if one.transition.needs_payload:
            self.spawn(self._finish(state, one.partition))
        wake_at_us = one.row.wake_at_us if one.row is not None else 0
        self.timers.set(state.execution_id, wake_at_us)
        soon = self.ownership.now_us() + KEEP_WHILE_DUE_WITHIN_US
        if not state.scope.at_workers and wake_at_us > soon:
            self.states.evict(state.execution_id)

    def _unchanged(self, state: State, transition: Transition, partition: int) -> None:
        """Commands changed nothing of this execution: what it waits for must still come."""
        if transition.needs_payload:
            self.spawn(self._finish(state, partition))
        self.timers.set(state.execution_id, 0 if state.ended else state.wake_at_us)

    async def _finish(self, state: State, partition: int) -> None:
        """Fetches what the output template refers to, and lets the engine render it then."""
        payloads: dict[str, bytes] = {}
        output = state.plan.output
        missing, stored = "", None
        if output is not None:
            try:
                value = await self._rendered(
                    state, payloads, lambda read: output.render(scope_of(state, read))
                )
                data = encode_output(value)
                if len(data) > OUTPUT_BYTES_MAX:
                    inline = payload_pb2.Payload(data=data)
                    stored = await self._until_stored(state.plan.namespace, inline)
            except (NotFound, TooLarge) as error:
                missing = error.message
            except RenderError:
                # The engine meets the same problem and says so in the execution's failure.
                missing = ""
        command = Finish(payloads, missing, stored)
        self.committer.submit(Work(state.execution_id, partition, command))

    # --- tasks whose state or payloads are not at hand ---

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
                await self.recovery.refill(list(self.ownership.epochs), key, priority)
        finally:
            self._refilling = False

    def _prepare(self, task: ReadyTask) -> None:
        self.spawn(self._prepared(task))

    async def _prepared(self, task: ReadyTask) -> None:
        """Brings a task's execution and input to hand, and queues it again."""
        ready: ReadyTask | None = None
        try:
            if await self._at_hand(task):
                ready = task
        finally:
            self.dispatcher.prepared(ready)

    async def _at_hand(self, task: ReadyTask) -> bool:
        """False where the task is not to be sent any more."""
        entry = await self._entry(task)
        if entry is None:
            return False
        state = entry.state
        node = state.plan.nodes[task.node]
        try:
            payload = await self._rendered(state, {}, lambda read: render_input(state, node, read))
        except (FlowmeshError, RenderError) as error:
            self.dispatcher.render_failed(task, str(error))
            return False
        if len(payload.data) > INLINE_BYTES_MAX:
            payload = await self._until_stored(state.plan.namespace, payload)
        task.rendered = payload
        return True

    async def _entry(self, task: ReadyTask) -> Entry | None:
        """The task's execution; None once that is somebody else's."""
        while task.partition in self.ownership.epochs:
            try:
                return (await self.states.fetch([task.execution_id])).get(task.execution_id)
            except CONNECTION_LOST:
                await asyncio.sleep(RETRY_S)
        return None

    async def _until_stored(
        self, namespace: str, payload: payload_pb2.Payload
    ) -> payload_pb2.Payload:
        while True:
            try:
                return await self.payloads.put(namespace, payload.encoding, payload.data)
            except CONNECTION_LOST:
                await asyncio.sleep(RETRY_S)

    async def _rendered(
        self, state: State, fetched: dict[str, bytes], render: Callable[[PayloadReader], T]
    ) -> T:
        """Renders, fetching each referenced payload when it is first needed."""

        def read(payload: payload_pb2.Payload) -> bytes:
            if not payload.HasField("reference"):
                return payload.data
            digest = payload.reference.digest
            if digest not in fetched:
                raise PayloadNeeded(digest)
            return fetched[digest]

        while True:
            try:
                return render(read)
            except PayloadNeeded as needed:
                try:
                    fetched[needed.digest] = await self.payloads.read(
                        state.plan.namespace, needed.digest
                    )
                except CONNECTION_LOST:
                    await asyncio.sleep(RETRY_S)
