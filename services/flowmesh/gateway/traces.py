"""Where the time of an execution went, made of its state and its history. Pure, no I/O.

All times are milliseconds since the execution began. A task is *ready* when its dependencies
have ended, *waits* until a worker has it, and *runs* until its attempt ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.gateway.answers import Answer, ExecutionWord, FailureValue, Instant, StepWord
from flowmesh.gateway.views import execution_summary, failure_value
from flowmesh.views import node_status

# Ids that the groups of one answer may list in all.
GROUP_IDS_MAX = 100_000
# JSON that is nested deeper is refused by many readers, ours included.
TREE_DEPTH_MAX = 24


class AttemptTrace(Answer, kw_only=True):
    """One attempt: ready, with a worker, ended."""

    attempt: int
    ready_ms: float
    started_ms: float | UnsetType = UNSET
    ended_ms: float | UnsetType = UNSET
    wait_ms: float | UnsetType = UNSET
    run_ms: float | UnsetType = UNSET
    deliveries: int
    worker_id: str | UnsetType = UNSET
    error: FailureValue | UnsetType = UNSET


class TaskTrace(Answer, kw_only=True):
    """A task and its attempts; `releasedBy` is the dependency that ended last."""

    id: str
    name: str
    type: str | UnsetType = UNSET
    status: StepWord
    dependencies: list[str]
    released_by: str | UnsetType = UNSET
    order: int | UnsetType = UNSET
    ready_ms: float | UnsetType = UNSET
    started_ms: float | UnsetType = UNSET
    ended_ms: float | UnsetType = UNSET
    wait_ms: float
    run_ms: float
    attempts: list[AttemptTrace]


class TraceBranch(Answer, kw_only=True):
    """A task and those it released."""

    id: str
    children: list["TraceBranch"]


class TraceGroups(Answer, kw_only=True):
    """Tasks that could run together by the graph, and those that did by the clock."""

    planned: list[list[str]]
    actual: list[list[str]]
    planned_width: int
    actual_width: int


class Trace(Answer, kw_only=True):
    """Where the time of an execution went."""

    execution_id: str
    workflow: str
    status: ExecutionWord
    started_at: Instant | UnsetType = UNSET
    duration_ms: float
    tasks: list[TaskTrace]
    tree: list[TraceBranch]
    resolution_order: list[str]
    groups: TraceGroups
    critical_path: list[str]
    slowest: str | UnsetType = UNSET
    longest_wait: str | UnsetType = UNSET
    truncated: bool


@dataclass(slots=True)
class AttemptTimes:
    """When an attempt was ready, began and ended, in microseconds."""

    number: int
    ready_us: int
    started_us: int = 0
    ended_us: int = 0
    deliveries: int = 0
    worker_id: str = ""
    error: FailureValue | UnsetType = UNSET


@dataclass(slots=True)
class TaskTimes:
    """When a node was ready, began and ended, and its attempts by number."""

    attempts: dict[int, AttemptTimes] = field(default_factory=dict)
    ready_us: int = 0
    started_us: int = 0
    ended_us: int = 0

    def attempt(self, number: int, at_us: int) -> AttemptTimes:
        self.ready_us = self.ready_us or at_us
        return self.attempts.setdefault(number, AttemptTimes(number, at_us))


def trace_of(
    execution: execution_pb2.Execution,
    events: Iterable[pb.HistoryEvent],
    *,
    now_us: int,
    truncated: bool = False,
) -> Trace:
    """The trace; `now_us` ends what still runs."""
    begun_us = execution.started_at_us
    tasks = times_of(execution, events)
    order = sorted(
        (id_ for id_, task in tasks.items() if task.ready_us), key=lambda id_: tasks[id_].ready_us
    )
    places = {id_: place for place, id_ in enumerate(order, 1)}
    released = {node.id: _released_by(node, tasks) for node in execution.nodes}
    shown = [
        _task_trace(node, tasks[node.id], begun_us, places.get(node.id), released[node.id])
        for node in execution.nodes
    ]
    summary = execution_summary(execution)
    began = [task for task in shown if task.ready_ms is not UNSET]
    return Trace(
        execution_id=summary.execution_id,
        workflow=summary.workflow,
        status=summary.status,
        started_at=summary.started_at,
        duration_ms=_ms(begun_us, execution.ended_at_us or now_us),
        tasks=shown,
        tree=_tree(order, released),
        resolution_order=order,
        groups=_groups(execution, tasks, now_us),
        critical_path=_critical_path(tasks, released),
        slowest=max(began, key=lambda task: task.run_ms).id if began else UNSET,
        longest_wait=max(began, key=lambda task: task.wait_ms).id if began else UNSET,
        truncated=truncated,
    )


def times_of(
    execution: execution_pb2.Execution, events: Iterable[pb.HistoryEvent]
) -> dict[str, TaskTimes]:
    """The attempts of each node as the history has them."""
    tasks = {node.id: TaskTimes() for node in execution.nodes}
    for event in events:
        _note(tasks, event)
    return tasks


def _note(tasks: dict[str, TaskTimes], event: pb.HistoryEvent) -> None:
    kind = event.WhichOneof("event")
    body = getattr(event, kind) if kind else None
    task = tasks.get(getattr(body, "node", ""))
    if task is None:
        return
    at_us, number = event.at_us, getattr(body, "attempt", 0) or 1
    match body:
        case pb.TaskScheduled():
            task.attempt(number, at_us)
        case pb.TimerStarted():
            attempt = task.attempt(number, at_us)
            attempt.started_us = task.started_us = at_us
        case pb.TaskStarted():
            attempt = task.attempt(number, at_us)
            begun_us = body.started_at_us or at_us
            attempt.started_us = attempt.started_us or begun_us
            task.started_us = task.started_us or begun_us
            attempt.deliveries = max(attempt.deliveries, body.delivery)
            attempt.worker_id = body.worker_id
        case pb.TaskCompleted() | pb.TaskFailed() | pb.TaskRetrying() | pb.TaskCanceled():
            attempt = task.attempt(number, at_us)
            attempt.ended_us = at_us
            if not isinstance(body, pb.TaskRetrying):
                task.ended_us = at_us
            if isinstance(body, pb.TaskFailed | pb.TaskRetrying):
                attempt.error = failure_value(body.failure)
        case pb.TaskSkipped():
            task.ended_us = at_us


def _task_trace(
    node: execution_pb2.Node, task: TaskTimes, begun_us: int, place: int | None, released_by: str
) -> TaskTrace:
    attempts = [_attempt_trace(attempt, begun_us) for attempt in task.attempts.values()]
    return TaskTrace(
        id=node.id,
        name=node.name or node.id,
        type=node.task_type or UNSET,
        status=node_status(node.status),  # type: ignore[arg-type]
        dependencies=list(node.dependencies),
        released_by=released_by or UNSET,
        order=UNSET if place is None else place,
        ready_ms=_since(begun_us, task.ready_us),
        started_ms=_since(begun_us, task.started_us),
        ended_ms=_since(begun_us, task.ended_us),
        wait_ms=round(sum(each.wait_ms or 0 for each in attempts), 3),
        run_ms=round(sum(each.run_ms or 0 for each in attempts), 3),
        attempts=attempts,
    )


def _attempt_trace(attempt: AttemptTimes, begun_us: int) -> AttemptTrace:
    # A step that needs no worker begins when it is ready.
    begins_us = attempt.started_us or (attempt.ready_us if attempt.ended_us else 0)
    return AttemptTrace(
        attempt=attempt.number,
        ready_ms=_ms(begun_us, attempt.ready_us),
        started_ms=_since(begun_us, begins_us),
        ended_ms=_since(begun_us, attempt.ended_us),
        wait_ms=_ms(attempt.ready_us, begins_us) if begins_us else UNSET,
        run_ms=_ms(begins_us, attempt.ended_us) if attempt.ended_us else UNSET,
        deliveries=attempt.deliveries,
        worker_id=attempt.worker_id or UNSET,
        error=attempt.error,
    )


def _released_by(node: execution_pb2.Node, tasks: dict[str, TaskTimes]) -> str:
    ended = [id_ for id_ in node.dependencies if id_ in tasks and tasks[id_].ended_us]
    return max(ended, key=lambda id_: tasks[id_].ended_us) if ended else ""


def _tree(order: list[str], released: dict[str, str]) -> list[TraceBranch]:
    """Tasks under the one that released them; below the deepest level they stand side by side."""
    roots: list[TraceBranch] = []
    # Of each task: where the tasks that it releases are put, and on which level that is.
    places: dict[str, tuple[list[TraceBranch], int]] = {"": (roots, 0)}
    for id_ in order:
        siblings, level = places.get(released[id_], places[""])
        branch = TraceBranch(id=id_, children=[])
        siblings.append(branch)
        deeper = level + 1 < TREE_DEPTH_MAX
        places[id_] = (branch.children, level + 1) if deeper else (siblings, level)
    return roots


def _critical_path(tasks: dict[str, TaskTimes], released: dict[str, str]) -> list[str]:
    ended = [id_ for id_, task in tasks.items() if task.ready_us and task.ended_us]
    if not ended:
        return []
    id_ = max(ended, key=lambda each: tasks[each].ended_us)
    path = [id_]
    while id_ := released[id_]:
        path.append(id_)
    return path[::-1]


def _groups(
    execution: execution_pb2.Execution, tasks: dict[str, TaskTimes], now_us: int
) -> TraceGroups:
    planned = _levels(execution)
    actual = _overlaps(tasks, now_us)
    return TraceGroups(
        planned=planned,
        actual=actual,
        planned_width=max(map(len, planned), default=0),
        actual_width=max(map(len, actual), default=0),
    )


def _levels(execution: execution_pb2.Execution) -> list[list[str]]:
    """Tasks by the length of the longest way to them."""
    waiting = {node.id: len(node.dependencies) for node in execution.nodes}
    successors: dict[str, list[str]] = {}
    for node in execution.nodes:
        for dependency in node.dependencies:
            successors.setdefault(dependency, []).append(node.id)
    levels: list[list[str]] = []
    level = [id_ for id_, count in waiting.items() if not count]
    while level:
        levels.append(level)
        following = []
        for id_ in level:
            for successor in successors.get(id_, ()):
                waiting[successor] -= 1
                if not waiting[successor]:
                    following.append(successor)
        level = following
    return levels


def _overlaps(tasks: dict[str, TaskTimes], now_us: int) -> list[list[str]]:
    """The largest sets of tasks that ran at one time, in order of time."""
    moments = sorted(
        moment
        for id_, task in tasks.items()
        if task.started_us
        # At one moment ends come first: one after the other is not together.
        for moment in (
            (task.started_us, 1, id_),
            (max(task.ended_us or now_us, task.started_us + 1), 0, id_),
        )
    )
    running: dict[str, None] = {}
    groups: list[list[str]] = []
    grown, left = False, GROUP_IDS_MAX
    for _, starts, id_ in moments:
        if starts:
            running[id_] = None
            grown = True
            continue
        if grown and left >= len(running):
            groups.append(list(running))
            left -= len(running)
        grown = False
        running.pop(id_, None)
    return groups


def _ms(from_us: int, to_us: int) -> float:
    return max(0, to_us - from_us) / 1_000


def _since(begun_us: int, at_us: int) -> float | UnsetType:
    return _ms(begun_us, at_us) if at_us else UNSET
