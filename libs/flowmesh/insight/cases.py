"""An execution to explain, what its owner knows of the workers, and what has been found."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import NodeState, State
from flowmesh.insight.causes import Finding
from flowmesh.plan import Plan, PlanNode

FINDINGS_MAX = 200
"""Findings of one explanation; the counts are of all."""

NAMES_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has a task: since when and until when; `there` says whether its worker answers."""

    worker_id: str
    since_us: int
    until_us: int
    there: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """Workers that take a kind of task, their free slots, and tasks of the kind that wait."""

    workers: int
    free: int
    waiting: int


class Live(Protocol):
    """What the owner of an execution knows beside its state."""

    def lease(self, state: State, node: NodeState) -> Lease | None:
        """Who has the current attempt of a node."""

    def held_by(self, state: State, node: NodeState) -> str:
        """The limit, or the stop, that keeps its task from being sent; empty for none."""

    def queue(self, plan: Plan, node: PlanNode) -> Queue:
        """Who could have it."""


@dataclass(slots=True)
class Case:
    """An execution to explain. `live` is None where nobody owns it, `pause` the last one of it;
    `line` has the executions whose end it waits for to begin, and how many wait before it.
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
        """Keeps what a rule has found; False if that is nothing."""
        any_ = False
        for each in findings:
            any_ = True
            self.counts[each.cause] = self.counts.get(each.cause, 0) + 1
            if len(self.found) < FINDINGS_MAX:
                self.found.append(each)
        return any_


def listed(names: list[str]) -> str:
    """Names in a sentence, the first ones."""
    shown = ", ".join(names[:NAMES_SHOWN_MAX])
    left = len(names) - NAMES_SHOWN_MAX
    return f"{shown} and {left} more" if left > 0 else shown
