"""An execution to explain, the live data of its owner, and the findings."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import NodeState, State
from flowmesh.insight.causes import Finding
from flowmesh.plan import Plan, PlanNode

FINDINGS_MAX = 200
"""Findings in one explanation; `counts` includes all."""

NAMES_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of a task. `there` is true if its worker is connected."""

    worker_id: str
    since_us: int
    until_us: int
    there: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """Workers for a task type and queue, their free slots, and the waiting tasks."""

    workers: int
    free: int
    waiting: int


class Live(Protocol):
    """Live data of the owner of an execution."""

    def lease(self, state: State, node: NodeState) -> Lease | None:
        """Return the lease of the current attempt of a node."""

    def held_by(self, state: State, node: NodeState) -> str:
        """Return the limit or dispatch stop that holds a task; empty for none."""

    def queue(self, plan: Plan, node: PlanNode) -> Queue:
        """Return the workers for a node."""


@dataclass(slots=True)
class Case:
    """An execution to explain. `live` is None without an owner, `pause` the last pause event;
    `line` has the executions that must end before its turn, and the number queued before it.
    """

    state: State
    now_us: int
    live: Live | None
    partition: int = 0
    pause: history_event_pb2.HistoryEvent | None = None
    line: tuple[tuple[str, ...], int] = ((), 0)
    found: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, findings: Iterator[Finding]) -> bool:
        """Add the findings of a rule. Return whether there was one."""
        any_ = False
        for each in findings:
            any_ = True
            self.counts[each.cause] = self.counts.get(each.cause, 0) + 1
            if len(self.found) < FINDINGS_MAX:
                self.found.append(each)
        return any_


def listed(names: list[str]) -> str:
    """Return the first names, comma-separated, with the number of the others."""
    shown = ", ".join(names[:NAMES_SHOWN_MAX])
    left = len(names) - NAMES_SHOWN_MAX
    return f"{shown} and {left} more" if left > 0 else shown
