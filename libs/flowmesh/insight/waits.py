"""The waiting time of each node before it ran, divided by reason.

A history has the time at which a node was ready and the ends of its dependencies; a gap between
them is a pause, a limit, or the orchestrator. The time from ready to started counts as waiting for
a worker: a history does not record the load of workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.insight.times import RUNNING, SKIPPED, History, NodeTimes

if TYPE_CHECKING:
    from flowmesh.plan import Plan, PlanNode

# `dependency`: open dependencies. `start`: the hold before the start. `pause`: a pause.
# `parallelism`: the limit of the workflow. `items`: the limit of the map. `worker`: no worker
# started it. `retry`: the delay before another attempt. `handler`: open requests of its durable
# handler. `signal`: an awaited signal. `child`: another execution. `people`: an approval, or a
# decision on a held node. `engine`: the orchestrator had not processed it.
WaitReason = Literal[
    "dependency",
    "start",
    "pause",
    "parallelism",
    "items",
    "worker",
    "retry",
    "handler",
    "signal",
    "child",
    "people",
    "engine",
]


@dataclass(frozen=True, slots=True)
class Wait:
    """A waiting period of a node, in microseconds; `because_of` names the cause node."""

    reason: WaitReason
    from_us: int
    to_us: int
    because_of: str = ""

    @property
    def ms(self) -> float:
        return (self.to_us - self.from_us) / 1_000


class Waits:
    """The waits of the nodes of one history. Open waits count until `now_us`."""

    def __init__(self, plan: "Plan", history: History, now_us: int) -> None:
        self._plan = plan
        self._history = history
        self._now_us = history.ended_us or now_us
        # The last ended node of each body by prefix: the predecessor in a state machine.
        self._last: dict[str, NodeTimes] = {}
        for node in history.nodes.values():
            if node.ended_us:
                self._last[prefix_of(node.id)] = node
        self._before_undoing = self._last_before_undoing() if history.undone_us else ""

    def _last_before_undoing(self) -> str:
        """Return the node of the outermost graph that ended last before the compensation."""
        nodes = [
            node
            for node in self._history.nodes.values()
            if 0 < node.ended_us <= self._history.undone_us
            and not prefix_of(node.id)
            and self.planned(node.id).undoes is None
        ]
        return max(reversed(nodes), key=lambda node: node.ended_us).id if nodes else ""

    def planned(self, node_id: str) -> "PlanNode":
        return self._plan.at(node_id)

    def dependencies(self, node_id: str) -> list[str]:
        """Return the ids of the dependencies of a node, with its prefix."""
        prefix = prefix_of(node_id)
        graph = self._plan if not prefix else self._plan.at(owner_of(prefix)).body
        if graph is None:
            return []  # a task that a handler called
        return [prefix + graph.nodes[i].id for i in self.planned(node_id).dependencies]

    def released_by(self, node_id: str) -> str:
        """Return the node whose end released this one: a dependency, or the previous state.

        The first undo is released by the node at whose end the compensation began.
        """
        ended = [
            node
            for node in map(self._history.node, self.dependencies(node_id))
            if node.ended_us and node.id
        ]
        if ended:
            first = self.planned(node_id).join == plan_pb2.JOIN_ANY
            return (min if first else max)(ended, key=lambda node: node.ended_us).id
        if self.planned(node_id).undoes is not None:
            return self._before_undoing
        before = self._state_before(node_id)
        return before.id if before is not None else ""

    def _state_before(self, node_id: str) -> NodeTimes | None:
        prefix = prefix_of(node_id)
        owner = owner_of(prefix)
        if not owner or self._plan.at(owner).kind != plan_pb2.NODE_KIND_STATES:
            return None
        item = int(prefix[len(owner) + 1 : -2])
        return self._last.get(f"{owner}[{item - 1}]/")

    def begins_us(self, node_id: str) -> int:
        """Return the start of the node's graph, or of the compensation for an undo node."""
        if self.planned(node_id).undoes is not None:
            return self._history.undone_us
        owner = owner_of(prefix_of(node_id))
        if not owner:
            return self._history.started_us
        around = self._history.node(owner)
        return around.expanded_us or around.ready_us

    def eligible_us(self, node_id: str) -> int:
        """Return the time at which the last dependency of a node ended; 0 means not yet."""
        released = self.released_by(node_id)
        if released:
            ended_us = self._history.node(released).ended_us
            is_undo = self.planned(node_id).undoes is not None
            return max(ended_us, self._history.undone_us) if is_undo else ended_us
        return 0 if self.dependencies(node_id) else self.begins_us(node_id)

    def of(self, node_id: str) -> list[Wait]:
        """Return all waits of a node in order of time."""
        return [wait for wait in self._all(node_id) if wait.to_us > wait.from_us]

    def _all(self, node_id: str) -> Iterator[Wait]:
        node, planned = self._history.node(node_id), self.planned(node_id)
        begins_us, eligible_us = self.begins_us(node_id), self.eligible_us(node_id)
        ready_us = node.ready_us or node.ended_us or self._now_us
        released = self.released_by(node_id)
        yield Wait("dependency", begins_us, min(eligible_us or ready_us, ready_us), released)
        if eligible_us and node.status != SKIPPED:
            stopped_us = node.held_us if eligible_us <= node.held_us < ready_us else ready_us
            yield from self._cut(self._gap_reason(node_id, planned), eligible_us, stopped_us)
            yield Wait("people", stopped_us, ready_us)
        before_us = 0
        reason: WaitReason = "retry"
        for attempt in node.attempts.values():
            if before_us:
                yield from self._cut(reason, before_us, attempt.ready_us)
            if (outside := waited_for(planned)) is not None:
                yield Wait(outside, attempt.ready_us, attempt.ended_us or self._now_us)
            elif planned.is_task:
                begun_us = attempt.begins_us or self._now_us
                yield from self._cut("worker", attempt.ready_us, begun_us)
            before_us = attempt.ended_us
            reason = "handler" if attempt.suspended else "retry"
            if node.held_us == before_us:
                reason = "people"
        if before_us and node.status == RUNNING:
            yield from self._cut(reason, before_us, self._now_us)

    def _gap_reason(self, node_id: str, planned: "PlanNode") -> WaitReason:
        if planned.undoes is not None:
            return "dependency"  # dependent work is undone first
        owner = owner_of(prefix_of(node_id))
        of_map = owner and self._plan.at(owner).kind == plan_pb2.NODE_KIND_MAP
        if of_map and not planned.dependencies:
            return "items"
        return "parallelism" if self._plan.parallelism else "engine"

    def _cut(self, reason: WaitReason, from_us: int, to_us: int) -> Iterator[Wait]:
        """Yield a period, split at the start hold and at pauses."""
        history = self._history
        begun_us = min((history.begun_us or self._now_us) if history.held_us else 0, to_us)
        if begun_us > from_us:
            yield Wait("start", from_us, begun_us)
            from_us = begun_us
        for paused_us, resumed_us in history.pauses:
            paused_us, resumed_us = max(paused_us, from_us), min(resumed_us or to_us, to_us)
            if paused_us < resumed_us:
                yield Wait(reason, from_us, paused_us)
                yield Wait("pause", paused_us, resumed_us)
                from_us = resumed_us
        yield Wait(reason, from_us, to_us)


def waited_for(planned: "PlanNode") -> WaitReason | None:
    """Return the reason for which a node waits while it is open; None for a working node."""
    if planned.signal:
        return "signal"
    if planned.kind == plan_pb2.NODE_KIND_CHILD:
        return "child"
    return "people" if planned.approval is not None else None


def prefix_of(node_id: str) -> str:
    """`map[7]/` of `map[7]/a`; empty for a node of the plan itself."""
    return node_id[: node_id.rfind("/") + 1]


def owner_of(prefix: str) -> str:
    """`map` of `map[7]/`."""
    return prefix[: prefix.rfind("[")] if prefix else ""
