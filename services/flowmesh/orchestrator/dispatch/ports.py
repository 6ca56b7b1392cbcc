"""What a dispatcher asks of others: reading open tasks, and fetching what a task needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowmesh.orchestrator.limits.ready_queues import Key, ReadyTask

if TYPE_CHECKING:
    from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher


class OpenTasks(Protocol):
    """Reads open tasks for the dispatcher that asks; the answers arrive in the background."""

    def refill(self, dispatcher: Dispatcher, kinds: set[tuple[Key, int]]) -> None:
        """Queue tasks of these kinds and priorities that had no room before."""

    def fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Load executions whose tasks were adopted without knowing their state."""

    def requeue(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        """Queue tasks that came back while their execution was not in memory as stored."""


class Preparation(Protocol):
    """Fetches what a task needs before it can be sent."""

    def task(self, task: ReadyTask, dispatcher: Dispatcher) -> None:
        """Fetch the execution and the input of a task, then call `dispatcher.prepared`."""
