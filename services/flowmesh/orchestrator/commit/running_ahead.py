"""Results of repeatable tasks that are decided while a commit is in flight.

The next batch begins with these decisions, so many steps of a chain share one commit. Their
repeatable tasks are sent at once; everything else waits for the commit, as always.
"""

from collections.abc import Callable
from typing import Any

from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.model.commands import Answer, PendingCommand
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.states import States

RESULTS_MAX = 64
"""Results of one execution that are decided beside one commit: what a crash may repeat."""

BYTES_MAX = 1 << 20
"""Estimated bytes of all results that are decided beside one commit."""


class RunningAhead:
    """Decides results beside a commit. `decide` is the engine, `send` sends repeatable tasks.

    Nothing is decided beside a commit whose end somebody waits for, so waits are short.
    """

    def __init__(
        self,
        *,
        states: States,
        ownership: Ownership,
        uncommitted: UncommittedExecutions,
        lock: CommitLock,
        log: Any,
        decide: Callable[[BatchedExecution, PendingCommand, int], Answer | Exception],
        send: Callable[[BatchedExecution], None],
    ) -> None:
        self._states = states
        self._ownership = ownership
        self._uncommitted = uncommitted
        self._lock = lock
        self._log = log
        self._decide = decide
        self._send = send
        self._bytes = 0
        self.carried: dict[str, BatchedExecution] = {}
        # Executions on whose command the engine failed, with that command.
        self.unfit: dict[str, PendingCommand] = {}

    def add(self, pending: PendingCommand) -> bool:
        """Decide a result; return False if it has to wait for its turn."""
        execution = self._execution_of(pending)
        if execution is None:
            return False
        try:
            pending.verdict = self._decide(execution, pending, self._ownership.now_us())
        except Exception:  # noqa: BLE001 (logged; the committer replaces the command)
            self._log.exception("command_failed", execution_id=pending.execution_id)
            self.unfit[pending.execution_id] = pending
            return True
        execution.commands.append(pending)
        self._bytes += pending.size
        self._send(execution)
        return True

    def take(self) -> dict[str, BatchedExecution]:
        """Return the executions that the next batch begins with."""
        carried, self.carried, self._bytes = self.carried, {}, 0
        return carried

    def _execution_of(self, pending: PendingCommand) -> BatchedExecution | None:
        execution_id = pending.execution_id
        if (
            self._lock.awaited
            or pending.apart
            or pending.partition not in self._ownership.epochs
            or execution_id in self.unfit
            or self._bytes + pending.size > BYTES_MAX
        ):
            return None
        execution = self.carried.get(execution_id)
        if execution is not None:
            return execution if len(execution.commands) < RESULTS_MAX else None
        entry = self._states.get(execution_id)
        if entry is None:
            return None
        execution = self.carried[execution_id] = BatchedExecution(entry, pending.partition, None)
        execution.epoch = self._ownership.epochs[pending.partition]
        self._uncommitted.begin((execution_id,))
        return execution
