"""Counters and latencies per workflow, of this process and of several together, for GetStats.

A process keeps all of its counts, and stores those that it has not stored before every few seconds;
the counts of all processes, since the first, are the stored ones and what each has not stored yet.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from google.protobuf.message import Message

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import NodeState, State, Transition
from flowmesh.engine.state import state as s
from flowmesh.orchestrator.limits.ready_queues import Key
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.plan import PlanNode

WORKFLOWS_MAX = 1_000
TASKS_MAX = 200
SAMPLES_MAX = 1_000
SAMPLES_SENT_MAX = 100
"""Samples that a process sends or stores, evenly taken from the sorted ones."""

SAMPLES_STORED_MAX = 200
"""The latest samples of a stored duration."""

WORKFLOW_COUNTS = ("started", "completed", "failed", "canceled")
TASK_COUNTS = ("completed", "failed", "retried")

_OUTCOMES = {s.EXECUTION_COMPLETED: "completed", s.EXECUTION_FAILED: "failed"}


class Latency:
    """The last samples of a duration, in milliseconds."""

    __slots__ = ("count", "samples", "stored_count", "stored_ms", "total_ms")

    def __init__(self) -> None:
        self.count = self.stored_count = 0
        self.total_ms = self.stored_ms = 0.0
        self.samples: deque[float] = deque(maxlen=SAMPLES_MAX)

    def add(self, milliseconds: float) -> None:
        self.count += 1
        self.total_ms += milliseconds
        self.samples.append(milliseconds)

    def message(self) -> execution_pb2.LatencyStats:
        """Return what is not stored."""
        count = self.count - self.stored_count
        latest = islice(self.samples, max(0, len(self.samples) - count), None)
        return execution_pb2.LatencyStats(
            count=count,
            total_ms=self.total_ms - self.stored_ms,
            samples_ms=_thinned(sorted(latest)),
        )

    def stored(self, message: execution_pb2.LatencyStats) -> None:
        self.stored_count += message.count
        self.stored_ms += message.total_ms


def _thinned(ordered: list[float]) -> list[float]:
    if len(ordered) <= SAMPLES_SENT_MAX:
        return ordered
    step = (len(ordered) - 1) / (SAMPLES_SENT_MAX - 1)
    return [ordered[round(number * step)] for number in range(SAMPLES_SENT_MAX)]


def _set_quantiles(message: execution_pb2.LatencyStats, ordered: list[tuple[float, float]]) -> None:
    """Set the percentiles from sorted samples with weights."""
    total = sum(weight for _, weight in ordered)
    for field, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        reached = 0.0
        for sample, weight in ordered:
            reached += weight
            if reached > total * share:
                setattr(message, field, sample)
                break


def merged(parts: Iterable[execution_pb2.WorkflowStats]) -> list[execution_pb2.WorkflowStats]:
    """Return the sums of statistics that contain samples."""
    workflows: dict[str, list[execution_pb2.WorkflowStats]] = {}
    for part in parts:
        workflows.setdefault(part.workflow_id, []).append(part)
    return [_merged_workflow(each, _merged_latency) for each in workflows.values()]


def to_store(
    stored: execution_pb2.WorkflowStats, latest: execution_pb2.WorkflowStats
) -> execution_pb2.WorkflowStats:
    """Return the sum of both, with the latest samples."""
    return _merged_workflow([stored, latest], _stored_latency)


def _merged_workflow(
    parts: list[execution_pb2.WorkflowStats],
    latency: Callable[[list[execution_pb2.LatencyStats]], execution_pb2.LatencyStats],
) -> execution_pb2.WorkflowStats:
    tasks: dict[str, list[execution_pb2.TaskStats]] = {}
    for part in parts:
        for task in part.tasks:
            tasks.setdefault(task.node, []).append(task)
    return execution_pb2.WorkflowStats(
        workflow_id=parts[0].workflow_id,
        started=sum(part.started for part in parts),
        completed=sum(part.completed for part in parts),
        failed=sum(part.failed for part in parts),
        canceled=sum(part.canceled for part in parts),
        latency=latency([part.latency for part in parts]),
        tasks=[
            execution_pb2.TaskStats(
                node=node,
                completed=sum(each.completed for each in same),
                failed=sum(each.failed for each in same),
                retried=sum(each.retried for each in same),
                latency=latency([each.latency for each in same]),
            )
            for node, same in list(tasks.items())[-TASKS_MAX:]
        ],
    )


def _merged_latency(parts: list[execution_pb2.LatencyStats]) -> execution_pb2.LatencyStats:
    message = execution_pb2.LatencyStats(
        count=sum(part.count for part in parts), total_ms=sum(part.total_ms for part in parts)
    )
    weighted = [
        (sample, min(part.count, SAMPLES_MAX) / len(part.samples_ms))
        for part in parts
        for sample in part.samples_ms
    ]
    _set_quantiles(message, sorted(weighted))
    return message


def _stored_latency(parts: list[execution_pb2.LatencyStats]) -> execution_pb2.LatencyStats:
    samples = [sample for part in parts for sample in part.samples_ms]
    return execution_pb2.LatencyStats(
        count=sum(part.count for part in parts),
        total_ms=sum(part.total_ms for part in parts),
        samples_ms=samples[-SAMPLES_STORED_MAX:],
    )


def overhead(state: State) -> float:
    """Return the share of an execution's time in which none of its tasks ran, 0 to 1.

    A task runs from its first dispatch to its end, including retries and transport.
    """
    wall_us = state.ended_at_us - state.started_at_us
    ran_us, until_us = 0, state.started_at_us
    nodes = state.scope.nodes.values()
    for start_us, end_us in sorted((node.started_at_us, node.ended_at_us) for node in nodes):
        if start_us and end_us > until_us:
            ran_us += end_us - max(start_us, until_us)
            until_us = end_us
    return 1 - ran_us / wall_us if wall_us > 0 else 0.0


class _Task:
    __slots__ = ("completed", "failed", "kind", "latency", "retried", "stored")

    def __init__(self, planned: PlanNode) -> None:
        self.stored = execution_pb2.TaskStats()
        # Decides, with the namespace, which workers take it; None for a node without a task.
        self.kind = (
            (planned.queue, planned.spec.task_type, planned.requires)
            if planned.spec is not None
            else None
        )
        self.completed = self.failed = self.retried = 0
        self.latency = Latency()


class _Workflow:
    __slots__ = ("canceled", "completed", "failed", "latency", "started", "stored", "tasks")

    def __init__(self) -> None:
        self.started = self.completed = self.failed = self.canceled = 0
        self.stored = execution_pb2.WorkflowStats()
        self.latency = Latency()
        self.tasks: dict[str, _Task] = {}


class Stats:
    """Counters of committed transitions by workflow; bounded, the oldest workflows are dropped."""

    def __init__(self, metrics: OrchestratorMetrics) -> None:
        self._metrics = metrics
        # Counts not yet added to the metrics, whose updates are slower.
        self._pending_counts: dict[Any, float] = {}
        self._workflows: OrderedDict[tuple[str, str], _Workflow] = OrderedDict()

    def _count(self, counter: Any, amount: float = 1) -> None:
        self._pending_counts[counter] = self._pending_counts.get(counter, 0) + amount

    def flush_metrics(self) -> None:
        """Add the counts to the metrics, once per commit."""
        for counter, amount in self._pending_counts.items():
            counter.inc(amount)
        self._pending_counts.clear()

    def observe(self, state: State, transition: Transition, *, started: bool) -> None:
        """Count one committed transition."""
        key = (state.plan.namespace, state.plan.workflow_id)
        workflow = self._workflows.get(key)
        if workflow is None:
            workflow = self._workflows[key] = _Workflow()
            if len(self._workflows) > WORKFLOWS_MAX:
                self._workflows.popitem(last=False)
        self._count(self._metrics.history_events, len(transition.history.events))
        if started:
            workflow.started += 1
            self._count(self._metrics.started)
        for node in transition.retried:
            self._count(self._metrics.tasks_retried)
            task = _task(workflow, node)
            if task is not None:
                task.retried += 1
        for node in transition.closed:
            self._task_ended(workflow, node)
        if transition.ended:
            self._ended(workflow, state)
            if self._metrics.workflows is not None:
                seconds = (state.ended_at_us - state.started_at_us) / 1e6
                outcome = _OUTCOMES.get(state.status, "canceled")
                self._metrics.workflows.ended(key, outcome, seconds)

    def _task_ended(self, workflow: _Workflow, node: NodeState) -> None:
        failed = node.status == s.FAILED
        self._count(self._metrics.tasks_failed if failed else self._metrics.tasks_completed)
        task = _task(workflow, node)
        if task is None:
            return
        if failed:
            task.failed += 1
        else:
            task.completed += 1
        task.latency.add((node.ended_at_us - (node.started_at_us or node.scheduled_at_us)) / 1000)

    def _ended(self, workflow: _Workflow, state: State) -> None:
        milliseconds = (state.ended_at_us - state.started_at_us) / 1000
        workflow.latency.add(milliseconds)
        self._count(self._metrics.execution_seconds, milliseconds / 1000)
        self._metrics.execution_latency.observe(milliseconds / 1000)
        if state.status == s.EXECUTION_COMPLETED:
            workflow.completed += 1
            self._count(self._metrics.completed)
            self._metrics.execution_overhead.observe(overhead(state))
        elif state.status == s.EXECUTION_FAILED:
            workflow.failed += 1
            self._count(self._metrics.failed)
            self._count(self._metrics.dead_letters, sum(1 for _ in given_up(state)))
        else:
            workflow.canceled += 1
            self._count(self._metrics.canceled)

    def ended(self) -> dict[Key, tuple[int, float]]:
        """Return the number of ended tasks of each kind, and their total duration in ms."""
        found: dict[Key, tuple[int, float]] = {}
        for (namespace, _), workflow in self._workflows.items():
            for task in workflow.tasks.values():
                if task.kind is not None:
                    key = (namespace, *task.kind)
                    count, total_ms = found.get(key, (0, 0.0))
                    found[key] = count + task.latency.count, total_ms + task.latency.total_ms
        return found

    def workflows(self) -> list[tuple[str, str]]:
        """Return namespace and id of the counted workflows."""
        return list(self._workflows)

    def durations(self, key: tuple[str, str]) -> list[tuple[str, Latency]]:
        """Return the durations of one workflow's worker tasks, by node."""
        workflow = self._workflows.get(key)
        if workflow is None:
            return []
        return [
            (node, task.latency) for node, task in workflow.tasks.items() if task.kind is not None
        ]

    def messages(self, namespace: str, workflow_id: str) -> list[execution_pb2.WorkflowStats]:
        """Return what is not stored of a workflow, or of all of the namespace, with samples."""
        return [
            _message(name, workflow)
            for (of, name), workflow in self._workflows.items()
            if of == namespace and workflow_id in ("", name)
        ]

    def to_store(self) -> list[tuple[str, execution_pb2.WorkflowStats]]:
        """Return what is not stored, by namespace and workflow."""
        return [
            (namespace, message)
            for (namespace, name), workflow in self._workflows.items()
            if _changes(message := _message(name, workflow))
        ]

    def stored(self, parts: Iterable[tuple[str, execution_pb2.WorkflowStats]]) -> None:
        """Note what is stored now."""
        for namespace, message in parts:
            workflow = self._workflows.get((namespace, message.workflow_id))
            if workflow is None:
                continue
            _add(workflow.stored, message, WORKFLOW_COUNTS)
            workflow.latency.stored(message.latency)
            for part in message.tasks:
                task = workflow.tasks[part.node]
                _add(task.stored, part, TASK_COUNTS)
                task.latency.stored(part.latency)


def _message(name: str, workflow: _Workflow) -> execution_pb2.WorkflowStats:
    """Return what is not stored of a workflow."""
    message = execution_pb2.WorkflowStats(workflow_id=name, latency=workflow.latency.message())
    _set_difference(message, workflow, WORKFLOW_COUNTS)
    for node, task in workflow.tasks.items():
        part = message.tasks.add(node=node, latency=task.latency.message())
        _set_difference(part, task, TASK_COUNTS)
    return message


def _set_difference(message: Message, counted: _Workflow | _Task, counts: tuple[str, ...]) -> None:
    for each in counts:
        setattr(message, each, getattr(counted, each) - getattr(counted.stored, each))


def _add(stored: Message, part: Message, counts: tuple[str, ...]) -> None:
    for each in counts:
        setattr(stored, each, getattr(stored, each) + getattr(part, each))


def _changes(message: execution_pb2.WorkflowStats) -> bool:
    """Return whether anything was counted; a task counts before its execution ends."""
    return any(getattr(message, each) for each in WORKFLOW_COUNTS) or any(
        getattr(task, each) for task in message.tasks for each in TASK_COUNTS
    )


def given_up(state: State) -> Iterator[NodeState]:
    """Yield the dead letters of a failed execution: its tasks whose last attempt failed."""
    for scope in state.all_scopes():
        for _, node in sorted(scope.nodes.items()):
            if node.status == s.FAILED and node.planned.is_task and node.planned.spec is not None:
                yield node


def _task(workflow: _Workflow, node: NodeState) -> _Task | None:
    """Return the counters of a task; all items of a map share them."""
    name = node.planned.id
    task = workflow.tasks.get(name)
    if task is None and len(workflow.tasks) < TASKS_MAX:
        task = workflow.tasks[name] = _Task(node.planned)
    return task
