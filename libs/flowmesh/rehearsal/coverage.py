"""Which nodes of a workflow tests have run, and which way its conditions have gone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flowmesh.definitions.scopes import GATE_SUFFIX
from flowmesh.rehearsal.report import PlanStep, Report


@dataclass(slots=True)
class Coverage:
    """Of one workflow. A branch is a condition and one of its two outcomes."""

    workflow: str
    nodes: set[str] = field(default_factory=set)
    branches: set[tuple[str, bool]] = field(default_factory=set)
    nodes_run: set[str] = field(default_factory=set)
    branches_taken: set[tuple[str, bool]] = field(default_factory=set)

    def add(self, report: Report) -> None:
        """Counts what a rehearsal did."""
        for name, step in _steps(report.plan, ""):
            if step.type == "condition":
                self.branches |= {(_asked(name), True), (_asked(name), False)}
            if not name.endswith(GATE_SUFFIX):
                self.nodes.add(name)
        for node in report.nodes:
            name = "/".join(part.partition("[")[0] for part in node.id.split("/"))
            if node.status in ("completed", "failed", "running") and name in self.nodes:
                self.nodes_run.add(name)
            if isinstance(node.output, bool) and (_asked(name), node.output) in self.branches:
                self.branches_taken.add((_asked(name), node.output))

    @property
    def missed(self) -> list[str]:
        """Nodes that never ran, and conditions that never went one way."""
        ways = sorted(self.branches - self.branches_taken)
        return [
            *sorted(self.nodes - self.nodes_run),
            *(f"{name} is {str(outcome).lower()}" for name, outcome in ways),
        ]


def percent(coverages: Iterable[Coverage]) -> float:
    """Of all nodes and branches of all workflows; 100 where there are none."""
    every, seen = 0, 0
    for coverage in coverages:
        every += len(coverage.nodes) + len(coverage.branches)
        seen += len(coverage.nodes_run) + len(coverage.branches_taken)
    return 100.0 * seen / every if every else 100.0


def _asked(name: str) -> str:
    return name.removesuffix(GATE_SUFFIX)


def _steps(steps: list[PlanStep], prefix: str) -> Iterator[tuple[str, PlanStep]]:
    for step in steps:
        yield prefix + step.id, step
        if isinstance(step.body, list):
            yield from _steps(step.body, f"{prefix}{step.id}/")
