"""Where the time of an execution went.

A task is *ready* when its dependencies have ended, *waits* until a worker has it, and *runs* until
its attempt ends. The critical path leads from the task that ended last back over those that each
waited for; what cost most on it is the bottleneck.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
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
from flowmesh.insight.times import AttemptTimes, History, read
from flowmesh.insight.waits import Wait, WaitReason, Waits, owner_of, prefix_of, waited_for
from flowmesh.views import raw_json

if TYPE_CHECKING:
    from flowmesh.plan import Plan

CostReason = WaitReason | Literal["run"]

TASKS_SHOWN_MAX = 10_000
"""Tasks below maps, groups and state machines that one trace shows."""

TREE_DEPTH_MAX = 24
"""JSON that is nested deeper is refused by many readers, ours included."""


class WaitPart(Part, kw_only=True):
    """A stretch in which a task waited, and why."""

    reason: WaitReason
    from_ms: float
    to_ms: float
    because_of: str | UnsetType = UNSET


class AttemptTrace(Part, kw_only=True):
    """One attempt: ready, with a worker, ended."""

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

    `queuedMs` is when its dependencies had ended, `waits` has all that kept it from running;
    by `slackMs` it could have ended later without the execution ending later.
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
    # What was told besides the output: lines logged, figures, whether it is an earlier result.
    metadata: Json | UnsetType = UNSET
    attempts: list[AttemptTrace]


class TraceBranch(Part, kw_only=True):
    """A task and those it released."""

    id: str
    children: list["TraceBranch"]


class Bottleneck(Part, kw_only=True):
    """What cost most on the critical path: a task that ran, or what it waited for."""

    task_id: str
    reason: CostReason
    ms: float
    share: float
    text: str


class Trace(Part, kw_only=True):
    """Where the time of an execution went."""

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
    truncated: bool


def trace_of(
    execution_id: str,
    plan: "Plan",
    events: Iterable[pb.HistoryEvent],
    *,
    now_us: int,
    truncated: bool = False,
) -> Trace:
    """The trace; `now_us` ends what still runs."""
    return Tracing(plan, read(events), now_us).trace(execution_id, truncated=truncated)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a task on the critical path cost, and by what."""

    task_id: str
    reason: CostReason
    ms: float


class Tracing:
    """One history, and what follows from its times."""

    def __init__(self, plan: "Plan", history: History, now_us: int) -> None:
        self.plan = plan
        self.history = history
        self.now_us = history.ended_us or now_us
        self.waits = Waits(plan, history, now_us)
        ids = [node.id for node in plan.nodes]
        known = frozenset(ids)
        below = (node_id for node_id in history.nodes if node_id not in known)
        self.ids = ids + [id_ for id_, _ in zip(below, range(TASKS_SHOWN_MAX), strict=False)]
        self.released = {node_id: self.waits.released_by(node_id) for node_id in self.ids}
        self._last_below: dict[str, str] = {}
        for node_id in sorted(self.ids, key=lambda each: history.node(each).ended_us):
            owner = owner_of(prefix_of(node_id))
            if owner and history.node(node_id).ended_us:
                self._last_below[owner] = node_id

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
        # What is around others is as slow as they are.
        began = [
            task for task in shown if task.ready_ms is not UNSET and task.id not in self._last_below
        ]
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
            slowest=max(began, key=lambda task: task.run_ms).id if began else UNSET,
            longest_wait=max(began, key=lambda task: task.wait_ms).id if began else UNSET,
            truncated=truncated or len(self.ids) >= len(plan.nodes) + TASKS_SHOWN_MAX,
        )

    # --- the critical path ---

    def critical_path(self) -> list[str]:
        """From the first task to the one that ended last, each released by the one before."""
        ended = [
            node.id
            for node in map(self.history.node, self.ids)
            if node.ready_us and node.ended_us and not prefix_of(node.id)
        ]
        if not ended:
            return []
        # Of several that ended at one moment the one that was ready last, and of these the last.
        last = max(reversed(ended), key=self._ended_and_ready)
        return self._way_to(last)

    def _ended_and_ready(self, node_id: str) -> tuple[int, int]:
        node = self.history.node(node_id)
        return node.ended_us, node.ready_us

    def _way_to(self, node_id: str) -> list[str]:
        """Backwards to the beginning of its graph; the way through a body follows its owner."""
        ways: list[list[str]] = []
        while node_id:
            inner = self._last_below.get(node_id, "")
            ways.append([node_id, *(self._way_to(inner) if inner else ())])
            node_id = self.released.get(node_id, "")
        return [each for way in reversed(ways) for each in way]

    def costs(self, node_id: str) -> list[Cost]:
        """What a task cost, apart from what it waited for others; nothing for who is around any."""
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
        """By how much each task that ended could have ended later and delayed nothing else."""
        history = self.history
        slack: dict[str, int] = {}
        followers: dict[str, list[str]] = {}
        for node_id in self.ids:
            for dependency in self.waits.dependencies(node_id):
                followers.setdefault(dependency, []).append(node_id)
        # Of each once: to find it looks at all that a task depends on.
        eligible_us = {node_id: self.waits.eligible_us(node_id) for node_id in self.ids}
        # Who ended later comes first: what follows a task, and what is around it, ends after it.
        for node in sorted(
            map(history.node, self.ids), key=lambda each: (-each.ended_us, len(each.id))
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
            released_by=self.released[node_id] or UNSET,
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
        """Tasks under the one that released them, or that they are below of.

        Below the deepest level they stand side by side.
        """
        roots: list[TraceBranch] = []
        # Of each task: where the tasks that it releases are put, and on which level that is.
        places: dict[str, tuple[list[TraceBranch], int]] = {"": (roots, 0)}
        for id_ in order:
            parent = self.released[id_] or owner_of(prefix_of(id_))
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
    "handler": "waited for what its handler asked for",
    "signal": "waited for a signal",
    "child": "waited for another execution",
    "people": "waited for people",
    "engine": "waited for the orchestrator",
}


def _since(begun_us: int, at_us: int) -> float | UnsetType:
    return ms_between(begun_us, at_us) if at_us else UNSET
