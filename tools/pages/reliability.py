"""Write docs/reliability.md: faults with their tests, and the measurements of all runs."""

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
`make faults` injects every fault of the table below into a cluster of real processes and servers,
while orders run and subscribers follow them.
After each fault a checker reads the whole database, the receiver's file of effects (one synced
line per effect), the events of every subscriber and the responses to every caller, and evaluates
the invariants.

`FAULTS_SEED` (default 7) is the seed of all random choices; `FAULTS_RUNS=file` appends the results
of a run to a file as one line.
`make faults` tries random boundaries of N2; `make faults-boundaries` tries all of them.
`make simulate` measures N3 ([simulation.md](simulation.md)), `make bench` measures N13.
SPIN searches every interleaving of three models, of ownership with its commits, of tasks that are
sent ahead of a commit, and of the redelivery of messages ([tests/spin](../tests/spin)), and finds a
broken assertion for each guard that is taken away.
[Porcupine](https://github.com/anishathalye/porcupine) checks histories of a cluster under kills for
linearizability ([tests/linearizability](../tests/linearizability)): executions, starts with a
concurrency key, and appends with an expected version.
Zero failures in n faults prove only a rate below 3/n, so every row has its n, summed over the runs
in `tests/faults/runs.jsonl`.
"""


def page() -> str:
    runs = _lines(RUNS)
    measured = _measured(runs)
    tests = marked()
    lines = markdown.title("Reliability", source="the tests and `tests/faults/runs.jsonl`")
    lines += [*INTRODUCTION.strip().splitlines(), ""]
    lines += markdown.table(("invariant", "statement"), INVARIANTS.items())
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
    lines += ["## Failpoints", ""]
    lines += [
        "Set them by `FLOWMESH_FAILPOINTS`; a disabled failpoint costs one check of a variable.",
        "",
    ]
    lines += markdown.table(
        ("point", "moment"), ((markdown.code(name), text) for name, text in POINTS.items())
    )
    return markdown.join(lines)


def marked() -> dict[str, list[tuple[str, str]]]:
    """Return the marked tests of each row of the matrix: file and name."""
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
    """Return the measurements of each figure by run."""
    found = {
        name: [run["figures"][name] for run in runs if name in run["figures"]] for name in FIGURES
    }
    # The last run over all boundaries precedes later partial runs.
    found["N2"].sort(key=lambda figure: figure["n"] == figure.get("boundaries"))
    counts = ("failed", "events", "commits", "executions", "distinct_states")
    found["N3"] = [
        {"n": run["seeds"], **{key: run[key] for key in counts}} for run in _lines(SIMULATED)
    ]
    found["N13"] = [_timers(json.loads(BENCH.read_text())["results"])]
    return found


def _timers(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of timers from `make bench`."""
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
    """Return the last measurement, followed by n and failures of all runs."""
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
        return ["No run is recorded yet."]
    last = runs[-1]
    seeds = sorted({run["seed"] for run in runs})
    return [
        f"{len(runs)} runs with the seeds {', '.join(map(str, seeds))};"
        f" the last one on commit {last['commit']}, {last['at']},",
        "on two cores shared with other processes.",
        "Recovery is the time from the fault to the next committed transition of an affected",
        "execution, the worst of all runs. In row F1 both owners die and wait for the backoff of",
        "their supervisor; N4 has the recovery of a single owner.",
    ]
