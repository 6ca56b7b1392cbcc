"""Effects of a commit that leave the process: events, tasks, timers, answers to waiters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.engine import HISTORY_EVENTS_WARN, State, Transition
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.commit.messenger import Messengers
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.commit.timers import Timers
from flowmesh.orchestrator.commit.waiters import Waiters
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.preparation import Preparer
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Stats
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.limits.quotas import QuotaCounters
from flowmesh.orchestrator.limits.ready_queues import ReadyTask, urgent_first
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.telemetry import ExecutionTelemetry
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.outbox import add_events
from flowmesh.orchestrator.storage.states import States

KEEP_WHILE_DUE_WITHIN_US = 10_000_000
"""A sleeping execution stays in memory only if it wakes within this time."""


class CommitEffects:
    """Called by the committer after each commit, in the order of the outbox."""

    def __init__(
        self,
        *,
        ownership: Ownership,
        states: States,
        dispatcher: Dispatcher,
        preparation: Preparer,
        timers: Timers,
        waiters: Waiters,
        messenger: Messengers,
        publisher: Publisher,
        stats: Stats,
        metrics: OrchestratorMetrics,
        telemetry: ExecutionTelemetry,
        uncommitted: UncommittedExecutions,
        quotas: QuotaCounters,
        awaited: Callable[[], None],
    ) -> None:
        self._ownership = ownership
        self._states = states
        self._dispatcher = dispatcher
        self._preparation = preparation
        self._timers = timers
        self._waiters = waiters
        self._messenger = messenger
        self._publisher = publisher
        self._stats = stats
        self._metrics = metrics
        self._telemetry = telemetry
        self._uncommitted = uncommitted
        self._quotas = quotas
        self._awaited = awaited

    def committed(self, position: int, batch: list[BatchedExecution], after: bytes | None) -> None:
        """Send all effects of a batch that was committed at this outbox position.

        `after` holds the positions of earlier owners that the events must wait for.
        """
        events = history_service_pb2.EventBatch(
            incarnation=self._ownership.incarnation, position=position
        )
        if after is not None:
            events.after.extend(history_service_pb2.EventBatch.FromString(after).after)
        soon_us = self._ownership.now_us() + KEEP_WHILE_DUE_WITHIN_US
        self._uncommitted.committed()
        # In the order of the outbox, so that parts of a commit from either source are equal.
        for execution in sorted(batch, key=lambda execution: execution.entry.state.execution_id):
            state, transition = execution.entry.state, execution.transition
            add_events(events, state, transition.first_sequence, execution.events)
            self._stats.observe(state, transition, started=execution.start is not None)
            if self._telemetry.transitions:
                self._telemetry.committed(state, transition)
            if transition.first_sequence <= HISTORY_EVENTS_WARN <= state.sequence:
                self._metrics.long_histories.inc()
                self._telemetry.history_long(state)
            if not execution.kept:
                # Committed, but another owner has the partition by now: only send its events.
                continue
            for node_id, attempt in transition.cancel:
                self._dispatcher.cancel(state.execution_id, node_id, attempt)
            together = transition.dispatch
            for node in together if len(together) < 2 else urgent_first(together):
                self._dispatcher.add(state, node, execution.partition)
            if execution.row is not None and execution.row.waits:
                self._awaited()
            if execution.messages:
                self._messenger.send(execution.messages)
            if transition.handler_updates is not None:
                self._send_journals(state, transition)
            if not execution.carried:
                self._settle(execution, state, soon_us)
            elif not state.ended:
                self._prepare(state, transition, execution.partition)
        self._stats.flush_metrics()
        self._metrics.states_cached.set(len(self._states))
        self._metrics.states_bytes.set(self._states.size)
        self._metrics.history_bytes.inc(sum(len(execution.events) for execution in batch))
        self._publisher.offer(events)
        self._dispatcher.pump()

    def ahead(self, execution: BatchedExecution) -> None:
        """Send repeatable tasks of a decision that is not committed yet."""
        state, nodes = execution.entry.state, execution.transition.dispatch
        for node in nodes[execution.seen :]:
            open_here = state.at_workers.get(node.id) is node and not state.paused
            if node.planned.repeatable and open_here:
                self._dispatcher.send_ahead(state, node, execution.partition)
        execution.seen = len(nodes)

    def recall(self, execution_id: str, committed: int) -> None:
        """Cancel the tasks that were sent ahead because of events after this sequence."""
        self._dispatcher.leases.recall(execution_id, committed)

    def unchanged(self, state: State, transition: Transition, partition: int) -> None:
        """Repeat the requests of an execution that its commands left unchanged."""
        self._send_journals(state, transition)
        self._prepare(state, transition, partition)
        self._timers.set(state.execution_id, 0 if state.ended else state.wake_at_us)

    def discarded(self, withheld: Iterable[list[ReadyTask]]) -> None:
        """Release tasks that were withheld because of decisions that are now discarded."""
        for tasks in withheld:
            self._dispatcher.release(tasks)

    def _settle(self, execution: BatchedExecution, state: State, soon_us: int) -> None:
        """Update timers, waiters and memory for one execution."""
        if state.ended:
            self._telemetry.ended(state)
            self._quotas.ended(state.plan.namespace)
            self._timers.set(state.execution_id, 0)
            self._waiters.ended(state)
            self._states.ended(state.execution_id)
            return
        self._prepare(state, execution.transition, execution.partition)
        wake_at_us = execution.row.wake_at_us if execution.row is not None else 0
        self._timers.set(state.execution_id, wake_at_us)
        awaits_signal = bool(state.signals) or "" in state.awaiting
        if not state.at_workers and wake_at_us > soon_us and not awaits_signal:
            # A sleeping execution is kept as a row; one that receives signals stays in memory.
            self._states.evict(state.execution_id)

    def _prepare(self, state: State, transition: Transition, partition: int) -> None:
        """Fetch what the execution needs to continue."""
        if transition.needs_payload:
            self._preparation.output(state, partition)
        for node in transition.asks:
            self._preparation.body(state, node, partition)

    def _send_journals(self, state: State, transition: Transition) -> None:
        for node, known in (transition.handler_updates or {}).values():
            self._dispatcher.journals.send_added(state, node, known)
