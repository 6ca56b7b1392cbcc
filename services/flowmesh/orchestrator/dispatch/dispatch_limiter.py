"""Stops and limits: tasks that must not be sent although a worker is free.

Such tasks are kept here and return to the ready queues when the stop or the limit allows it; there
is no polling. `PermitClient` acquires permits; `Rules` holds the limits that are set at run time.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from flowmesh.engine import NodeState, State
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.ready_queues import Key, Need, ReadyTask
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.plan import FetchNeeded, Plan, PlanNode, RenderError, inline, values_of
from flowmesh.plan.policies import Limits

WAITING_MAX = 100_000
WAITING_OF_ONE_MAX = 10_000
"""Limits of tasks kept here, in all and per limit or stop; others stay in the rows."""

KEY_CHARACTERS_MAX = 256
"""Length limit of a limit's key; longer keys are cut, and equal beginnings share the limit."""

EXECUTIONS_REMEMBERED = 10_000

_Group = tuple[str, str]


_Declared = tuple[str, tuple[Need, ...]]


class DeclaredLimits:
    """The fairness keys and permits that definitions declare for tasks.

    The limits of a workflow are the same for all tasks of an execution and are cached.
    """

    def __init__(self) -> None:
        self._of_executions: dict[str, _Declared] = {}

    def of(self, state: State, node: NodeState) -> _Declared:
        plan, limits = state.plan, node.planned.limits
        fair, needs = self._of_workflow(state) if plan.limits is not None else ("", ())
        if limits is None:
            return fair, needs
        key = _key_of(limits, state)
        rule = f"node:{plan.workflow_id}/{node.planned.id}"
        return fair or key, (*needs, _need(limits, rule, key))

    def _of_workflow(self, state: State) -> _Declared:
        found = self._of_executions.get(state.execution_id)
        if found is None:
            limits = state.plan.limits
            assert limits is not None
            if len(self._of_executions) >= EXECUTIONS_REMEMBERED:
                self._of_executions.clear()
            fair = _key_of(limits, state)
            found = fair, (_need(limits, f"workflow:{state.plan.workflow_id}", fair),)
            self._of_executions[state.execution_id] = found
        return found


def _need(limits: Limits, rule: str, key: str) -> Need:
    counter = f"{rule}={key}" if limits.key is not None else rule
    return Need(rule, counter, limits.concurrency, limits.rate, limits.burst)


def _key_of(limits: Limits, state: State) -> str:
    """Return the value of a limit's key; empty if there is none, which is a value too."""
    if limits.key is None:
        return ""
    try:
        return str(limits.key.render(values_of(state, inline)))[:KEY_CHARACTERS_MAX]
    except (FetchNeeded, RenderError):
        return ""


class DispatchLimiter:
    """Keeps tasks that wait for permits, and stopped ones."""

    def __init__(
        self, *, permits: PermitClient, release: Callable[[list[ReadyTask]], None]
    ) -> None:
        self.permits = permits
        self.rules = Rules()
        self._came_free = release
        self.declared = DeclaredLimits()
        # Tasks that wait for permits, by token.
        self._waiting: dict[str, tuple[ReadyTask, _Group, tuple[Need, ...]]] = {}
        # Their number by namespace and queue.
        self._waiting_in: Counter[tuple[str, str]] = Counter()
        # Stopped tasks by stop and token.
        self._stopped: dict[tuple[str, str], dict[str, ReadyTask]] = {}
        self._counts: dict[_Group, int] = {}
        # Kinds of tasks that were left to the rows for lack of room.
        self._left: set[tuple[Key, int]] = set()

    def weight(self, namespace: str) -> int:
        """Return the number of tasks that a namespace sends per turn."""
        return self.rules.weight(namespace)

    def admits(self, task: ReadyTask, node: PlanNode, plan: Plan, token: str) -> bool:
        """Return whether a task may be sent now; otherwise keep it."""
        if self.rules.stops:
            stop = self.rules.stop_of(plan.namespace, plan.workflow_id)
            if stop is not None:
                self.withdraw(task, token)
                self._keep_stopped(stop, task, token)
                return False
        needs = self.rules.needs(plan, node, task.needs)
        if task.holds == needs:
            return True
        # Its permits belong to limits that have changed since.
        self.withdraw(task, token)
        if not needs:
            return True
        if token in self._waiting:
            return False
        group = (plan.namespace, needs[-1].counter)
        count = self._counts.get(group, 0)
        if count >= WAITING_OF_ONE_MAX or len(self._waiting) >= WAITING_MAX:
            self._left.add((task.key, task.priority))
            return False
        if self.permits.take(task, token, needs, self.granted):
            task.holds = needs
            return True
        task.rendered = None
        self._waiting[token] = task, group, needs
        self._waiting_in[task.key[:2]] += 1
        self._counts[group] = count + 1
        return False

    def _keep_stopped(self, stop: tuple[str, str], task: ReadyTask, token: str) -> None:
        kept = self._stopped.setdefault(stop, {})
        if len(kept) < WAITING_OF_ONE_MAX:
            kept[token] = task
        else:
            self._left.add((task.key, task.priority))

    def granted(self, token: str) -> bool:
        """Release a waiting task that got its permits; False if it is not needed any more."""
        waiting = self._waiting.get(token)
        task = self._remove(token)
        if waiting is None or task is None:
            return False
        task.holds = waiting[2]
        self._came_free([task])
        return True

    def _remove(self, token: str) -> ReadyTask | None:
        found = self._waiting.pop(token, None)
        if found is None:
            return None
        task, group, _ = found
        self._waiting_in[task.key[:2]] -= 1
        left = self._counts[group] - 1
        if left:
            self._counts[group] = left
        else:
            del self._counts[group]
        return task

    def withdraw(self, task: ReadyTask, token: str) -> None:
        """Release the permits of a task that is not sent after all."""
        if task.permitted:
            task.holds = ()
            self.permits.release(token)

    def canceled(self, token: str) -> None:
        """Remove a canceled task that may wait here."""
        if self._waiting and self._remove(token) is not None:
            self.permits.release(token)

    def take_left(self) -> set[tuple[Key, int]]:
        """Return the kinds that had no room, once there is room."""
        if not self._left or len(self._waiting) > WAITING_MAX // 2 or self._full():
            return set()
        left, self._left = self._left, set()
        return left

    def _full(self) -> bool:
        counts = [*self._counts.values(), *map(len, self._stopped.values())]
        return max(counts, default=0) > WAITING_OF_ONE_MAX // 2

    # --- changes ---

    def changed(self, rules: Rules, running: Iterable[tuple[str, str, tuple[Need, ...]]]) -> None:
        """Apply changed limits and stops. `running` are tasks at workers with their needs."""
        self.rules = rules
        self.permits.use_rules(rules)
        tasks = [task for kept in self._stopped.values() for task in kept.values()]
        self._stopped.clear()
        for token in list(self._waiting):
            task = self._remove(token)
            if task is not None:
                self.permits.release(token)
                tasks.append(task)
        for namespace, token, needs in running:
            self.permits.hold(namespace, token, needs)
        self.permits.report_held()
        self.permits.serve_all()
        tasks.sort(key=lambda task: task.due_ms)
        self._came_free(tasks)

    def drop_partitions(self, gone: set[int]) -> None:
        for token in [t for t, (task, *_) in self._waiting.items() if task.partition in gone]:
            self._remove(token)
        for kept in self._stopped.values():
            for token in [t for t, task in kept.items() if task.partition in gone]:
                del kept[token]
        self.permits.drop_partitions(gone)

    # --- reads ---

    def held_by(self, token: str) -> str:
        """Return the stop or the limit that holds a task back; empty if none does."""
        for (namespace, workflow), kept in self._stopped.items():
            if token in kept:
                return f"the emergency stop of {workflow or f'namespace {namespace}'}"
        found = self._waiting.get(token)
        return f"the limit {found[1][1]}" if found is not None else ""

    @property
    def held_count(self) -> int:
        """The number of tasks that are kept here."""
        return len(self._waiting) + sum(map(len, self._stopped.values()))

    def held_in(self, namespace: str, queue: str) -> int:
        """Return the number of tasks of one queue that are kept here."""
        place = (namespace, queue)
        return self._waiting_in[place] + sum(task.key[:2] == place for _, task in self.stopped())

    def waiting(self) -> Iterator[ReadyTask]:
        """Return the tasks that wait for permits."""
        for task, *_ in self._waiting.values():
            yield task

    def stopped(self) -> Iterator[tuple[tuple[str, str], ReadyTask]]:
        """Return the stopped tasks, each with its stop."""
        for stop, kept in self._stopped.items():
            for task in kept.values():
                yield stop, task
