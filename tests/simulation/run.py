"""`make simulate SEEDS=20000`: many runs on several processes, failures with how to replay them.

python -m tests.simulation.run --seeds 20000 --jobs 2 --first 0
python -m tests.simulation.run --replay 4711        one run, told step by step
python -m tests.simulation.run --replay-cells 4711  one run with three cells

SIMULATE_RUNS=file adds what all of them came to as a line to a file.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.drills import runs
from tests.simulation.cells.run import replay_cells, run_cells
from tests.simulation.simulate import Run, simulate

CHUNK = 100
"""Runs of one process. It ends without looking for garbage, which would be a fifth of its time."""

FAILURES_SHOWN = 20
PROGRESS_EVERY_S = 5.0


@dataclass(slots=True)
class Total:
    """The totals of all runs."""

    seeds: int = 0
    steps: int = 0
    events: int = 0
    executions: int = 0
    commits: int = 0
    virtual_s: float = 0.0
    states: set[int] = field(default_factory=set)
    injected: Counter[str] = field(default_factory=Counter)
    failures: list[Run] = field(default_factory=list)

    def add(self, run: Run) -> None:
        self.seeds += 1
        self.steps += run.steps
        self.events += run.events
        self.executions += run.executions
        self.commits += run.commits
        self.virtual_s += run.virtual_s
        self.states |= run.states
        self.injected.update(run.injected)
        if run.problems:
            self.failures.append(run)

    def counts(self) -> dict[str, int]:
        """For the file of runs."""
        return {
            "seeds": self.seeds,
            "failed": len(self.failures),
            "steps": self.steps,
            "events": self.events,
            "commits": self.commits,
            "executions": self.executions,
            "distinct_states": len(self.states),
        }


class _Refusing(logging.Handler):
    """An error logged by the SDK fails its run."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            raise AssertionError(record.getMessage())


logging.getLogger("flowmesh.sdk").addHandler(_Refusing())


def chunk(seeds: range) -> list[Run]:
    """Some runs in this process; what they leave behind goes with it."""
    gc.disable()
    return [_named(seed) for seed in seeds]


def _named(seed: int) -> Run:
    """One run; what it does not survive says of which seed it is."""
    try:
        return simulate(seed)
    except Exception as error:  # noqa: BLE001 (travels as text)
        # A pool waits for ever for an error that does not come back from its pickle.
        told = "".join(traceback.format_exception(error))
        raise RuntimeError(f"seed {seed}: {told}") from None


def _chunks(first: int, seeds: int) -> Iterator[range]:
    for start in range(first, first + seeds, CHUNK):
        yield range(start, min(start + CHUNK, first + seeds))


def run_all(first: int, seeds: int, jobs: int) -> Total:
    """Runs every seed and prints how far it is; failures at once."""
    total, begun_s = Total(), time.monotonic()
    said_s = begun_s
    processes = get_context("forkserver")
    processes.set_forkserver_preload(["tests.simulation.simulate"])
    with processes.Pool(jobs, maxtasksperchild=1) as pool:
        for done in pool.imap_unordered(chunk, _chunks(first, seeds)):
            for run in done:
                total.add(run)
                if run.problems and len(total.failures) <= FAILURES_SHOWN:
                    _show(run)
            if time.monotonic() - said_s > PROGRESS_EVERY_S:
                said_s = time.monotonic()
                _progress(total, said_s - begun_s)
    _progress(total, time.monotonic() - begun_s)
    return total


def _progress(total: Total, seconds: float) -> None:
    print(
        f"{total.seeds} seeds, {total.seeds / seconds:.0f}/s, {total.steps} steps,"
        f" {total.events} events in {total.commits} commits of {total.executions} executions,"
        f" {len(total.states)} distinct states, {total.virtual_s / 3600:.1f} h of virtual time,"
        f" {len(total.failures)} failed",
        flush=True,
    )


def _show(run: Run) -> None:
    print(f"seed {run.seed} failed:", *run.problems[:8], sep="\n  ")
    print(f"  replay: python -m tests.simulation.run --replay {run.seed}", flush=True)


def replay(seed: int) -> bool:
    """One run with everything that happens in it; whether nothing was wrong."""
    run = simulate(seed, print)
    print(f"seed {seed}: digest {run.digest}, {run.steps} steps, {run.virtual_s:.1f} s")
    if run.problems:
        _show(run)
    return not run.problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cells", type=int, default=0, help="runs with three cells besides")
    parser.add_argument("--replay", type=int)
    parser.add_argument("--replay-cells", type=int)
    options = parser.parse_args()
    if options.replay is not None:
        return 0 if replay(options.replay) else 1
    if options.replay_cells is not None:
        return 0 if replay_cells(options.replay_cells) else 1
    total = run_all(options.first, options.seeds, options.jobs)
    print("injected:", ", ".join(f"{name} {n}" for name, n in sorted(total.injected.items())))
    if file := os.environ.get("SIMULATE_RUNS"):
        runs.append(Path(file), first=options.first, **total.counts())
    for run in total.failures[FAILURES_SHOWN:]:
        print(f"seed {run.seed} failed: {run.problems[0]}")
    is_good = run_cells(options.first, options.cells, options.jobs) if options.cells else True
    return 0 if is_good and not total.failures else 1


if __name__ == "__main__":
    sys.exit(main())
