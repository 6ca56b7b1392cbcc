"""Collaborators of a dispatcher: readers of open tasks and of task inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowmesh.orchestrator.limits.ready_queues import Key, ReadyTask

if TYPE_CHECKING:
    from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher


class OpenTasks(Protocol):
    """Reads open tasks for a dispatcher in the background."""

    def refill(self, dispatcher: Dispatcher, kinds: set[tuple[Key, int]]) -> None:
        """Queue tasks of these kinds and priorities that had no room before."""

    def fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Load executions whose tasks were adopted by their tokens."""

    def requeue(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Queue returned tasks whose execution is not in memory as stored."""


class Preparation(Protocol):
    """Fetches the execution and the input of tasks."""

    def task(self, task: ReadyTask, dispatcher: Dispatcher) -> None:
        """Fetch the execution and the input of a task, then call `dispatcher.prepared`."""
