"""The results as a person reads them, and as a file."""

import json
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.goals import FIRST_MARK, Values
from benchmarks.results import OTHERS
from benchmarks.workloads import WORKLOADS, Sizes

WIDTH = 110
# The systems of a row of the table; the stream's figures stand beside the stream's.
PEER = "temporal-dev"
PAIRS = {
    "flowmesh": ("flowmesh", "roofline", PEER),
    "flowmesh-stream": ("flowmesh-stream", "roofline-stream", PEER),
}


def heading(sizes: Sizes, workloads: list[str], rounds: int) -> str:
    lines = [f"{rounds} round(s), systems in turn, medians. Workloads:"]
    lines += [f"  {name:<6} {WORKLOADS[name]}" for name in workloads]
    lines.append(
        f"Counts: W1 {sizes.w1:,}, W1s {sizes.w1_stream:,}, W2 {sizes.w2:,}; "
        f"Temporal W1 {sizes.w1_peer:,}, W2 {sizes.w2_peer:,}, W4 {sizes.w4_steps_peer:,} steps."
    )
    return "\n".join(lines)


def write(path: Path, document: dict[str, Any]) -> None:
    """One result a line, so that a diff reads."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in document["results"])
    head = {key: value for key, value in document.items() if key != "results"}
    text = json.dumps(head, indent=2).removesuffix("\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text},\n  "results": [\n{rows}\n  ]\n}}\n')
    path.with_suffix(".md").write_text(_page(document))


def _page(document: dict[str, Any]) -> str:
    """The same tables as Markdown, beside the file they come from."""
    values = _values(document)
    machine = document["machine"]
    busy = [value for key, value in values.items() if key[2] == OTHERS]
    lines = [
        "# Figures of the last whole run",
        "",
        f"Written by `make bench` at {document['at']}, commit `{document['commit'][:12]}`,",
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}.",
    ]
    if busy:
        lines.append(f"Other processes used {statistics.mean(busy):.1f} cores meanwhile.")
    for table in (_figures(values), _goals(values)):
        lines += ["", f"## {table.title}", ""]
        lines.append("| " + " | ".join(str(column.header) for column in table.columns) + " |")
        lines.append("|---" * len(table.columns) + "|")
        cells = zip(*(column.cells for column in table.columns), strict=True)
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in cells]
    return "\n".join(lines) + "\n"


def _values(document: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    return {
        (row["system"], row["workload"], row["metric"]): float(row["value"])
        for row in document["results"]
    }


def show(document: dict[str, Any]) -> None:
    """The table of figures with ratios, where the CPU went, and the goals."""
    values = _values(document)
    console = Console(width=WIDTH, highlight=False)
    console.print(_figures(values))
    for row in document["results"]:
        if parts := row.get("by_process"):
            split = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
            console.print(f"CPU s per 1,000, {row['system']} {row['workload']}: {split}")
    busy = {key[:2]: value for key, value in values.items() if key[2] == OTHERS}
    if busy:
        told = ", ".join(f"{system} {name} {value:.1f}" for (system, name), value in busy.items())
        console.print(f"cores that other processes used meanwhile: {told}")
    for system, settings in document["settings"].items():
        console.print(f"{system}: {json.dumps(settings)}")
    speed = document["yardstick_ms"]
    console.print(f"machine: {json.dumps(document['machine'])}, yardstick per round {speed} ms\n")
    console.print(_goals(values))


def _figures(values: Values) -> Table:
    table = Table(title="Medians")
    for name in ("workload", "metric"):
        table.add_column(name)
    for name in ("flowmesh", "roofline", "Temporal dev", "÷ roofline", "÷ Temporal"):
        table.add_column(name, justify="right")
    for system, workload, metric in _rows(values):
        if metric == OTHERS:
            continue
        own, roof, peer = (
            values.get((name, _peers_workload(name, workload), metric)) for name in PAIRS[system]
        )
        label = f"{workload}, stream" if system.endswith("stream") else workload
        figures = [_number(own), _number(roof), _number(peer), _times(own, roof), _times(own, peer)]
        table.add_row(label, metric, *figures)
    return table


def _rows(values: Values) -> list[tuple[str, str, str]]:
    """The suite's system, workload and metric of every row, also where only others have it."""
    own = {name: ours for ours, names in PAIRS.items() for name in names if name != PEER}
    own[PEER] = "flowmesh"
    return list(dict.fromkeys((own[name], workload, metric) for name, workload, metric in values))


def _peers_workload(system: str, workload: str) -> str:
    """The peer has no stream of its own: its W1 stands beside ours by either way."""
    return "W1" if system == PEER and workload == "W1s" else workload


def _goals(values: Values) -> Table:
    table = Table(title="Goals of the first mark")
    table.add_column("goal")
    for name in ("wanted", "measured"):
        table.add_column(name, justify="right")
    table.add_column("met")
    for goal in FIRST_MARK:
        value = goal.value(values)
        sign = "≤" if goal.at_most else "≥"
        wanted = f"{sign} {goal.bound:g} {goal.unit}"
        if value is not None:
            met = "yes" if goal.met(value) else "NO"
            table.add_row(goal.name, wanted, f"{_number(value)} {goal.unit}", met)
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _times(value: float | None, other: float | None) -> str:
    return f"{value / other:.3g}" if value is not None and other else ""
