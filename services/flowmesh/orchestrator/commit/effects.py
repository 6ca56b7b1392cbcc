"""What leaves the process once a batch is committed: events, tasks, timers, answers to waiters."""

from __future__ import annotations

from collections.abc import Iterable

from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.engine import HISTORY_EVENTS_WARN, State, Transition
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.commit.messenger import Messenger
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.commit.timers import Timers
from flowmesh.orchestrator.commit.waiters import Waiters
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.preparation import Preparer
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Stats
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
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
        messenger: Messenger,
        publisher: Publisher,
        stats: Stats,
        metrics: OrchestratorMetrics,
        telemetry: ExecutionTelemetry,
        uncommitted: UncommittedExecutions,
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

    def committed(self, position: int, batch: list[BatchedExecution], after: bytes | None) -> None:
        """Send everything that follows from a batch committed at this outbox position.

        `after` holds the positions of earlier owners that the events must wait for.
        """
        events = history_service_pb2.EventBatch(
            incarnation=self._ownership.incarnation, position=position
        )
        if after is not None:
            events.after.extend(history_service_pb2.EventBatch.FromString(after).after)
        soon_us = self._ownership.now_us() + KEEP_WHILE_DUE_WITHIN_US
        self._uncommitted.committed()
        # In the order of the outbox: parts of a commit must not depend on where they are read.
        for one in sorted(batch, key=lambda one: one.entry.state.execution_id):
            state, transition = one.entry.state, one.transition
            add_events(events, state, transition.first_sequence, one.events)
            self._stats.observe(state, transition, started=one.start is not None)
            if self._telemetry.transitions:
                self._telemetry.committed(state, transition)
            if transition.first_sequence <= HISTORY_EVENTS_WARN <= state.sequence:
                self._metrics.long_histories.inc()
                self._telemetry.history_long(state)
            if not one.kept:
                # Committed in time, but another owner has it by now: only its events are sent.
                continue
            for node_id, attempt in transition.cancel:
                self._dispatcher.cancel(state.execution_id, node_id, attempt)
            together = transition.dispatch
            for node in together if len(together) < 2 else urgent_first(together):
                self._dispatcher.add(state, node, one.partition)
            if one.messages:
                self._messenger.send(one.messages)
            if transition.handler_updates is not None:
                self._send_journals(state, transition)
            self._settle(one, state, soon_us)
        self._stats.tell()
        self._metrics.states_cached.set(len(self._states))
        self._metrics.states_bytes.set(self._states.size)
        self._metrics.history_bytes.inc(sum(len(one.events) for one in batch))
        self._publisher.offer(events)
        self._dispatcher.pump()

    def unchanged(self, state: State, transition: Transition, partition: int) -> None:
        """Repeat requests of an execution that its commands left as it was."""
        self._send_journals(state, transition)
        self._prepare(state, transition, partition)
        self._timers.set(state.execution_id, 0 if state.ended else state.wake_at_us)

    def discarded(self, withheld: Iterable[list[ReadyTask]]) -> None:
        """Release tasks that were withheld because of decisions that are now discarded."""
        for tasks in withheld:
            self._dispatcher.release(tasks)

    def _settle(self, one: BatchedExecution, state: State, soon_us: int) -> None:
        """Update timers, waiters and memory for one execution."""
        if state.ended:
            self._telemetry.ended(state)
            self._timers.set(state.execution_id, 0)
            self._waiters.ended(state)
            self._states.ended(state.execution_id)
            return
        self._prepare(state, one.transition, one.partition)
        wake_at_us = one.row.wake_at_us if one.row is not None else 0
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
