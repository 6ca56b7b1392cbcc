"""A workflow under faults, many times: each run by a seed that makes the same faults again."""

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
    """A run under faults went wrong; `seed` makes the same run again, with `runs=1`."""

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
    """Raises SimulationFailed at the first run that is not as it should be."""
    calm = await once(no_faults())
    for number in range(seed, seed + runs):
        execution = None
        try:
            execution = await once(Chance(faults, str(number)))
            if check is not None:
                check(execution)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise SimulationFailed(number, problem, execution) from error
        problem = _wrong(execution, calm, faults)
        if problem:
            raise SimulationFailed(number, problem, execution)


def _wrong(execution: LocalExecution, calm: LocalExecution, faults: Faults) -> str:
    """What a run has that crashes and repeats must not bring about."""
    ended: Counter[tuple[str, int]] = Counter()
    for event in execution.history.events:
        if event.HasField("journal_appended"):
            body = event.journal_appended
            ended.update((body.node, one.index) for one in body.records if not is_open(one))
    twice = [f"{node}: operation {index}" for (node, index), count in ended.items() if count > 1]
    if twice:
        return f"journaled twice: {', '.join(twice)}"
    if faults.failures:
        return ""
    if execution.status != calm.status:
        error = execution.report.error
        because = f" ({error.class_}: {error.message})" if error else ""
        return f"it is {execution.status}{because}; without faults it is {calm.status}"
    if execution.output != calm.output:
        return f"its output is {execution.output!r}; without faults it is {calm.output!r}"
    return ""
