"""docs/reliability.md: which fault is proved by which test, and what the runs have measured."""

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flowmesh.failpoints import POINTS
from tools.pages import markdown
from tools.pages.faults import FIGURES, INVARIANTS, ROWS

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "tests" / "faults" / "runs.jsonl"
SIMULATED = ROOT / "tests" / "simulation" / "runs.jsonl"
BENCH = ROOT / "benchmarks" / "results" / "latest.json"
# 10,000 due in one second, 500 in each of ten.
TIMERS = 15_000
INTRODUCTION = """
`make faults` breaks a cluster of real processes on real servers, on purpose and in every way of
the table below, while orders are under way and subscribers follow them.
After each fault one checker reads the whole database, the receiver's file of effects (one synced
line per effect), what every subscriber got and what every caller was told, and evaluates these.

The seed of everything that is drawn is `FAULTS_SEED` (7 unless said); `FAULTS_RUNS=file` adds what
a run found to a file as one line.
It tries some of the boundaries of N2, drawn; `make faults-boundaries` tries all of them.
N3 is by `make simulate` ([simulation.md](simulation.md)), N13 by `make bench`.
Zero failures in n faults only show a rate below 3/n, so every row has its n, summed over the runs
in `tests/faults/runs.jsonl`.
"""


def page() -> str:
    runs = _lines(RUNS)
    measured = _measured(runs)
    tests = marked()
    lines = markdown.title("Reliability", source="the tests and `tests/faults/runs.jsonl`")
    lines += [*INTRODUCTION.strip().splitlines(), ""]
    lines += markdown.table(("invariant", "what holds"), INVARIANTS.items())
    lines += ["## Faults", ""]
    lines += markdown.table(
        ("row", "fault", "proved by", "n", "executions", "failures", "recovery p50 / p99"),
        (_row(name, tests, runs) for name in ROWS),
    )
    lines += ["## Figures", "", *_about(runs), ""]
    lines += markdown.table(
        ("figure", "measure", "target", "measured"),
        ((name, what, target, _figure(measured[name])) for name, (what, target) in FIGURES.items()),
    )
    lines += ["## Points at which a process can be broken", ""]
    lines += ["Set by `FLOWMESH_FAILPOINTS`; one that is off costs a look at a variable.", ""]
    lines += markdown.table(
        ("point", "moment"), ((markdown.code(name), text) for name, text in POINTS.items())
    )
    return markdown.join(lines)


def marked() -> dict[str, list[tuple[str, str]]]:
    """For each row of the matrix the tests that carry its mark: file and name."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in ROWS}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                for row in _rows_of(node):
                    found[row].append((path.relative_to(ROOT).as_posix(), node.name))
    silent = [row for row, tests in found.items() if not tests]
    if silent:
        raise SystemExit(f"rows without a test: {', '.join(silent)}")
    return found


def _rows_of(node: ast.AsyncFunctionDef | ast.FunctionDef) -> Iterator[str]:
    for mark in node.decorator_list:
        if (
            isinstance(mark, ast.Call)
            and isinstance(mark.func, ast.Attribute)
            and mark.func.attr == "fault"
        ):
            for argument in mark.args:
                assert isinstance(argument, ast.Constant)
                yield str(argument.value)


def _row(
    name: str, tests: dict[str, list[tuple[str, str]]], runs: Iterable[dict[str, Any]]
) -> tuple[str, ...]:
    rows = [row for run in runs for row in run["rows"] if row["fault"] == name]
    links = "<br>".join(f"[{test}](../{file})" for file, test in tests[name])
    sums = [str(sum(row[key] for row in rows)) for key in ("n", "executions", "failures")]
    waits = [(row["p50_s"], row["p99_s"]) for row in rows if row["p50_s"] is not None]
    recovery = "-"
    if waits:
        recovery = f"{max(p50 for p50, _ in waits)} / {max(p99 for _, p99 in waits)} s"
    if not rows:
        sums, recovery = ["-"] * 3, "-"
    return (name, ROWS[name], links or "-", *sums, recovery)


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _measured(runs: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Each figure as it was measured, by run."""
    found = {
        name: [run["figures"][name] for run in runs if name in run["figures"]] for name in FIGURES
    }
    # The last run that tried every boundary says more than a later one that tried some.
    found["N2"].sort(key=lambda figure: figure["n"] == figure.get("boundaries"))
    counts = ("failed", "events", "commits", "executions", "distinct_states")
    found["N3"] = [
        {"n": run["seeds"], **{key: run[key] for key in counts}} for run in _lines(SIMULATED)
    ]
    found["N13"] = [_timers(json.loads(BENCH.read_text())["results"])]
    return found


def _timers(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What `make bench` has measured of timers."""
    values = {
        (result["workload"], result["metric"]): result["value"]
        for result in results
        if result["system"] == "flowmesh"
    }
    return {
        "n": TIMERS,
        "early": values["timers", "early"] + values["timers-500", "early"],
        "at_500/s_p99_ms_late": values["timers-500", "late_p99_ms"],
        "10,000_of_one_second_drained_s": values["timers", "drained_s"],
    }


def _figure(values: list[dict[str, Any]]) -> str:
    """The last measurement; n and failures of all runs behind it."""
    if not values:
        return "-"
    shown = dict(values[-1])
    if len(values) > 1:
        shown["n of all runs"] = sum(value.get("n", 0) for value in values)
        if "failed" in shown:
            shown["failed of all runs"] = sum(value.get("failed", 0) for value in values)
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())


def _about(runs: list[dict[str, Any]]) -> list[str]:
    if not runs:
        return ["No run has been written down yet."]
    last = runs[-1]
    seeds = sorted({run["seed"] for run in runs})
    return [
        f"{len(runs)} runs with the seeds {', '.join(map(str, seeds))};"
        f" the last one on commit {last['commit']}, {last['at']},",
        "on two cores that others may have used meanwhile.",
        "Recovery is from the fault to the next committed transition of what it hit,",
        "the worst of all runs; in row F1 that is of rounds in which both owners die",
        "and wait for a supervisor that has seen them die before. A single owner's is N4.",
    ]
