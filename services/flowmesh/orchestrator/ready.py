"""Tasks that wait for credit: by namespace, queue and task type, and within these by priority."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flowmesh.api.common.v1 import payload_pb2, priority_pb2
from flowmesh.plan import Plan, PlanNode

READY_MAX = 50_000
"""Ready tasks kept in memory; the rest is read again from the rows when these have left."""

READY_KEY_MIN = 1_000
"""So many of each key and priority have room however many others wait, which may be for ever."""

Key = tuple[str, str, str]
"""Namespace, queue and task type."""
_PRIORITIES = range(priority_pb2.PRIORITY_CRITICAL, priority_pb2.PRIORITY_UNSPECIFIED, -1)


def key_of(plan: Plan, node: PlanNode) -> Key:
    """What decides which workers may take a node's tasks."""
    assert node.spec is not None
    return plan.namespace, node.queue, node.spec.task_type


@dataclass(slots=True)
class ReadyTask:
    """One attempt that waits for a worker; `rendered` is its input where that took a fetch."""

    execution_id: str
    node_id: str
    attempt: int
    partition: int
    key: Key
    priority: int
    rendered: payload_pb2.Payload | None = None


class ReadyQueues:
    """First in, first out within one key and priority; a higher priority always leaves first."""

    def __init__(self) -> None:
        self._queues: dict[int, dict[Key, deque[ReadyTask]]] = {p: {} for p in _PRIORITIES}
        self.keys: dict[Key, None] = {}
        self.counts: dict[Key, int] = {}
        self.count = 0
        self._overflowed: set[tuple[Key, int]] = set()

    def push(self, task: ReadyTask) -> bool:
        """Queues a task; True when nothing with its key was ever queued before."""
        queue = self._queues[task.priority].get(task.key)
        if queue is None:
            queue = self._queues[task.priority][task.key] = deque()
        if self.count >= READY_MAX and len(queue) >= READY_KEY_MIN:
            self._overflowed.add((task.key, task.priority))
            return False
        queue.append(task)
        self.count += 1
        self.counts[task.key] = self.counts.get(task.key, 0) + 1
        if task.key in self.keys:
            return False
        self.keys[task.key] = None
        return True

    def push_front(self, task: ReadyTask) -> None:
        """Puts a task that was popped back to where it was."""
        self._queues[task.priority][task.key].appendleft(task)
        self.count += 1
        self.counts[task.key] += 1

    def has_room(self, key: Key, priority: int) -> bool:
        """Whether none of these had to be left to the rows since they were last read."""
        return (key, priority) not in self._overflowed

    def take_drained(self) -> set[tuple[Key, int]]:
        """Keys and priorities of which some had no room and none is left: the rows have more."""
        drained = {(key, p) for key, p in self._overflowed if not self._queues[p].get(key)}
        self._overflowed -= drained
        return drained

    def pop(self, keys: Sequence[Key], turn: int = 0) -> ReadyTask | None:
        """The next task of any of the keys; None if they have none. Keys take turns."""
        start = turn % len(keys) if keys else 0
        in_turn = [*keys[start:], *keys[:start]] if start else keys
        for priority in _PRIORITIES:
            queues = self._queues[priority]
            for key in in_turn:
                queue = queues.get(key)
                if queue:
                    self.count -= 1
                    self.counts[key] -= 1
                    return queue.popleft()
        return None

    def waiting(self, keys: Iterable[Key]) -> int:
        return sum(self.counts.get(key, 0) for key in keys)

    def drop_partitions(self, gone: set[int]) -> None:
        for queues in self._queues.values():
            for key, queue in queues.items():
                kept = deque(task for task in queue if task.partition not in gone)
                dropped = len(queue) - len(kept)
                if dropped:
                    queues[key] = kept
                    self.count -= dropped
                    self.counts[key] -= dropped
