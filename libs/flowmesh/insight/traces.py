"""The trace of an execution: times of its tasks, critical path, bottleneck.

A task is *ready* when its dependencies have ended, *waits* until a worker starts it, and *runs*
until its attempt ends. The critical path leads from the last ended task back over the dependencies
that each waited for; its largest cost is the bottleneck.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.insight.parallelism import TraceGroups, groups_of
from flowmesh.insight.parts import (
    ErrorPart,
    ExecutionWord,
    Json,
    NodeWord,
    Part,
    error_part,
    execution_word,
    moment_or_unset,
    ms_between,
    node_word,
    type_of,
)
from flowmesh.insight.times import FAILED, AttemptTimes, History, NodeTimes, read
from flowmesh.insight.waits import Wait, WaitReason, Waits, owner_of, prefix_of, waited_for
from flowmesh.views import raw_json

if TYPE_CHECKING:
    from flowmesh.plan import Plan

CostReason = WaitReason | Literal["run"]

TASKS_SHOWN = 200
TASKS_SHOWN_MAX = 10_000
"""Tasks inside maps, groups and state machines in one trace: by default, and at most."""

TREE_DEPTH_MAX = 24
"""Levels of the tree. Many JSON readers, ours included, reject deeper nesting."""


class WaitPart(Part, kw_only=True):
    """A period in which a task waited, with its reason."""

    reason: WaitReason
    from_ms: float
    to_ms: float
    because_of: str | UnsetType = UNSET


class AttemptTrace(Part, kw_only=True):
    """Times of one attempt: ready, started, ended."""

    attempt: int
    ready_ms: float
    started_ms: float | UnsetType = UNSET
    ended_ms: float | UnsetType = UNSET
    wait_ms: float | UnsetType = UNSET
    run_ms: float | UnsetType = UNSET
    deliveries: int
    worker_id: str | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET


class TaskTrace(Part, kw_only=True):
    """A task and its attempts; `releasedBy` is the dependency that ended last.

    `queuedMs` is the end of its dependencies, `waits` are its waiting periods, `slackMs` the delay
    that would not have delayed the execution.
    """

    id: str
    name: str
    type: str
    status: NodeWord
    dependencies: list[str]
    released_by: str | UnsetType = UNSET
    order: int | UnsetType = UNSET
    queued_ms: float | UnsetType = UNSET
    ready_ms: float | UnsetType = UNSET
    started_ms: float | UnsetType = UNSET
    ended_ms: float | UnsetType = UNSET
    wait_ms: float
    run_ms: float
    slack_ms: float | UnsetType = UNSET
    critical: bool
    waits: list[WaitPart]
    # Metadata beside the output: log lines, measurements, a mark for a reused result.
    metadata: Json | UnsetType = UNSET
    attempts: list[AttemptTrace]


class TraceBranch(Part, kw_only=True):
    """A task and the tasks that it released."""

    id: str
    children: list["TraceBranch"]


class Bottleneck(Part, kw_only=True):
    """The largest cost on the critical path: the run of a task, or a reason of its waiting."""

    task_id: str
    reason: CostReason
    ms: float
    share: float
    text: str


class Trace(Part, kw_only=True):
    """The trace of an execution.

    Of the tasks inside maps, groups and state machines it has those of the critical path, the
    failed and the slowest; `omitted` is the number of others, `counts` has all tasks by status.
    """

    execution_id: str
    workflow: str
    version: int
    status: ExecutionWord
    started_at: datetime | UnsetType = UNSET
    duration_ms: float
    tasks: list[TaskTrace]
    tree: list[TraceBranch]
    resolution_order: list[str]
    groups: TraceGroups
    critical_path: list[str]
    bottleneck: Bottleneck | UnsetType = UNSET
    slowest: str | UnsetType = UNSET
    longest_wait: str | UnsetType = UNSET
    counts: dict[NodeWord, int]
    omitted: int
    truncated: bool


def trace_of(
    execution_id: str,
    plan: "Plan",
    events: Iterable[pb.HistoryEvent],
    *,
    now_us: int,
    tasks_max: int = TASKS_SHOWN,
    truncated: bool = False,
) -> Trace:
    """Return the trace; running attempts count until `now_us`."""
    tracing = Tracing(plan, read(events), now_us, tasks_max)
    return tracing.trace(execution_id, truncated=truncated)


@dataclass(frozen=True, slots=True)
class Cost:
    """The time that a task on the critical path spent for one reason."""

    task_id: str
    reason: CostReason
    ms: float


class Tracing:
    """Computations over the times of one history, with `tasks_max` tasks inside others."""

    def __init__(
        self, plan: "Plan", history: History, now_us: int, tasks_max: int = TASKS_SHOWN_MAX
    ) -> None:
        self.plan = plan
        self.history = history
        self.now_us = history.ended_us or now_us
        self.waits = Waits(plan, history, now_us)
        outer = {node.id: None for node in plan.nodes}
        inner: list[NodeTimes] = []
        last: dict[str, NodeTimes] = {}
        for node in history.nodes.values():
            owner = owner_of(prefix_of(node.id))
            if not owner:
                outer[node.id] = None
                continue
            inner.append(node)
            if node.ended_us and (owner not in last or node.ended_us >= last[owner].ended_us):
                last[owner] = node
        self._outer = list(outer)
        self._last_below = {owner: node.id for owner, node in last.items()}
        leaves = [each for each in history.nodes.values() if each.ready_us and each.id not in last]
        self.slowest = max(leaves, key=_ran_us).id if leaves else UNSET
        self.longest_wait = max(leaves, key=_waited_us).id if leaves else UNSET
        self.ids, self._analyzed = self._outer, self._outer
        self._choose(inner, tasks_max)

    def _choose(self, inner: list[NodeTimes], tasks_max: int) -> None:
        """Choose the tasks inside others that are shown, with their containers."""
        named = {*self.critical_path(), self.slowest, self.longest_wait}
        chosen = nlargest(
            tasks_max,
            inner,
            key=lambda node: (
                node.id in named,
                node.status == FAILED,
                _waited_us(node) + _ran_us(node),
            ),
        )
        shown, prefixes = set[str](), set[str]()
        for node_id in (node.id for node in chosen):
            while node_id not in shown and (prefix := prefix_of(node_id)):
                shown.add(node_id)
                prefixes.add(prefix)
                node_id = owner_of(prefix)
        self.ids = self._outer + [node.id for node in inner if node.id in shown]
        # The slack of a task depends on the others of its item.
        self._analyzed = self._outer + [node.id for node in inner if prefix_of(node.id) in prefixes]

    @property
    def duration_ms(self) -> float:
        return ms_between(self.history.started_us, self.now_us)

    def trace(self, execution_id: str, *, truncated: bool) -> Trace:
        plan, history = self.plan, self.history
        order = sorted(
            (id_ for id_ in self.ids if history.node(id_).ready_us),
            key=lambda id_: history.node(id_).ready_us,
        )
        path, slack = self.critical_path(), self.slack_us()
        costs = {id_: self.costs(id_) for id_ in path}
        places = {id_: place for place, id_ in enumerate(order, 1)}
        critical = frozenset(path)
        shown = [self._task(id_, places.get(id_), slack, id_ in critical) for id_ in self.ids]
        return Trace(
            execution_id=execution_id,
            workflow=plan.workflow_id,
            version=plan.version,
            status=execution_word(history.status),
            started_at=moment_or_unset(history.started_us),
            duration_ms=self.duration_ms,
            tasks=shown,
            tree=self._tree(order),
            resolution_order=order,
            groups=groups_of(plan, history, self.now_us),
            critical_path=path,
            bottleneck=self._bottleneck([cost for id_ in path for cost in costs[id_]]),
            slowest=self.slowest,
            longest_wait=self.longest_wait,
            counts=dict(Counter(node_word(node.status) for node in history.nodes.values())),
            omitted=len(history.nodes.keys() - self.ids),
            truncated=truncated,
        )

    # --- the critical path ---

    def critical_path(self) -> list[str]:
        """Return the path to the last ended task, each task released by the one before.

        While the execution runs, the path leads to the task that has been open longest.
        """
        begun = [node for node in map(self.history.node, self._outer) if node.ready_us]
        if not begun:
            return []
        still = [node for node in begun if not node.ended_us]
        if still and not self.history.ended_us:
            return self._path_to(min(still, key=lambda node: node.ready_us).id)
        ended = [node.id for node in begun if node.ended_us]
        # Ties are broken by the latest ready time, then by the latest position.
        last = max(reversed(ended), key=self._ended_and_ready, default="")
        return self._path_to(last)

    def _ended_and_ready(self, node_id: str) -> tuple[int, int]:
        node = self.history.node(node_id)
        return node.ended_us, node.ready_us

    def _path_to(self, node_id: str) -> list[str]:
        """Return the path from the start of a node's graph; a body's path follows its owner."""
        paths: list[list[str]] = []
        while node_id:
            inner = self._last_below.get(node_id, "")
            paths.append([node_id, *(self._path_to(inner) if inner else ())])
            node_id = self.waits.released_by(node_id)
        return [each for path in reversed(paths) for each in path]

    def costs(self, node_id: str) -> list[Cost]:
        """Return the costs of a task except waits for dependencies; none for a container."""
        if node_id in self._last_below:
            return []
        costs = [
            Cost(node_id, wait.reason, wait.ms)
            for wait in self.waits.of(node_id)
            if wait.reason != "dependency"
        ]
        if waited_for(self.waits.planned(node_id)) is None:
            node = self.history.node(node_id)
            ran = sum(self._run_ms(attempt) for attempt in node.attempts.values())
            costs.append(Cost(node_id, "run", ran))
        return costs

    def _run_ms(self, attempt: AttemptTimes) -> float:
        begun_us = attempt.begins_us
        return ms_between(begun_us, attempt.ended_us or self.now_us) if begun_us else 0.0

    def _bottleneck(self, costs: list[Cost]) -> Bottleneck | UnsetType:
        totals: dict[tuple[str, CostReason], float] = {}
        for cost in costs:
            key = (cost.task_id, cost.reason)
            totals[key] = totals.get(key, 0.0) + cost.ms
        if not totals:
            return UNSET
        (task_id, reason), ms = max(totals.items(), key=lambda each: each[1])
        share = ms / self.duration_ms if self.duration_ms else 0.0
        text = f"{task_id} {COST_TEXTS[reason]} for {ms:,.0f} ms, {share:.0%} of the execution"
        return Bottleneck(
            task_id=task_id, reason=reason, ms=round(ms, 3), share=round(share, 4), text=text
        )

    def slack_us(self) -> dict[str, int]:
        """Return for each ended task the delay that would have delayed nothing else."""
        history = self.history
        slack: dict[str, int] = {}
        followers: dict[str, list[str]] = {}
        for node_id in self._analyzed:
            for dependency in self.waits.dependencies(node_id):
                followers.setdefault(dependency, []).append(node_id)
        # Computed once per task: it reads all dependencies.
        eligible_us = {node_id: self.waits.eligible_us(node_id) for node_id in self._analyzed}
        # The latest ends first: successors and containers of a task end after it.
        for node in sorted(
            map(history.node, self._analyzed), key=lambda each: (-each.ended_us, len(each.id))
        ):
            if not node.ended_us:
                continue
            behind = [
                slack[each] + eligible_us[each] - node.ended_us
                for each in followers.get(node.id, ())
                if each in slack
            ]
            owner = history.node(owner_of(prefix_of(node.id)))
            end_us = (owner.ended_us + slack.get(owner.id, 0)) if owner.id else self.now_us
            slack[node.id] = max(0, min(behind, default=end_us - node.ended_us))
        return slack

    # --- parts ---

    def _task(
        self, node_id: str, place: int | None, slack: dict[str, int], critical: bool
    ) -> TaskTrace:
        node, planned = self.history.node(node_id), self.waits.planned(node_id)
        begun_us = self.history.started_us
        attempts = [self._attempt(attempt) for attempt in node.attempts.values()]
        return TaskTrace(
            id=node_id,
            name=planned.name,
            type=type_of(planned),
            status=node_word(node.status),
            dependencies=self.waits.dependencies(node_id),
            released_by=self.waits.released_by(node_id) or UNSET,
            order=UNSET if place is None else place,
            queued_ms=_since(begun_us, self.waits.eligible_us(node_id)),
            ready_ms=_since(begun_us, node.ready_us),
            started_ms=_since(begun_us, node.started_us),
            ended_ms=_since(begun_us, node.ended_us),
            wait_ms=round(sum(each.wait_ms or 0 for each in attempts), 3),
            run_ms=round(sum(each.run_ms or 0 for each in attempts), 3),
            slack_ms=slack[node_id] / 1_000 if node_id in slack else UNSET,
            critical=critical,
            waits=[self._wait(wait) for wait in self.waits.of(node_id)],
            attempts=attempts,
            metadata=raw_json(node.metadata) if node.metadata else UNSET,
        )

    def _wait(self, wait: Wait) -> WaitPart:
        begun_us = self.history.started_us
        return WaitPart(
            reason=wait.reason,
            from_ms=ms_between(begun_us, wait.from_us),
            to_ms=ms_between(begun_us, wait.to_us),
            because_of=wait.because_of or UNSET,
        )

    def _attempt(self, attempt: AttemptTimes) -> AttemptTrace:
        begun_us, begins_us = self.history.started_us, attempt.begins_us
        return AttemptTrace(
            attempt=attempt.number,
            ready_ms=ms_between(begun_us, attempt.ready_us),
            started_ms=_since(begun_us, begins_us),
            ended_ms=_since(begun_us, attempt.ended_us),
            wait_ms=ms_between(attempt.ready_us, begins_us) if begins_us else UNSET,
            run_ms=ms_between(begins_us, attempt.ended_us) if attempt.ended_us else UNSET,
            deliveries=attempt.deliveries,
            worker_id=attempt.worker_id or UNSET,
            error=error_part(attempt.failure),
        )

    def _tree(self, order: list[str]) -> list[TraceBranch]:
        """Return the tasks as a tree under the tasks that released or contain them.

        Tasks below the deepest level are added to that level.
        """
        roots: list[TraceBranch] = []
        # For each task the list for the tasks that it releases, and its level.
        places: dict[str, tuple[list[TraceBranch], int]] = {"": (roots, 0)}
        for id_ in order:
            parent = self.waits.released_by(id_) or owner_of(prefix_of(id_))
            siblings, level = places.get(parent, places[""])
            branch = TraceBranch(id=id_, children=[])
            siblings.append(branch)
            deeper = level + 1 < TREE_DEPTH_MAX
            places[id_] = (branch.children, level + 1) if deeper else (siblings, level)
        return roots


COST_TEXTS: dict[CostReason, str] = {
    "run": "ran",
    "dependency": "waited for other tasks",
    "start": "waited for the execution to begin",
    "pause": "waited in a pause",
    "parallelism": "waited for the limit of parallel tasks",
    "items": "waited for the concurrency of its map",
    "worker": "waited for a worker",
    "retry": "waited between attempts",
    "handler": "waited for the requests of its handler",
    "signal": "waited for a signal",
    "child": "waited for another execution",
    "people": "waited for people",
    "engine": "waited for the orchestrator",
}


def _waited_us(node: NodeTimes) -> int:
    return sum(each.begins_us - each.ready_us for each in node.attempts.values() if each.begins_us)


def _ran_us(node: NodeTimes) -> int:
    return sum(each.ended_us - each.begins_us for each in node.attempts.values() if each.ended_us)


def _since(begun_us: int, at_us: int) -> float | UnsetType:
    return ms_between(begun_us, at_us) if at_us else UNSET
