"""Collaborators of the committer."""

from collections.abc import Iterable
from typing import Protocol

from flowmesh.engine import State, Transition
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.limits.ready_queues import ReadyTask


class Effects(Protocol):
    """The effects of commits outside the committer."""

    def committed(self, position: int, batch: list[BatchedExecution], after: bytes | None) -> None:
        """Send the effects of the batch that was committed at an outbox position."""

    def ahead(self, execution: BatchedExecution) -> None:
        """Send repeatable tasks of a decision that is not committed yet."""

    def recall(self, execution_id: str, committed: int) -> None:
        """Cancel the tasks that were sent ahead because of events after this sequence."""

    def unchanged(self, state: State, transition: Transition, partition: int) -> None:
        """Repeat the requests of an execution that its commands left unchanged."""

    def discarded(self, withheld: Iterable[list[ReadyTask]]) -> None:
        """Release tasks that were withheld because of decisions that are discarded."""
