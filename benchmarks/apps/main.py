"""The goals A1 to A9 of applications in one run, beside FastAPI.

`.venv/bin/python -m benchmarks.apps.main [--seconds N]` needs `wrk` and takes about four minutes.
Missed goals are only reported.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.apps import acting, durable, requests
from benchmarks.goals import Value, Values, at_least, at_most, of, ratio
from benchmarks.load import Metrics
from benchmarks.report import goals_table

SYSTEM: Final = "apps"
DURABLE_CALLS: Final = 500


def _of(program: str, figure: str) -> Value:
    return of(program, figure, system=SYSTEM)


def _times_fastapi(goal: str) -> Value:
    return ratio(
        _of("requests", f"{goal}_flowmesh_per_s"), _of("requests", f"{goal}_fastapi_per_s")
    )


GOALS: Final = (
    at_least("A1 GET by id, SQLite, times FastAPI", 3, _times_fastapi("A1"), "×"),
    at_least("A2 POST and commit, SQLite, times FastAPI", 4, _times_fastapi("A2"), "×"),
    at_least("A3 GET by id, PostgreSQL, times FastAPI", 2, _times_fastapi("A3"), "×"),
    at_most("A1 wrong answers of 100,000", 0, _of("requests", "A1_wrong")),
    at_most("A1 loads with errors", 0, _of("requests", "A1_flowmesh_loads_with_errors")),
    at_least("A4 transitions/s, SQLite", 2_000, _of("acting", "sqlite_per_s")),
    at_least("A4 transitions/s, PostgreSQL", 1_000, _of("acting", "postgres_per_s")),
    at_most("A4 p50 of one at a time, SQLite", 3, _of("acting", "sqlite_p50_ms"), "ms"),
    at_most("A4 p50 of one at a time, PostgreSQL", 3, _of("acting", "postgres_p50_ms"), "ms"),
    at_most("A5 first answer", 0.6, _of("requests", "A1_flowmesh_start_s"), "s"),
    at_most("A6 memory of an idle application", 60, _of("acting", "idle_mib"), "MiB"),
    at_most("A6 CPU of an idle application", 0.2, _of("acting", "idle_percent"), "%"),
    at_most("A7 call of a component, p50", 0.3, _of("acting", "component_p50_ms"), "ms"),
    at_least("A7 messages/s in the process", 20_000, _of("acting", "messages_per_s")),
    at_most("A8 durable pipeline, times W2", 2.5, _of("durable", "durable_of_w2"), "×"),
    at_most("A9 failed requests of releases", 0, _of("acting", "release_failed")),
    at_most("A9 longest request", 250, _of("acting", "release_longest_ms"), "ms"),
)


async def measured(folder: Path, seconds: int) -> Values:
    """Run the programs one after the other, and return their figures."""
    programs: dict[str, Callable[[Path], Awaitable[Metrics]]] = {
        "requests": lambda own: requests.run(own, seconds),
        "acting": lambda own: acting.run(own, seconds),
        "durable": lambda own: durable.run(own, DURABLE_CALLS),
    }
    values: dict[tuple[str, str, str], float] = {}
    for name, program in programs.items():
        print(f"\n## {name} (load average {os.getloadavg()[0]:.1f})", flush=True)
        own = folder / name
        own.mkdir()
        values |= {(SYSTEM, name, key): each for key, each in (await program(own)).items()}
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of each load")
    given = parser.parse_args()
    requests.require_wrk()
    requests.peer_python()
    with tempfile.TemporaryDirectory(prefix="flowmesh-apps-") as found:
        values = asyncio.run(measured(Path(found), given.seconds))
    Console(highlight=False).print(goals_table(values, GOALS))
