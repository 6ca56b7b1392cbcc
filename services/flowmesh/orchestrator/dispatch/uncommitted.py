"""Executions of which something is decided and not committed yet, and what was let go for it."""

from collections.abc import Callable, Iterable

from flowmesh.orchestrator.limits.ready_queues import ReadyTask


class Undecided:
    """One for the committer, which decides, and the dispatcher, which sees what was decided.

    A task that has its turn meanwhile may be let go because its execution is paused, say, by then.
    If that comes to nothing the task has its turn again.
    """

    def __init__(self) -> None:
        self._executions: set[str] = set()
        self._let_go: dict[str, list[ReadyTask]] = {}
        # Told of tasks that may be sent after all.
        self.came_free: Callable[[list[ReadyTask]], None]

    def __contains__(self, execution_id: object) -> bool:
        return execution_id in self._executions

    def begin(self, execution_ids: Iterable[str]) -> None:
        """Something is decided of these."""
        self._executions.update(execution_ids)

    def let_go(self, task: ReadyTask) -> None:
        """A task is not sent, by the present state of its execution."""
        if task.execution_id in self._executions:
            self._let_go.setdefault(task.execution_id, []).append(task)

    def committed(self) -> None:
        """What was decided is so."""
        self._let_go.clear()

    def thrown_away(self, execution_ids: Iterable[str]) -> None:
        """What was decided of these is not so."""
        for execution_id in execution_ids:
            if tasks := self._let_go.pop(execution_id, None):
                self.came_free(tasks)

    def end(self) -> None:
        """Nothing is decided that is not committed."""
        self._executions.clear()
