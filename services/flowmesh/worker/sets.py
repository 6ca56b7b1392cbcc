"""A worker set: slots that take tasks of some types from some queues."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import Grant
from flowmesh.api.worker.v1.task_pb2 import Task, TaskRecorded, WorkerScope
from flowmesh.worker.credit import Credit
from flowmesh.worker.leases import Receipt


@dataclass(frozen=True, slots=True)
class Owner:
    """The credential of a worker, and the tasks that it permits; empty sets of queues and types
    permit all.
    """

    principal_id: str
    namespace: str
    queues: frozenset[str] = frozenset()
    task_types: frozenset[str] = frozenset()
    # Names of secrets that the worker may receive, `*` for all; empty permits none.
    secrets: frozenset[str] = frozenset()

    @property
    def scope(self) -> WorkerScope:
        """The message by which an orchestrator checks tasks that it dispatched elsewhere."""
        return WorkerScope(
            namespace=self.namespace,
            queues=sorted(self.queues),
            task_types=sorted(self.task_types),
        )


class WorkerSet(ABC):
    """A receiver of tasks: the built-in executors, or one stream of a remote worker."""

    def __init__(
        self, *, set_id: str, worker_id: str, slots: int, owner: Owner | None = None
    ) -> None:
        self.set_id = set_id
        self.worker_id = worker_id
        # None for built-in sets and in open installations.
        self.owner = owner
        self.credit = Credit(slots)
        # True if the set takes no more tasks.
        self.draining = False

    @abstractmethod
    def grant(self, slots: int) -> Grant:
        """Return the message that grants slots of this set."""

    @abstractmethod
    def deliver(self, tasks: Sequence[Task], specs: Mapping[str, TaskSpec]) -> None:
        """Run tasks whose credit is spent; must not block."""

    @abstractmethod
    def cancel(self, tokens: Sequence[str]) -> None:
        """Cancel these tasks; each still returns a result."""

    @abstractmethod
    def settled(self, receipts: Sequence[Receipt], stale: Sequence[str]) -> None:
        """Confirm frames as settled; `stale` are tokens whose results were not applied."""

    def recorded(self, recorded: TaskRecorded) -> None:  # noqa: B027 (most sets keep no journals)
        """Confirm journal records of a handler that runs here."""

    def check_alive(self, now_ms: float) -> None:  # noqa: B027 (most sets cannot fall silent)
        """End the set if it is silent for too long; called every tick."""
