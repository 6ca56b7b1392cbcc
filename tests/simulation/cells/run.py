"""Many runs with three cells on several processes, as a part of `make simulate`."""

import sys
from collections import Counter
from functools import partial
from multiprocessing import get_context

from tests.simulation.cells.simulate import CellRun, simulate_cells

CHUNK = 20


def run_cells(first: int, seeds: int, jobs: int) -> bool:
    """Run every seed, and print failures and a summary; return whether none failed."""
    runs: list[CellRun] = []
    with get_context("forkserver").Pool(jobs) as pool:
        for run in pool.imap_unordered(simulate_cells, range(first, first + seeds), CHUNK):
            runs.append(run)
            if run.problems:
                _show(run)
    _summarize(runs)
    return not any(each.problems for each in runs)


def replay_cells(seed: int) -> bool:
    """Run a seed with everything that happens in it; return whether nothing was wrong."""
    run = simulate_cells(seed, partial(print, file=sys.stdout))
    print(f"seed {seed}: digest {run.digest}, {run.steps} steps, {run.virtual_s:.1f} s")
    if run.problems:
        _show(run)
    return not run.problems


def _show(run: CellRun) -> None:
    print(f"cells, seed {run.seed} failed:", *run.problems[:8], sep="\n  ")
    print(f"  replay: python -m tests.simulation.run --replay-cells {run.seed}", flush=True)


def _summarize(runs: list[CellRun]) -> None:
    injected: Counter[str] = Counter()
    for run in runs:
        injected.update(run.injected)
    print(
        f"three cells: {len(runs)} seeds, {sum(each.starts for each in runs)} starts,"
        f" {sum(each.moves for each in runs)} moves, {sum(each.kills for each in runs)} kills,"
        f" starts refused for at most {max((each.refused_s for each in runs), default=0.0):.1f} s,"
        f" {sum(bool(each.problems) for each in runs)} failed"
    )
    print("three cells:", ", ".join(f"{name} {n}" for name, n in sorted(injected.items())))
