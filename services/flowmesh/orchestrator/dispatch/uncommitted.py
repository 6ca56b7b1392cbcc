"""Executions with a decision that is not committed, and tasks withheld because of it."""

from collections.abc import Iterable

from flowmesh.orchestrator.limits.ready_queues import ReadyTask


class UncommittedExecutions:
    """Shared by the committer, which decides, and the dispatcher, which sees the decisions.

    A task whose turn comes while a decision is uncommitted may be withheld, for example because
    its execution is paused by then. If the decision is discarded, the task is released.
    """

    def __init__(self) -> None:
        self._executions: set[str] = set()
        self._withheld: dict[str, list[ReadyTask]] = {}

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._executions

    def begin(self, execution_ids: Iterable[str]) -> None:
        """Record that a batch decides about these executions."""
        self._executions.update(execution_ids)

    def withhold(self, task: ReadyTask) -> None:
        """Keep a task that is not sent because of the present state of its execution."""
        if task.execution_id in self._executions:
            self._withheld.setdefault(task.execution_id, []).append(task)

    def committed(self) -> None:
        """Forget withheld tasks: the decisions they depended on hold."""
        self._withheld.clear()

    def discard(self, execution_ids: Iterable[str]) -> list[list[ReadyTask]]:
        """Return the tasks that discarded decisions withheld, one list per execution."""
        return [
            tasks
            for execution_id in execution_ids
            if (tasks := self._withheld.pop(execution_id, None))
        ]

    def end(self) -> None:
        """Record that every decision is committed or discarded."""
        self._executions.clear()
