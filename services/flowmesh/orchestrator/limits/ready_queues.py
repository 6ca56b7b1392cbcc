"""Queues of tasks that wait for credit.

Namespaces take turns by their weights (deficit round robin; a task costs one). Within a namespace
the priority and the waiting time decide: each level of priority counts as `AGING_MS` of waiting, so
no task waits forever. Equal tasks take turns by kind and by fairness key, in the order of arrival.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import NodeState
from flowmesh.plan import Plan, PlanNode

READY_MAX = 50_000
"""Limit of ready tasks in memory; others are read from the rows when these are sent."""

READY_KEY_MIN = 1_000
"""Tasks per key and priority that always have room, since others may wait forever."""

AGING_MS = 30_000
"""A task precedes tasks of the next higher priority that came this much later."""

Key = tuple[str, str, str, str]
"""Namespace, queue, task type, and the labels that a worker must have."""


def key_of(plan: Plan, node: PlanNode) -> Key:
    """Return the key that decides which workers may take a node's tasks."""
    assert node.spec is not None
    return plan.namespace, node.queue, node.spec.task_type, node.requires


def urgent_first(nodes: Iterable[NodeState]) -> list[NodeState]:
    """Sort tasks of one execution that are ready together by the length of the path to the end.

    Of equal paths, tasks whose failure fails the execution come first.
    """
    return sorted(
        nodes,
        key=lambda node: (
            -node.scope.graph.depth(node.planned.index),
            not node.planned.critical,
        ),
    )


@dataclass(slots=True)
class Need:
    """A permit of one limit that a task needs before it is sent.

    `rule` names the limit, which can be set at run time. `counter` is the rule with the value of
    its key. The numbers are those of the definition; 0 means no limit. `version` is the version of
    the limits that were set at run time.
    """

    rule: str
    counter: str
    concurrency: int = 0
    rate: float = 0.0
    burst: int = 0
    version: int = 0


@dataclass(slots=True)
class ReadyTask:
    """One attempt that waits for a worker.

    It may be sent while this process owns its partition at `epoch`. `rendered` is its input if that
    needed a fetch. Tasks of a kind take turns by `fair`. `needs` are the permits that its
    definition declares, `holds` the granted ones.
    """

    execution_id: str
    node_id: str
    attempt: int
    partition: int
    key: Key
    priority: int
    epoch: int = 0
    rendered: payload_pb2.Payload | None = None
    since_ms: float = 0.0
    fair: str = ""
    needs: tuple[Need, ...] = ()
    holds: tuple[Need, ...] = ()

    @property
    def permitted(self) -> bool:
        """True if it holds permits."""
        return bool(self.holds)

    @property
    def due_ms(self) -> float:
        """The sort key: the start of its waiting, less the bonus of its priority."""
        return self.since_ms - self.priority * AGING_MS


class _Kind:
    """Tasks of one key and priority; tasks with different fairness keys take turns.

    The last empty queue is kept for the next task, like the last kind of a namespace and the last
    namespace: most tasks are sent at once, and each would create all of them again.
    """

    __slots__ = ("count", "queues")

    def __init__(self) -> None:
        self.queues: OrderedDict[str, deque[ReadyTask]] = OrderedDict()
        self.count = 0

    def push(self, task: ReadyTask) -> None:
        self._queue(task.fair).append(task)
        self.count += 1

    def push_front(self, task: ReadyTask) -> None:
        self._queue(task.fair).appendleft(task)
        self.queues.move_to_end(task.fair, last=False)
        self.count += 1

    def _queue(self, fair: str) -> deque[ReadyTask]:
        queue = self.queues.get(fair)
        if queue is None:
            if not self.count:
                self.queues.clear()
            queue = self.queues[fair] = deque()
        return queue

    @property
    def first(self) -> ReadyTask:
        return next(iter(self.queues.values()))[0]

    def pop(self) -> ReadyTask:
        fair, queue = next(iter(self.queues.items()))
        task = queue.popleft()
        self.count -= 1
        if len(self.queues) > 1:
            if queue:
                self.queues.move_to_end(fair)
            else:
                del self.queues[fair]
        return task


class _Namespace:
    """Waiting tasks of one namespace, by priority and key; keys of a priority take turns."""

    __slots__ = ("count", "levels", "turns")

    def __init__(self) -> None:
        self.levels: dict[int, OrderedDict[Key, _Kind]] = {}
        self.turns = 0
        self.count = 0

    def next(self, keys: Collection[Key]) -> tuple[int, Key] | None:
        """Return priority and key of the next task among these keys; None if there is none."""
        best: tuple[int, Key] | None = None
        if not self.count:
            return None
        best_ms = 0.0
        for priority, kinds in self.levels.items():
            for key, kind in kinds.items():
                if key in keys:
                    due_ms = kind.first.due_ms if len(self.levels) > 1 else 0.0
                    if best is None or due_ms < best_ms:
                        best, best_ms = (priority, key), due_ms
                    break
        return best

    def push(self, task: ReadyTask) -> None:
        self._kind(task.priority, task.key).push(task)
        self.count += 1

    def push_front(self, task: ReadyTask) -> None:
        self._kind(task.priority, task.key).push_front(task)
        self.levels[task.priority].move_to_end(task.key, last=False)
        self.count += 1

    def _kind(self, priority: int, key: Key) -> _Kind:
        kinds = self.levels.get(priority)
        kind = kinds.get(key) if kinds is not None else None
        if kind is None:
            if not self.count:
                self.levels.clear()
            kind = self.levels.setdefault(priority, OrderedDict())[key] = _Kind()
        return kind

    def waiting(self, priority: int, key: Key) -> int:
        kinds = self.levels.get(priority)
        kind = kinds.get(key) if kinds is not None else None
        return kind.count if kind is not None else 0

    def pop(self, priority: int, key: Key) -> ReadyTask:
        kinds = self.levels[priority]
        task = kinds[key].pop()
        self.count -= 1
        if len(kinds) > 1:
            if kinds[key].count:
                kinds.move_to_end(key)
            else:
                del kinds[key]
        elif self.count and not kinds[key].count:
            del self.levels[priority]
        return task


def _same_weight(_namespace: str) -> int:
    return 1


class ReadyQueues:
    """All ready tasks. `weight` returns the number of tasks that a namespace sends per turn."""

    def __init__(self, weight: Callable[[str], int] = _same_weight) -> None:
        self._weight = weight
        self._namespaces: OrderedDict[str, _Namespace] = OrderedDict()
        self.keys: dict[Key, None] = {}
        self.counts: dict[Key, int] = {}
        self.count = 0
        self._overflowed: set[tuple[Key, int]] = set()

    def push(self, task: ReadyTask) -> bool:
        """Queue a task. Return True if it is the first task of its key."""
        of = self._of(task.key[0])
        if self.count >= READY_MAX and of.waiting(task.priority, task.key) >= READY_KEY_MIN:
            self._overflowed.add((task.key, task.priority))
            return False
        of.push(task)
        self._counted(task)
        if task.key in self.keys:
            return False
        self.keys[task.key] = None
        return True

    def push_front(self, task: ReadyTask, *, its_turn: bool = True) -> None:
        """Return a popped task to its place; with `its_turn` it is the next of all."""
        namespace = task.key[0]
        of = self._of(namespace)
        of.push_front(task)
        if its_turn:
            of.turns += 1
            self._namespaces.move_to_end(namespace, last=False)
        self._counted(task)

    def _of(self, namespace: str) -> _Namespace:
        of = self._namespaces.get(namespace)
        if of is None:
            if not self.count:
                self._namespaces.clear()
            of = self._namespaces[namespace] = _Namespace()
        return of

    def _counted(self, task: ReadyTask) -> None:
        self.count += 1
        self.counts[task.key] = self.counts.get(task.key, 0) + 1

    def has_room(self, key: Key, priority: int) -> bool:
        """Return whether no task of this kind was left to the rows since the last read."""
        return (key, priority) not in self._overflowed

    def has_more(self, key: Key) -> bool:
        """Return whether the rows hold tasks of a key that had no room."""
        return any(each == key for each, _ in self._overflowed)

    def left_to_rows(self, kinds: Iterable[tuple[Key, int]]) -> None:
        """Record kinds with tasks in the rows; they are read when none of them is left here."""
        self._overflowed.update(kinds)

    def take_drained(self) -> set[tuple[Key, int]]:
        """Return kinds that had no room and have no task left here: the rows hold more."""
        if not self._overflowed:
            return set()
        drained = {each for each in self._overflowed if not self._waits(*each)}
        self._overflowed -= drained
        return drained

    def _waits(self, key: Key, priority: int) -> bool:
        of = self._namespaces.get(key[0])
        return of is not None and of.waiting(priority, key) > 0

    def pop(self, keys: Collection[Key]) -> ReadyTask | None:
        """Return the next task of these keys; None if there is none."""
        for namespace, of in self._namespaces.items():
            found = of.next(keys)
            if found is None:
                continue
            task = of.pop(*found)
            self.count -= 1
            self.counts[task.key] -= 1
            self._had_turn(namespace, of)
            return task
        return None

    def _had_turn(self, namespace: str, of: _Namespace) -> None:
        alone = len(self._namespaces) == 1
        if not of.count:
            of.turns = 0
            if not alone:
                del self._namespaces[namespace]
        elif not alone:
            if of.turns < 1:
                of.turns = self._weight(namespace)
            of.turns -= 1
            if of.turns < 1:
                self._namespaces.move_to_end(namespace)

    def waiting(self, keys: Iterable[Key]) -> int:
        return sum(self.counts.get(key, 0) for key in keys)

    def tasks(self) -> Iterable[ReadyTask]:
        """Yield all tasks in no particular order."""
        for of in self._namespaces.values():
            for kinds in of.levels.values():
                for kind in kinds.values():
                    for queue in kind.queues.values():
                        yield from queue

    def oldest_ms(self) -> float | None:
        """Return the earliest start of waiting, in ms, of all tasks; None if there are none."""
        firsts = (
            queue[0].since_ms
            for of in self._namespaces.values()
            for kinds in of.levels.values()
            for kind in kinds.values()
            for queue in kind.queues.values()
            if queue
        )
        return min(firsts, default=None)

    def drop_partitions(self, gone: set[int]) -> None:
        kept = [task for task in self.tasks() if task.partition not in gone]
        if len(kept) == self.count:
            return
        self._namespaces.clear()
        self.counts.clear()
        self.count = 0
        for task in kept:
            # Tasks that had room keep it.
            self._of(task.key[0]).push(task)
            self._counted(task)
