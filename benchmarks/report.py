"""The results as tables and as a file."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import OTHERS, values_of
from benchmarks.goals import GOALS, Goal, Values
from benchmarks.workloads import WORKLOADS, Sizes

WIDTH = 150
COLUMNS = {
    "flowmesh": "flowmesh",
    "flowmesh-stream": "flowmesh",
    "flowmesh-builtin": "flowmesh",
    "flowmesh-durable": "flowmesh",
    "roofline": "roofline",
    "roofline-stream": "roofline",
    "temporal-dev": "Temporal dev",
    "dbos": "DBOS",
    "dbos-enqueued": "enqueued",
    "dbos-queued-steps": "queued steps",
    "restate-call-ts": "Restate call TS",
    "restate-call-py": "call Py",
    "restate-inline-ts": "inline TS",
    "restate-inline-py": "inline Py",
}
"""The column of each system; a row holds one way to start."""
OWN, ROOFLINE = "flowmesh", "roofline"
PEERS = tuple(dict.fromkeys(COLUMNS.values()))[2:]
LIKE = {"W1s, stream": "W1", "W1b": "W1", "W4d": "W4", "W8d": "W8"}
"""The row of the peers that is compared with each variant of the suite."""


def heading(sizes: Sizes, workloads: list[str], rounds: int) -> str:
    lines = [f"{rounds} round(s), alternating systems, medians. Workloads:"]
    lines += [f"  {name:<10} {WORKLOADS[name]}" for name in workloads]
    lines.append(f"Counts: {sizes}")
    return "\n".join(lines)


def write(path: Path, document: dict[str, Any]) -> None:
    """Write one result per line, for readable diffs, and the tables as Markdown."""
    rows = ",\n".join(f"    {json.dumps(row)}" for row in document["results"])
    head = {key: value for key, value in document.items() if key != "results"}
    text = json.dumps(head, indent=2).removesuffix("\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text},\n  "results": [\n{rows}\n  ]\n}}\n')
    path.with_suffix(".md").write_text(_page(document))


def _page(document: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    values = values_of(document)
    machine = document["machine"]
    busy = [value for key, value in values.items() if key[2] == OTHERS]
    lines = [
        "# Figures of the last run",
        "",
        f"Written by `make bench` at {document['at']}, commit `{document['commit'][:12]}`,",
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}.",
    ]
    if speed := document["yardstick_ms"]:
        lines.append(
            f"Rounds: {len(speed)}; the yardstick took {statistics.median(speed):.0f} ms in them."
        )
    if busy:
        lines.append(f"Other processes used {statistics.mean(busy):.1f} cores during the run.")
    for table in (_figures(values), goals_table(values)):
        lines += ["", f"## {table.title}", ""]
        lines.append("| " + " | ".join(str(column.header) for column in table.columns) + " |")
        lines.append("|---" * len(table.columns) + "|")
        cells = zip(*(column.cells for column in table.columns), strict=True)
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in cells]
    lines += ["", "## CPU seconds per 1,000 workflows, by process", ""]
    lines += [f"- {split}" for split in _splits(document)]
    lines += ["", "## Settings reported by the servers", ""]
    lines += [
        f"- {system}: `{json.dumps(values)}`" for system, values in document["settings"].items()
    ]
    return "\n".join(lines) + "\n"


def _splits(document: dict[str, Any]) -> list[str]:
    """Return the CPU seconds by process, one line for each workload of a system."""
    found = []
    for row in document["results"]:
        if parts := row.get("by_process"):
            split = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
            found.append(f"{row['system']} {row['workload']}: {split}")
    return found


def show(document: dict[str, Any]) -> None:
    """Print the figures with ratios, the CPU seconds by process, and the goals."""
    values = values_of(document)
    console = Console(width=WIDTH, highlight=False)
    console.print(_figures(values))
    for split in _splits(document):
        console.print(f"CPU s per 1,000, {split}")
    busy = {key[:2]: value for key, value in values.items() if key[2] == OTHERS}
    if busy:
        cores = ", ".join(f"{system} {name} {value:.1f}" for (system, name), value in busy.items())
        console.print(f"cores used by other processes or withheld by the host: {cores}")
    for system, settings in document["settings"].items():
        console.print(f"{system}: {json.dumps(settings)}")
    speed = document["yardstick_ms"]
    console.print(f"machine: {json.dumps(document['machine'])}, yardstick per round {speed} ms\n")
    console.print(goals_table(values))


def _figures(values: Values) -> Table:
    rows: dict[tuple[str, str], dict[str, float | None]] = {}
    for (system, workload, metric), value in values.items():
        if metric != OTHERS:
            label = f"{workload}, stream" if system.endswith("-stream") else workload
            rows.setdefault((label, metric), {})[COLUMNS[system]] = value
    present = [peer for peer in PEERS if any(peer in row for row in rows.values())]
    table = Table(title="Medians")
    for name in ("workload", "metric"):
        table.add_column(name)
    for name in (OWN, ROOFLINE, *present, "÷ roofline", "÷ best peer"):
        table.add_column(name, justify="right")
    for (label, metric), row in rows.items():
        if label in LIKE:
            peer_row = rows.get((LIKE[label], metric), {})
            row = {**{peer: peer_row.get(peer) for peer in present}, **row}
        cells = [_number(row.get(name)) for name in (OWN, ROOFLINE, *present)]
        peers = [figure for name in present if (figure := row.get(name)) is not None]
        best = max if metric.endswith("_per_s") else min
        own = row.get(OWN)
        ratios = (_times(own, row.get(ROOFLINE)), _times(own, best(peers) if peers else None))
        table.add_row(label, metric, *cells, *ratios)
    return table


def goals_table(values: Values, goals: Sequence[Goal] = GOALS) -> Table:
    """Return each goal that the run measured, with its figure."""
    table = Table(title="Goals")
    table.add_column("goal")
    for name in ("target", "measured"):
        table.add_column(name, justify="right")
    table.add_column("met")
    for goal in goals:
        value = goal.value(values)
        sign = "≤" if goal.at_most else "≥"
        target = f"{sign} {goal.bound:g} {goal.unit}"
        if value is not None:
            met = "yes" if goal.met(value) else "NO"
            table.add_row(goal.name, target, f"{_number(value)} {goal.unit}", met)
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _times(value: float | None, other: float | None) -> str:
    return f"{value / other:.3g}" if value is not None and other else ""
