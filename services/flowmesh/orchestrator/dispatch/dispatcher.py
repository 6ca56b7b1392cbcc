"""Dispatch of ready tasks to worker services, as late as possible: against their credit.

Ready queues and leases are in memory only and may be lost: open tasks are part of the committed
state. Every task passes here, so priorities, limits and permissions apply at one place.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import DELIVERIES_MAX, NodeState, State, TaskEnded
from flowmesh.expressions import RenderError
from flowmesh.orchestrator.dispatch.adoption import Adoption
from flowmesh.orchestrator.dispatch.attachment import WorkerSet
from flowmesh.orchestrator.dispatch.dispatch_limiter import DispatchLimiter
from flowmesh.orchestrator.dispatch.journals import Journals, journal_of
from flowmesh.orchestrator.dispatch.leases import Lease, Leases
from flowmesh.orchestrator.dispatch.long_runs import LongRuns
from flowmesh.orchestrator.dispatch.permission_check import PermissionCheck
from flowmesh.orchestrator.dispatch.ports import OpenTasks, Preparation
from flowmesh.orchestrator.dispatch.routing.router import LearnedRouter, serve_by_preference
from flowmesh.orchestrator.dispatch.task_results import TaskResults, submit_loss
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.dispatch.uncommitted_ends import UncommittedEnds
from flowmesh.orchestrator.dispatch.worker_services import WorkerServices
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.ready_queues import Key, ReadyQueues, ReadyTask, key_of
from flowmesh.orchestrator.limits.retry_budgets import RetryBudgets
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.model.attempt_metrics import AttemptMetrics
from flowmesh.orchestrator.model.commands import PendingCommand, no_reply
from flowmesh.orchestrator.model.failures import failure
from flowmesh.orchestrator.model.ids import marked, token_of
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.ownership.attached_workers import AttachedWorkers
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.states import States
from flowmesh.plan import FetchNeeded, render_input
from flowmesh.runtime import Clock

PREPARING_MAX = 64
"""Limit of tasks whose execution or payloads are being fetched."""

TASK_BYTES = 300
"""Estimated bytes of a task in a frame without its input."""


class Dispatcher:
    """Ready queues on one side, attached worker services on the other.

    `services` keeps the attached worker services, `results` takes their reports. `router` is None
    unless queues are routed by learned durations.
    """

    def __init__(
        self,
        *,
        states: States,
        ownership: Ownership,
        clock: Clock,
        metrics: OrchestratorMetrics,
        submit: Callable[[PendingCommand], None],
        draw: Callable[[], float],
        preparation: Preparation,
        open_tasks: OpenTasks,
        uncommitted: UncommittedExecutions,
        permits: PermitClient,
        permission_check: PermissionCheck,
        attached_workers: AttachedWorkers,
        traceparent_of: Callable[[State], str] | None = None,
        router: LearnedRouter | None = None,
        deliveries_max: int = DELIVERIES_MAX,
    ) -> None:
        self._states, self._ownership, self._clock = states, ownership, clock
        self._submit, self._draw, self._uncommitted = submit, draw, uncommitted
        self._preparation, self._open_tasks = preparation, open_tasks
        self._turn, self._preparing, self._pump_due, self._marks = 0, 0, False, 0
        self._traceparent_of, self.permission_check = traceparent_of, permission_check
        self._uncommitted_ends, self.router = UncommittedEnds(), router
        self.limiter = DispatchLimiter(permits=permits, release=self.release)
        self.ready = ReadyQueues(self.limiter.weight)
        lost = partial(submit_loss, submit, deliveries_max)
        self.leases = Leases(clock=clock, lost=lost, freed=permits.release)
        self._long_runs = LongRuns(
            clock=clock, leases=self.leases, submit=submit, overdue=self._overdue
        )
        self.adoption = Adoption(
            states=states,
            ownership=ownership,
            clock=clock,
            leases=self.leases,
            limiter=self.limiter,
            long_runs=self._long_runs,
            uncommitted_ends=self._uncommitted_ends,
            uncommitted=uncommitted,
            fetch=partial(open_tasks.fetch_adopted, self),
            requeue=partial(open_tasks.requeue, self),
        )
        self.journals = Journals(states, self.leases, submit, self.adoption.adopt)
        self._budgets = RetryBudgets(clock)
        self.services = WorkerServices(
            clock=clock,
            epochs=ownership.epochs,
            leases=self.leases,
            adoption=self.adoption,
            ready=self.ready,
            attached_workers=attached_workers,
        )
        self._streams = self.services.streams
        self.results = TaskResults(
            states=states,
            leases=self.leases,
            limiter=self.limiter,
            budgets=self._budgets,
            uncommitted=uncommitted,
            uncommitted_ends=self._uncommitted_ends,
            submit=submit,
            lose=lost,
            draw=draw,
            add=self.add,
            requeue=partial(open_tasks.requeue, self),
            ended=partial(self._ended, metrics.attempts),
        )
        self._export(metrics)

    def _export(self, metrics: OrchestratorMetrics) -> None:
        metrics.tasks_ready.set_function(lambda: self.ready.count)
        metrics.tasks_held_back.set_function(lambda: self.limiter.held_count)
        metrics.oldest_ready.set_function(self._oldest_ready_s)
        metrics.tasks_out.set_function(lambda: len(self.leases))

    def _oldest_ready_s(self) -> float:
        since_ms = self.ready.oldest_ms()
        if since_ms is None:
            return 0.0
        return max(0.0, self._ownership.now_us() / 1000 - since_ms) / 1000

    # --- queueing ---

    def add(self, state: State, node: NodeState, partition: int) -> None:
        """Queue the current attempt of a node whose scheduling is committed."""
        if node.planned.permissions or self.permission_check.checks_every_task:
            refused = self.permission_check.refusal(state, node)
            if refused is not None:
                self._submit(PendingCommand(state.execution_id, partition, refused))
                return
        key = key_of(state.plan, node.planned)
        priority = node.planned.priority
        epoch = self._ownership.epochs.get(partition, -1)
        task = ReadyTask(state.execution_id, node.id, node.attempt, partition, key, priority, epoch)
        task.since_ms = self._ownership.now_us() / 1000
        if state.plan.limits is not None or node.planned.limits is not None:
            task.fair, task.needs = self.limiter.declared.of(state, node)
        if self.ready.push(task):
            for stream in self._streams:
                stream.add_key(key)

    def cancel(self, execution_id: str, node_id: str, attempt: int) -> None:
        """Cancel an attempt: remove its lease and notify its worker."""
        token = token_of(execution_id, node_id, attempt)
        lease = self.leases.pop(token)
        self.limiter.canceled(token)
        if lease is not None and lease.stream is not None:
            lease.stream.cancel(lease.wire_token)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        self.leases.drop_partitions(gone)
        self.ready.drop_partitions(gone)
        self.limiter.drop_partitions(gone)
        for stream in self._streams:
            stream.report_backlog(self.ready)

    # --- sending ---

    def pump(self) -> None:
        """Send the tasks that credit allows, highest priority first, to worker sets in turn."""
        if not self._ownership.lease_valid:
            return
        if self.ready.count:
            self._pump()
        self.ready.left_to_rows(self.limiter.take_left())
        drained = self.ready.take_drained()
        if drained:
            self._open_tasks.refill(self, drained)

    def _pump(self) -> None:
        sets = [s for stream in self._streams for s in stream.sets.values() if s.credit]
        if sets:
            self._turn += 1
            start = self._turn % len(sets)
            sets = sets[start:] + sets[:start]
            if self.router is not None:
                self._serve_learned(sets, self.router)
            while sets and self.ready.count:
                share = max(1, self.ready.count // len(sets))
                sets = [one for one in sets if self._serve(one, share, one.keys)]
        for stream in self._streams:
            stream.report_backlog(self.ready)

    def _serve_learned(self, sets: list[WorkerSet], router: LearnedRouter) -> None:
        """Send tasks first to the workers that are expected to end them sooner."""
        preferences = router.preferences(sets, self.ready.counts)
        if preferences:
            share = max(1, self.ready.count // len(sets))
            serve_by_preference(
                sets,
                preferences,
                lambda one, keys: self._serve(one, share, keys),
                lambda: self.ready.count,
            )

    def _ended(self, attempts: AttemptMetrics, lease: Lease, failed: bool) -> None:
        if lease.key is None or not lease.sent_at_ms:
            return
        now_ms = self._clock.monotonic_ms()
        duration_ms = now_ms - lease.sent_at_ms
        attempts.ended(lease.key, lease.worker_id, duration_ms, now_ms, failed=failed)
        if self.router is not None:
            self.router.ended(
                lease.key, lease.worker_id, duration_ms, failed=failed, routed=lease.routed
            )

    def _serve(self, worker_set: WorkerSet, share: int, keys: Collection[Key]) -> bool:
        """Send up to `share` tasks of these keys to a set. Return False if it takes no more now."""
        for _ in range(min(share, worker_set.credit)):
            task = self.ready.pop(keys)
            if task is None or not self._send(task, worker_set):
                return False
        return worker_set.credit > 0

    def release(self, tasks: list[ReadyTask]) -> None:
        """Queue tasks that are no longer held back; send all released ones together."""
        for task in reversed(tasks):
            self.ready.push_front(task, its_turn=False)
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump_released)

    def _pump_released(self) -> None:
        self._pump_due = False
        self.pump()

    def _prepare(self, task: ReadyTask) -> bool:
        """Fetch the inputs of a task. Return False if too many are being fetched."""
        if self._preparing >= PREPARING_MAX:
            self.ready.push_front(task)
            return False
        self._preparing += 1
        self._preparation.task(task, self)
        return True

    def prepared(self, task: ReadyTask, *, is_ready: bool) -> None:
        """Queue a prepared task; drop it if it is not to be sent any more."""
        self._preparing -= 1
        if is_ready:
            self.ready.push_front(task)
        else:
            self._not_sent(task, token_of(task.execution_id, task.node_id, task.attempt))
        self.pump()

    def _send(self, task: ReadyTask, worker_set: WorkerSet) -> bool:
        """Send a task unless it is obsolete. Return False if no task can be sent now."""
        token = token_of(task.execution_id, task.node_id, task.attempt)
        if (lease := self.leases.get(token)) is not None:
            # A worker already holds it: the lease takes permits that were granted meanwhile.
            lease.permitted |= task.permitted
            return True
        if (
            self._ownership.epochs.get(task.partition) != task.epoch
            or token in self._uncommitted_ends
        ):
            return self._not_sent(task, token)
        entry = self._states.get(task.execution_id)
        if entry is None:
            return self._prepare(task)
        state = entry.state
        node = state.at_workers.get(task.node_id)
        if node is None or node.attempt != task.attempt or state.paused:
            self._uncommitted.withhold(task)
            return self._not_sent(task, token)
        try:
            payload = task.rendered or render_input(state, node)
        except FetchNeeded:
            return self._prepare(task)
        except RenderError as error:
            self.render_failed(task, str(error))
            return self._not_sent(task, token)
        if len(payload.data) > INLINE_BYTES_MAX:
            return self._prepare(task)
        limiter, planned = self.limiter, node.planned
        if (task.needs or limiter.rules.any) and not limiter.admits(
            task, planned, state.plan, token
        ):
            return True
        self._send_rendered(task, worker_set, state, node, payload, token)
        return True

    def send_ahead(self, state: State, node: NodeState, partition: int) -> None:
        """Send a repeatable task before the commit, if a worker is free and nothing else decides.

        What is not sent is queued after the commit, as are tasks with limits or permissions.
        """
        limited = self.limiter.rules.any or state.plan.limits is not None or node.planned.limits
        checked = node.planned.permissions or self.permission_check.checks_every_task
        if limited or checked or self.router is not None or not self._ownership.lease_valid:
            return
        key = key_of(state.plan, node.planned)
        free = self._free_for(key)
        token = token_of(state.execution_id, node.id, node.attempt)
        if free is None or self.ready.counts.get(key) or token in self.leases:
            return
        try:
            payload = render_input(state, node)
        except (FetchNeeded, RenderError):
            return
        if len(payload.data) > INLINE_BYTES_MAX:
            return
        epoch = self._ownership.epochs.get(partition, -1)
        task = ReadyTask(
            state.execution_id, node.id, node.attempt, partition, key, node.planned.priority, epoch
        )
        self._marks += 1
        mark = f"{self._ownership.incarnation}.{self._marks}"
        self._send_rendered(task, free, state, node, payload, token, mark)

    def _free_for(self, key: Key) -> WorkerSet | None:
        """Return the workers with the most credit that take a kind of task."""
        found: WorkerSet | None = None
        for stream in self._streams:
            for one in stream.sets.values():
                if one.credit and key in one.keys and (found is None or one.credit > found.credit):
                    found = one
        return found

    def _not_sent(self, task: ReadyTask, token: str) -> bool:
        """Drop an obsolete task. Return True: the next one may be sent."""
        self.limiter.withdraw(task, token)
        return True

    def _send_rendered(
        self,
        task: ReadyTask,
        worker_set: WorkerSet,
        state: State,
        attempted: NodeState,
        payload: payload_pb2.Payload,
        token: str,
        mark: str = "",
    ) -> None:
        node, spec, journal = attempted.planned, attempted.planned.spec, journal_of(attempted)
        assert spec is not None
        stream, traced = worker_set.stream, self._traceparent_of
        stream.send_spec(spec)
        stream.out.tasks.add(
            set_id=worker_set.set_id,
            task=task_pb2.Task(
                token=marked(token, mark) if mark else token,
                namespace=state.plan.namespace,
                execution_id=task.execution_id,
                workflow_id=state.plan.workflow_id,
                node=task.node_id,
                attempt=task.attempt,
                task_type=spec.task_type,
                spec_digest=spec.digest,
                input=payload,
                idempotency_key=f"{task.execution_id}/{task.node_id}",
                timeout_ms=node.timeout_ms,
                heartbeat_timeout_ms=node.heartbeat_timeout_ms,
                partition=task.partition,
                epoch=task.epoch,
                traceparent=state.traceparent if traced is None else traced(state),
                queue=node.queue,
                journal=journal,
            ),
        )
        stream.task_added(len(payload.data) + TASK_BYTES + (journal.ByteSize() if journal else 0))
        stream.flush_soon()
        worker_set.credit -= 1
        if state.plan.limits is not None or self.limiter.rules.limits:
            self._budgets.begun(self.limiter.rules, state.plan, node)
        lease = Lease(
            token,
            task.execution_id,
            task.node_id,
            task.attempt,
            task.partition,
            stream,
            worker_set.worker_id,
            self._clock.monotonic_ms(),
            self._ownership.now_us(),
            node.timeout_ms,
            node.heartbeat_timeout_ms,
            key=task.key,
            permitted=task.permitted,
            routed=self.router is not None and task.key in self.router.routed,
            mark=mark,
            cause=state.sequence if mark else 0,
            repeatable=node.repeatable and journal is None,
        )
        self.leases.put(lease)
        self._long_runs.sent(lease, attempted)

    def render_failed(self, task: ReadyTask, message: str) -> None:
        command = TaskEnded(
            task.node_id,
            task.attempt,
            failure=failure("ValidationError", f"input of {task.node_id}: {message}"),
            started_at_us=self._ownership.now_us(),
        )
        self._submit(PendingCommand(task.execution_id, task.partition, command))

    def limits_changed(self, rules: Rules) -> None:
        """Apply changed limits and stops; running tasks count too."""
        self.limiter.changed(rules, self.adoption.running(rules))
        self.pump()

    def _overdue(self, lease: Lease) -> bool:
        """End an attempt that is over its time. Return False if this process may not own it."""
        if not self._ownership.lease_valid:
            return False
        self.cancel(lease.execution_id, lease.node_id, lease.attempt)
        command = TaskEnded(
            lease.node_id,
            lease.attempt,
            failure=failure("Timeout", "the attempt took longer than it may"),
            worker_id=lease.worker_id,
            started_at_us=lease.sent_at_us,
            draw=self._draw(),
        )
        reply = self._uncommitted_ends.track(lease.token, no_reply)
        pending = PendingCommand(lease.execution_id, lease.partition, command, reply)
        pending.cause = lease.cause
        self._submit(pending)
        return True
