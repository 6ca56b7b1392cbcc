"""Refuses starts of stopped workflows, beyond a quota, or with a task for a full queue.

Running executions are not affected: their tasks were accepted with the start. An owner of some
partitions has the same share of the size of a queue.
"""

from collections.abc import Collection, Iterator
from math import ceil

from flowmesh.errors import Overloaded, WrongState
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.limits.quotas import NamespaceUse, QuotaCounters
from flowmesh.orchestrator.model.commands import Answer, Reservation
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.plan import Plan, PlanNode

PLANS_REMEMBERED = 1_000
RETRY_AFTER_MS = 1_000

Queue = tuple[str, str]
"""The namespace and name of a queue."""


class QueueSizes:
    """Counts starts that are not committed as one waiting task in each queue of their plan."""

    def __init__(self, *, dispatcher: Dispatcher, owned: Collection[int]) -> None:
        self._dispatcher = dispatcher
        self._owned = owned
        self._queues: dict[str, frozenset[str]] = {}
        self._begun: dict[Queue, int] = {}

    def check_open(self, plan: Plan) -> None:
        """Raise WORKFLOW_STOPPED if a stop refuses the starts of the workflow."""
        rules = self._dispatcher.limiter.rules
        if rules.stops and rules.refuses_starts(plan.namespace, plan.workflow_id):
            text = f"workflow {plan.workflow_id} is stopped; deploy a version to start it again"
            raise WrongState("WORKFLOW_STOPPED", text)

    def reserve(self, plan: Plan) -> list[Queue]:
        """Count an accepted start in the bounded queues of its plan. Raises QUEUE_FULL."""
        sizes = self._dispatcher.limiter.rules.sizes
        if not sizes:
            return []
        queues = [
            (plan.namespace, queue)
            for queue in sorted(self._queues_of(plan))
            if (plan.namespace, queue) in sizes
        ]
        for queue in queues:
            self._check(queue, sizes[queue])
        for queue in queues:
            self._begun[queue] = self._begun.get(queue, 0) + 1
        return queues

    def _check(self, queue: Queue, size: int) -> None:
        ready, limiter = self._dispatcher.ready, self._dispatcher.limiter
        keys = [key for key in ready.keys if key[:2] == queue]
        waiting = ready.waiting(keys) + limiter.held_in(*queue)
        share = ceil(size * len(self._owned) / PARTITION_COUNT)
        left_to_rows = any(ready.has_more(key) for key in keys)
        if not left_to_rows and waiting + self._begun.get(queue, 0) < share:
            return
        message = f"queue {queue[1]} is full: {waiting:,} tasks wait in it, of at most {size:,}"
        raise Overloaded("QUEUE_FULL", message, retry_after_ms=RETRY_AFTER_MS)

    def release(self, queues: list[Queue]) -> None:
        """Give back what `reserve` counted."""
        for queue in queues:
            self._begun[queue] -= 1
            if not self._begun[queue]:
                del self._begun[queue]

    def _queues_of(self, plan: Plan) -> frozenset[str]:
        found = self._queues.get(plan.digest)
        if found is None:
            if len(self._queues) >= PLANS_REMEMBERED:
                self._queues.clear()
            found = self._queues[plan.digest] = frozenset(node.queue for node in _tasks(plan.nodes))
        return found


class _Reserved:
    __slots__ = ("_queue_sizes", "_queues", "_use")

    def __init__(self, queue_sizes: QueueSizes, queues: list[Queue], use: NamespaceUse | None):
        self._queue_sizes = queue_sizes
        self._queues = queues
        self._use = use

    def release(self, answer: Answer | Exception) -> None:
        self._queue_sizes.release(self._queues)
        if self._use is not None:
            self._use.begun(answer)


class StartAdmission:
    """Admits starts, and counts them until their answer."""

    def __init__(self, *, queue_sizes: QueueSizes, quotas: QuotaCounters) -> None:
        self._queue_sizes = queue_sizes
        self._quotas = quotas

    def reserve(self, plan: Plan, *, linked: bool = False) -> Reservation | None:
        """Return what an accepted start holds until its answer; None if that is nothing.

        Raises WORKFLOW_STOPPED, QUEUE_FULL, QUOTA_EXCEEDED or PLAN_LIMIT_REACHED. Stops, quotas and
        plans do not hold for the start of a linked execution, which another one requests, as the
        other one could not continue without it.
        """
        if not linked:
            self._queue_sizes.check_open(plan)
            self._quotas.check(plan.namespace)
        queues, use = self._queue_sizes.reserve(plan), self._quotas.begin(plan.namespace)
        return _Reserved(self._queue_sizes, queues, use) if queues or use is not None else None


def _tasks(nodes: Collection[PlanNode]) -> Iterator[PlanNode]:
    for node in nodes:
        if node.body is not None:
            yield from _tasks(node.body.nodes)
        elif node.is_task:
            yield node
