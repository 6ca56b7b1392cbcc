"""Time per node over many executions of a workflow: percentiles and a ranking.

The cost of a node is its time on the critical path, summed over the executions. Items of a map and
rounds of a loop count for their planned node.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowmesh.insight.parts import Part, ms_between
from flowmesh.insight.times import CANCELED, FAILED, SKIPPED
from flowmesh.insight.traces import COST_TEXTS, CostReason, Tracing

SAMPLES_MAX = 100_000
"""Samples kept per node; later ones are counted but left out of the percentiles."""

_ITEM = re.compile(r"\[\d+\]")


class Percentiles(Part, kw_only=True):
    """Percentiles of a duration, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    total_ms: float


class NodeCost(Part, kw_only=True):
    """A task over all executions: `map[]/a` stands for the items of a map.

    `criticalMs` is its time on critical paths, `share` its part of the time of all executions,
    `criticalIn` the number of executions with it on the critical path, `reason` its largest cost.
    """

    id: str
    rank: int
    runs: int
    failed: int
    skipped: int
    retries: int
    run: Percentiles
    wait: Percentiles
    critical_ms: float
    critical_in: int
    share: float
    reason: CostReason
    text: str


class Bottlenecks(Part, kw_only=True):
    """The tasks of a workflow, the most expensive first."""

    workflow: str
    executions: int
    versions: list[int]
    duration: Percentiles
    nodes: list[NodeCost]
    truncated: bool


@dataclass(slots=True)
class _Node:
    """Counts and samples of one node."""

    run_ms: list[float] = field(default_factory=list)
    wait_ms: list[float] = field(default_factory=list)
    runs: int = 0
    failed: int = 0
    skipped: int = 0
    retries: int = 0
    critical_in: int = 0
    costs: dict[CostReason, float] = field(default_factory=dict)


class Ranking:
    """Aggregates executions one by one without keeping their histories."""

    def __init__(self, workflow_id: str) -> None:
        self._workflow_id = workflow_id
        self._nodes: dict[str, _Node] = {}
        self._durations: list[float] = []
        self._versions: set[int] = set()

    def add(self, tracing: Tracing) -> None:
        self._durations.append(tracing.duration_ms)
        self._versions.add(tracing.plan.version)
        for node_id in tracing.ids:
            self._count(tracing, node_id)
        critical = set()
        for node_id in tracing.critical_path():
            name = _ITEM.sub("[]", node_id)
            critical.add(name)
            costs = self._node(name).costs
            for cost in tracing.costs(node_id):
                costs[cost.reason] = costs.get(cost.reason, 0.0) + cost.ms
        for name in critical:
            self._node(name).critical_in += 1

    def _node(self, name: str) -> _Node:
        return self._nodes.setdefault(name, _Node())

    def _count(self, tracing: Tracing, node_id: str) -> None:
        times = tracing.history.node(node_id)
        counted = self._node(_ITEM.sub("[]", node_id))
        counted.failed += times.status == FAILED
        counted.skipped += times.status in (SKIPPED, CANCELED)
        if not times.attempts or not times.ended_us:
            return
        counted.runs += 1
        counted.retries += len(times.attempts) - 1
        if len(counted.run_ms) < SAMPLES_MAX:
            attempts = times.attempts.values()
            counted.run_ms.append(sum(ms_between(a.begins_us, a.ended_us) for a in attempts))
            counted.wait_ms.append(sum(ms_between(a.ready_us, a.begins_us) for a in attempts))

    def report(self, *, truncated: bool) -> Bottlenecks:
        ranked = sorted(
            self._nodes.items(),
            key=lambda each: (-sum(each[1].costs.values()), -sum(each[1].run_ms), each[0]),
        )
        total_ms = sum(self._durations)
        return Bottlenecks(
            workflow=self._workflow_id,
            executions=len(self._durations),
            versions=sorted(self._versions),
            duration=percentiles(self._durations),
            nodes=[
                self._cost(rank, name, node, total_ms)
                for rank, (name, node) in enumerate(ranked, 1)
            ],
            truncated=truncated,
        )

    def _cost(self, rank: int, name: str, node: _Node, total_ms: float) -> NodeCost:
        critical_ms = sum(node.costs.values())
        reason: CostReason = max(node.costs, key=node.costs.__getitem__, default="run")
        share = critical_ms / total_ms if total_ms else 0.0
        count = len(self._durations)
        text = (
            f"{name} {COST_TEXTS[reason]}: {share:.0%} of the time of {count} executions,"
            f" on the critical path of {node.critical_in}"
        )
        return NodeCost(
            id=name,
            rank=rank,
            runs=node.runs,
            failed=node.failed,
            skipped=node.skipped,
            retries=node.retries,
            run=percentiles(node.run_ms),
            wait=percentiles(node.wait_ms),
            critical_ms=round(critical_ms, 3),
            critical_in=node.critical_in,
            share=round(share, 4),
            reason=reason,
            text=text,
        )


def percentiles(samples: Sequence[float]) -> Percentiles:
    """Return percentiles by nearest rank; all 0 without samples."""
    ordered = sorted(samples)

    def at(share: float) -> float:
        if not ordered:
            return 0.0
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 3)

    return Percentiles(
        count=len(ordered),
        p50_ms=at(0.5),
        p95_ms=at(0.95),
        p99_ms=at(0.99),
        max_ms=at(1.0),
        total_ms=round(sum(ordered), 3),
    )
