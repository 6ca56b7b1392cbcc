"""The command line of a run: rounds, systems, workloads and the output."""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.dbos.system import Dbos
from benchmarks.definitions import Definitions
from benchmarks.figures import Results
from benchmarks.machine import describe, yardstick_ms
from benchmarks.report import heading, show, write
from benchmarks.restate.system import Restate
from benchmarks.roofline.system import Roofline
from benchmarks.suite.closed import Closed
from benchmarks.suite.scaled import Scaled
from benchmarks.suite.system import Suite
from benchmarks.system import System
from benchmarks.temporal.system import Temporal
from benchmarks.workloads import FULL, ONCE, PATIENCE_S, QUICK, WORKLOADS, Sizes
from flowmesh.rpc.environment import GRPC_ENVIRONMENT

LATEST = Path(__file__).parent / "results" / "latest.json"
ROUNDS = 3
# In the order of measurement in each round.
SYSTEMS: dict[str, Callable[[Sizes], System]] = {
    "roofline": Roofline,
    "flowmesh": Suite,
    "flowmesh-scaled": Scaled,
    "flowmesh-closed": Closed,
    "flowmesh-definitions": Definitions,
    "temporal-dev": Temporal,
    "dbos": Dbos,
    **{
        f"restate-{steps}-{language}": partial(Restate, steps=steps, language=language)
        for steps in ("call", "inline")
        for language in ("ts", "py")
    },
}
QUICK_SYSTEMS = ("roofline", "flowmesh", "temporal-dev")
PATIENCE_QUICK_S = 2.0
SYSTEM_TIMEOUT_S = 600.0
BUDGET_S = 24 * 60.0
BUDGET_QUICK_S = 170.0
"""The total time; a round does not start if it would exceed this at its last duration."""


def main() -> int:
    """Run and return 1 if a measurement failed; missed goals are only reported."""
    options = _options()
    sizes = replace(QUICK if options.quick else FULL, patience_s=options.patience)
    workloads = [name for name in options.only if name in sizes.workloads]
    # Workers, clients and the roofline have the same gRPC settings as the suite.
    os.environ.update(GRPC_ENVIRONMENT)
    print(heading(sizes, workloads, options.rounds))
    results = Results()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_measure(results, sizes, workloads, options))
    document = results.document(describe())
    show(document)
    if options.save and results.complete:
        write(options.output, document)
        print(f"written: {options.output}")
    for failure in results.failures:
        print(f"not measured: {failure}", file=sys.stderr)
    return 1 if results.failures or not results.complete else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, help=f"number of measurements of each workload ({ROUNDS})"
    )
    parser.add_argument("--only", default=",".join(WORKLOADS), help="workloads, such as W1,W2")
    parser.add_argument("--systems", help="systems, such as flowmesh,roofline")
    parser.add_argument(
        "--patience",
        type=float,
        help="maximum wait in seconds of each measurement for a quiet machine",
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure W1 and W2 of three systems only"
    )
    parser.add_argument("--budget", type=float, help="seconds after which no round starts")
    parser.add_argument(
        "--output",
        type=Path,
        help="file of the results (by default written for a complete run only)",
    )
    options = parser.parse_args()
    options.only = options.only.split(",")
    known_systems = QUICK_SYSTEMS if options.quick else tuple(SYSTEMS)
    options.systems = options.systems.split(",") if options.systems else list(known_systems)
    for name, known in ((options.only, WORKLOADS), (options.systems, SYSTEMS)):
        if unknown := set(name) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    whole = set(options.only) == set(WORKLOADS) and set(options.systems) == set(known_systems)
    options.save = whole or options.output is not None
    options.output = options.output or LATEST
    options.rounds = options.rounds or ROUNDS
    if options.patience is None:
        options.patience = PATIENCE_QUICK_S if options.quick else PATIENCE_S
    options.budget = options.budget or (BUDGET_QUICK_S if options.quick else BUDGET_S)
    return options


async def _measure(
    results: Results, sizes: Sizes, workloads: list[str], options: argparse.Namespace
) -> None:
    """Measure all systems in each round, so that disturbances affect all of them."""
    began = time.monotonic()
    took_s = 0.0
    for number in range(1, options.rounds + 1):
        round_began = time.monotonic()
        if round_began - began + took_s > options.budget:
            print(f"no time for round {number} of {options.rounds}")
            break
        results.yardstick.append(yardstick_ms())
        if number > 1:
            workloads = [name for name in workloads if name not in ONCE]
        for name in options.systems:
            system = SYSTEMS[name](sizes)
            print(f"round {number} of {options.rounds}: {name}", flush=True)
            with tempfile.TemporaryDirectory(prefix="flowmesh-bench-") as folder:
                try:
                    async with asyncio.timeout(SYSTEM_TIMEOUT_S):
                        await system.measure(Path(folder), workloads, results)
                except Exception as error:  # noqa: BLE001 continue with the other systems
                    traceback.print_exception(error)
                    results.failures.append(f"{name} in round {number}: {error!r}")
        took_s = time.monotonic() - round_began
    results.complete = True
