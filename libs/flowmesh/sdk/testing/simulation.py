"""Repeated runs of a workflow under random faults, reproducible by their seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from flowmesh.engine.state.journal import is_open
from flowmesh.sdk.testing.faults import Chance, Faults, no_faults

if TYPE_CHECKING:
    from flowmesh.sdk.testing.environment import LocalExecution

__all__ = ["Faults", "SimulationFailed", "simulated"]


class SimulationFailed(AssertionError):
    """A run under faults failed; `seed` with `runs=1` reproduces it."""

    def __init__(self, seed: int, problem: str, execution: LocalExecution | None) -> None:
        super().__init__(f"seed {seed}: {problem}")
        self.seed = seed
        self.execution = execution


async def simulated(
    once: Callable[[Chance], Awaitable[LocalExecution]],
    *,
    runs: int,
    seed: int,
    faults: Faults,
    check: Callable[[LocalExecution], None] | None,
) -> None:
    """Run under faults; raise SimulationFailed at the first wrong run."""
    expected = await once(no_faults())
    for number in range(seed, seed + runs):
        execution = None
        try:
            execution = await once(Chance(faults, str(number)))
            if check is not None:
                check(execution)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise SimulationFailed(number, problem, execution) from error
        problem = _difference(execution, expected, faults)
        if problem:
            raise SimulationFailed(number, problem, execution)


def _difference(execution: LocalExecution, expected: LocalExecution, faults: Faults) -> str:
    """Describe an effect that crashes and repeats must not have; empty if there is none."""
    ended: Counter[tuple[str, int]] = Counter()
    for event in execution.history.events:
        if event.HasField("journal_appended"):
            body = event.journal_appended
            ended.update((body.node, each.index) for each in body.records if not is_open(each))
    twice = [f"{node}: operation {index}" for (node, index), count in ended.items() if count > 1]
    if twice:
        return f"journaled twice: {', '.join(twice)}"
    if faults.failures:
        return ""
    if execution.status != expected.status:
        error = execution.report.error
        cause = f" ({error.class_}: {error.message})" if error else ""
        return f"it is {execution.status}{cause}; without faults it is {expected.status}"
    if execution.output != expected.output:
        return f"its output is {execution.output!r}; without faults it is {expected.output!r}"
    return ""
