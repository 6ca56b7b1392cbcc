"""Coverage of tests: nodes that ran, and branches that decisions took."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flowmesh.definitions.scopes import GATE_SUFFIX
from flowmesh.dryrun.names import is_made, plain
from flowmesh.dryrun.report import PlanStep, Report
from flowmesh.dryrun.timeline import branches_of


@dataclass(slots=True)
class Coverage:
    """The coverage of one workflow. A branch is a decision with one outcome."""

    workflow: str
    nodes: set[str] = field(default_factory=set)
    branches: set[tuple[str, str]] = field(default_factory=set)
    nodes_run: set[str] = field(default_factory=set)
    branches_taken: set[tuple[str, str]] = field(default_factory=set)

    def add(self, report: Report) -> None:
        """Add the nodes and branches of a dry run."""
        for name, step in _steps(report.plan, ""):
            self.branches |= {(_asked(name), way) for way in step.branches or ()}
            if not is_made(name):
                self.nodes.add(name)
        for node in report.nodes:
            name = plain(node.id)
            if node.status in ("completed", "failed", "running", "canceled") and node.attempts:
                self.nodes_run |= {name} & self.nodes
            ways = {(_asked(name), way) for way in branches_of(node.output)}
            self.branches_taken |= ways & self.branches

    @property
    def missed(self) -> list[str]:
        """Nodes that never ran, and branches never taken."""
        ways = sorted(self.branches - self.branches_taken)
        return [*sorted(self.nodes - self.nodes_run), *(f"{name} is {way}" for name, way in ways)]


def percent(coverages: Iterable[Coverage]) -> float:
    """Return the covered percentage of all nodes and branches; 0 if no test has run."""
    every, seen = 0, 0
    for coverage in coverages:
        every += len(coverage.nodes) + len(coverage.branches)
        seen += len(coverage.nodes_run) + len(coverage.branches_taken)
    return 100.0 * seen / every if every else 0.0


def _asked(name: str) -> str:
    return name.removesuffix(GATE_SUFFIX)


def _steps(steps: list[PlanStep], prefix: str) -> Iterator[tuple[str, PlanStep]]:
    for step in steps:
        yield prefix + step.id, step
        if isinstance(step.body, list):
            yield from _steps(step.body, f"{prefix}{step.id}/")
