"""Results of repeatable tasks that are decided while a commit is in flight.

The next batch begins with these decisions, so many steps of a chain share one commit. Their
repeatable tasks are sent at once; everything else waits for the commit, as always.
"""

from collections.abc import Callable
from typing import Any

from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.commit.ports import Effects
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.model.commands import STALE, Answer, PendingCommand
from flowmesh.orchestrator.model.errors import Moved
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.states import States

RESULTS_MAX = 64
"""Results of one execution that are decided beside one commit: what a crash may repeat."""

BYTES_MAX = 1 << 20
"""Estimated bytes of all results that are decided beside one commit."""


class RunningAhead:
    """Decides results beside a commit, and takes decisions back that do not hold.

    `decide` is the engine. `without` drops a command on which it failed, and returns the commands
    to decide again. Nothing is decided beside a commit that somebody waits for: waits are short.
    """

    def __init__(
        self,
        *,
        states: States,
        ownership: Ownership,
        uncommitted: UncommittedExecutions,
        lock: CommitLock,
        inbox: Inbox,
        effects: Effects,
        log: Any,
        decide: Callable[[BatchedExecution, PendingCommand, int], Answer | Exception],
        without: Callable[[BatchedExecution, PendingCommand], list[PendingCommand]],
    ) -> None:
        self._states = states
        self._ownership = ownership
        self._uncommitted = uncommitted
        self._lock = lock
        self._inbox = inbox
        self._effects = effects
        self._log = log
        self._decide = decide
        self._without = without
        self._bytes = 0
        self.carried: dict[str, BatchedExecution] = {}
        # Executions on whose command the engine failed, with that command.
        self._unfit: dict[str, PendingCommand] = {}

    def add(self, pending: PendingCommand) -> bool:
        """Decide a result; return False if it has to wait for its turn."""
        execution = self._execution_of(pending)
        if execution is None:
            return False
        try:
            pending.verdict = self._decide(execution, pending, self._ownership.now_us())
        except Exception:  # noqa: BLE001 (logged; the committer replaces the command)
            self._log.exception("command_failed", execution_id=pending.execution_id)
            self._unfit[pending.execution_id] = pending
            return True
        execution.commands.append(pending)
        self._bytes += pending.size
        self._effects.ahead(execution)
        return True

    def changes(self, execution_id: str) -> bool:
        """Return whether an execution was changed beside the last commit, not only asked to."""
        execution = self.carried.get(execution_id)
        return execution is not None and bool(execution.transition.history.events)

    def take(self) -> dict[str, BatchedExecution]:
        """Return what was decided beside the last commit and still holds."""
        carried, unfit = self._taken()
        for execution_id, execution in list(carried.items()):
            if self._ownership.epochs.get(execution.partition) != execution.epoch:
                del carried[execution_id]
                self._states.discard(execution_id)
                for pending in execution.commands:
                    pending.answer(Moved(pending.partition))
            elif (poison := unfit.get(execution_id)) is not None:
                del carried[execution_id]
                self._inbox.put_back(self._without(execution, poison), first=True)
        return carried

    def undo(self) -> None:
        """Take back what was decided beside a commit that failed; its commands wait again."""
        carried, unfit = self._taken()
        for execution_id, execution in carried.items():
            if execution_id in unfit:
                execution.commands.append(unfit[execution_id])
            self.drop(execution)
            self._inbox.put_back(execution.commands, first=True)

    def drop(self, execution: BatchedExecution) -> None:
        """Drop the decisions about an execution, and what was sent or came ahead due to them."""
        state, committed = execution.entry.state, execution.transition.first_sequence - 1
        self._states.discard(state.execution_id)
        if not state.plan.repeatable:
            return
        self._effects.recall(state.execution_id, committed)
        self._inbox.void(state.execution_id, committed)
        for pending in execution.commands:
            if pending.cause > committed:
                pending.answer(STALE)
        execution.commands = [each for each in execution.commands if each.cause <= committed]

    def _taken(self) -> tuple[dict[str, BatchedExecution], dict[str, PendingCommand]]:
        carried, unfit = self.carried, self._unfit
        self.carried, self._unfit, self._bytes = {}, {}, 0
        return carried, unfit

    def _execution_of(self, pending: PendingCommand) -> BatchedExecution | None:
        execution_id = pending.execution_id
        if (
            self._lock.awaited
            or pending.apart
            or pending.partition not in self._ownership.epochs
            or execution_id in self._unfit
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
