"""Update the figures in docs/comparison.md from the last whole benchmark."""

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import values_of
from tools.pages import markdown

ROOT: Final = Path(__file__).resolve().parents[2]
LATEST: Final = ROOT / "benchmarks" / "results" / "latest.json"
PAGE: Final = ROOT / "docs" / "comparison.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"

SYSTEMS: Final = {
    "flowmesh": "Flowmesh",
    "flowmesh-stream": "Flowmesh, session stream",
    "roofline": "roofline of Flowmesh",
    "roofline-stream": "roofline, session stream",
    "temporal-dev": "Temporal, development server",
    "dbos": "DBOS, direct call",
    "dbos-enqueued": "DBOS, enqueued",
    "dbos-queued-steps": "DBOS, queued steps",
    "restate-call-ts": "Restate, calls, TypeScript",
    "restate-call-py": "Restate, calls, Python",
    "restate-inline-ts": "Restate, inline steps, TypeScript",
    "restate-inline-py": "Restate, inline steps, Python",
}
COLUMNS: Final = {
    "W1, workflows/s": (("W1", "W1s"), "workflows_per_s"),
    "W1, p99 ms": (("W1", "W1s"), "latency_p99_ms"),
    "W1, CPU s per 1,000": (("W1", "W1s"), "cpu_s_per_1000"),
    "W2, p50 ms": (("W2",), "latency_p50_ms"),
    "W2, p99 ms": (("W2",), "latency_p99_ms"),
    "W4, steps/s": (("W4",), "steps_per_s"),
}
"""The columns with their workloads; W1s is W1 over the session stream."""


def page() -> str:
    """Return the page with the current figures."""
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + _measured(json.loads(LATEST.read_text())) + END + after


def _measured(document: dict[str, Any]) -> str:
    machine = document["machine"]
    lines = ["", *markdown.table(("system", *COLUMNS), rows(document))]
    lines += [
        f"Measured at {document['at']} with commit `{document['commit'][:12]}`"
        f" on {machine['cores']} cores and {machine['memory_gib']} GiB."
    ]
    return markdown.join(lines) + "\n"


def rows(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a row per measured system, with empty cells for missing figures."""
    values = values_of(document)
    found = []
    for system, name in SYSTEMS.items():
        cells = []
        for workloads, metric in COLUMNS.values():
            keys = [(system, workload, metric) for workload in workloads]
            cells += [next((_figure(values[key]) for key in keys if key in values), "")]
        if any(cells):
            found.append((name, *cells))
    return found


def _figure(value: float) -> str:
    """Return three significant digits, or an integer from 1,000 on."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
