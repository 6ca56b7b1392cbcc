"""Results, heartbeats and losses of tasks, as worker services report them."""

from collections.abc import Callable, Iterable

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.engine import DeliveryLost, NodeState, State, TaskEnded
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.dispatch_limiter import DispatchLimiter
from flowmesh.orchestrator.dispatch.journals import suspend_of
from flowmesh.orchestrator.dispatch.leases import Attempted, Lease, Leases
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.dispatch.uncommitted_ends import UncommittedEnds
from flowmesh.orchestrator.limits.ready_queues import Key
from flowmesh.orchestrator.limits.retry_budgets import RetryBudgets
from flowmesh.orchestrator.limits.worker_scope import is_permitted
from flowmesh.orchestrator.model.commands import STALE, VOID, PendingCommand, Reply, no_reply
from flowmesh.orchestrator.model.failure_masks import masked_failure
from flowmesh.orchestrator.model.ids import parse_token, partition_of
from flowmesh.orchestrator.storage.states import States


class TaskResults:
    """Turns reports of worker services into commands.

    `add` queues a task again; `requeue` does so for executions that are not in memory as stored.
    `ended` takes the lease of each attempt that ended, with True if it failed.
    """

    def __init__(
        self,
        *,
        states: States,
        leases: Leases,
        limiter: DispatchLimiter,
        budgets: RetryBudgets,
        uncommitted: UncommittedExecutions,
        uncommitted_ends: UncommittedEnds,
        submit: Callable[[PendingCommand], None],
        lose: Callable[[Lease, str], None],
        draw: Callable[[], float],
        add: Callable[[State, NodeState, int], None],
        requeue: Callable[[set[str]], None],
        ended: Callable[[Lease, bool], None],
    ) -> None:
        self._states = states
        self._leases = leases
        self._limiter = limiter
        self._budgets = budgets
        self._uncommitted = uncommitted
        self._uncommitted_ends = uncommitted_ends
        self._submit, self._lose = submit, lose
        self._draw = draw
        self._add = add
        self._requeue = requeue
        self._ended = ended
        # Number of failed attempts by kind.
        self.failed: dict[Key, int] = {}

    def result(self, result: task_pb2.TaskResult, reply: Reply) -> None:
        """Submit a result; the reply follows its commit."""
        token, valid = self._leases.resolve(result.token)
        lease = self._leases.get(token) if valid else None
        attempted = _attempted(token) if lease is None else lease.attempted
        if attempted is None:
            reply(ValueError("not a token"))
            return
        partition, (execution_id, node_id, attempt) = attempted
        scope = result.scope if result.HasField("scope") else None
        key = lease.key if lease is not None else None
        if scope is not None and key is not None and not is_permitted(scope, key):
            reply(STALE)
            return
        failed = result.WhichOneof("outcome") == "failure"
        spent = failed and self._attempt_failed(result, lease, execution_id, node_id)
        if lease is not None:
            self._leases.pop(token)
        # What is not valid ends nothing: its task may be sent while the sender waits.
        tracked = self._uncommitted_ends.track(token, reply) if valid else reply
        if result.HasField("suspended"):
            suspend = suspend_of(result.suspended, attempted[1], lease)
            pending = PendingCommand(execution_id, partition, suspend, tracked)
            pending.cause = _cause(lease, valid=valid)
            self._submit_result(pending, scope)
            return
        if lease is not None:
            self._ended(lease, failed)
        command = TaskEnded(
            node_id,
            attempt,
            output=None if failed else result.output,
            failure=self._failure(result, execution_id) if failed else None,
            metadata=result.metadata,
            worker_id=result.worker_id or (lease.worker_id if lease is not None else ""),
            started_at_us=lease.sent_at_us if lease is not None else 0,
            draw=self._draw() if failed else 0.0,
            spent=spent,
            delivery=self._leases.delivery(token),
        )
        pending = PendingCommand(execution_id, partition, command, tracked)
        pending.cause = _cause(lease, valid=valid)
        pending.repeatable = lease is not None and lease.repeatable and not failed
        self._submit_result(pending, scope)

    def _failure(self, result: task_pb2.TaskResult, execution_id: str) -> failure_pb2.Failure:
        entry = self._states.get(execution_id)
        return result.failure if entry is None else masked_failure(entry.state, result.failure)

    def _submit_result(self, pending: PendingCommand, scope: task_pb2.WorkerScope | None) -> None:
        pending.scope = scope
        self._submit(pending)

    def _attempt_failed(
        self, result: task_pb2.TaskResult, lease: Lease | None, execution_id: str, node_id: str
    ) -> bool:
        """Count a failed attempt. Return True if its retry budget is spent."""
        if lease is not None and lease.key is not None:
            self.failed[lease.key] = self.failed.get(lease.key, 0) + 1
        if lease is not None and lease.permitted and result.failure.retry_after_ms:
            self._limiter.permits.close(lease.token, result.failure.retry_after_ms)
        entry = self._states.get(execution_id)
        node = entry.state.at_workers.get(node_id) if entry is not None else None
        if entry is None or node is None:
            return False
        return self._budgets.spent(self._limiter.rules, entry.state.plan, node, result.failure)

    def heartbeat(self, heartbeats: Iterable[task_pb2.Heartbeat]) -> None:
        self._leases.record_heartbeats(heartbeat.token for heartbeat in heartbeats)

    def lost(self, stream: WorkerStream, tasks: Iterable[pb.LostTask]) -> None:
        """Report tasks as lost that a worker service does not hold any more."""
        for task in tasks:
            if (lease := self._taken_from(stream, task.token, task.worker_id)) is not None:
                self._lose(lease, task.reason or "WORKER_LOST")

    def returned(self, stream: WorkerStream, tokens: Iterable[str]) -> None:
        """Send returned tasks, which no worker has begun, again without counting a delivery."""
        again: set[str] = set()
        for token in tokens:
            if (lease := self._taken_from(stream, token)) is None:
                continue
            entry = self._states.get(lease.execution_id)
            if entry is None or lease.execution_id in self._uncommitted:
                again.add(lease.execution_id)
            elif (node := entry.state.at_workers.get(lease.node_id)) is not None:
                self._add(entry.state, node, lease.partition)
        if again:
            self._requeue(again)

    def _taken_from(self, stream: WorkerStream, token: str, worker_id: str = "") -> Lease | None:
        """Remove and return the lease of a task unless another service or worker holds it."""
        known, valid = self._leases.resolve(token)
        lease = self._leases.get(known) if valid else None
        if lease is None or lease.stream not in (stream, None):
            return None
        if worker_id and lease.worker_id not in ("", worker_id):
            return None
        return self._leases.pop(lease.token)


def _attempted(token: str) -> Attempted | None:
    """Return the attempt of a token without a lease; None if it is malformed."""
    parsed = parse_token(token)
    partition = partition_of(parsed[0]) if parsed is not None else None
    if parsed is None or partition is None:
        return None
    return partition, parsed


def _cause(lease: Lease | None, *, valid: bool) -> int:
    """Return the event that caused an attempt; VOID for a result that is not valid here."""
    if not valid:
        return VOID
    return lease.cause if lease is not None else 0


def submit_loss(
    submit: Callable[[PendingCommand], None], deliveries_max: int, lease: Lease, reason: str
) -> None:
    """Submit the loss of a delivery."""
    command = DeliveryLost(lease.node_id, lease.attempt, reason, deliveries_max)
    pending = PendingCommand(lease.execution_id, lease.partition, command, no_reply)
    pending.cause = lease.cause
    submit(pending)
