"""The generated tables of `docs/performance.md`, between two marks."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.profiling.accounts import MAIN, Spent
from benchmarks.profiling.samples import Stack, by_function, by_stage
from benchmarks.profiling.stages import STAGES

BEGIN = "<!-- written by make profile: begin -->"
END = "<!-- written by make profile: end -->"
FUNCTIONS = 40
TITLES = {"W1": "By unary calls (W1)", "W1s": "By the session stream (W1s)"}
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """The costs and samples of one path of a three-step workflow."""

    workload: str
    count: int
    per_s: float
    sampled_per_s: float
    spent: dict[tuple[str, str], Spent]
    stacks: dict[str, list[Stack]]

    def each_us(self, seconds: float) -> float:
        return seconds * MICROSECONDS / self.count


def write(page: Path, head: dict[str, Any], paths: list[Measured]) -> None:
    """Replace the text between the marks and keep the rest."""
    text = page.read_text() if page.exists() else f"# Performance\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{_tables(head, paths)}\n{END}{after}")


def _tables(head: dict[str, Any], paths: list[Measured]) -> str:
    machine = head["machine"]
    lines = [
        f"Measured at {head['at']}, commit `{head['commit'][:12]}`"
        f"{' with changes' if head['changed'] else ''}, {machine['cores']} cores, "
        f"Python {machine['python']}.",
    ]
    for path in paths:
        lines += ["", f"## {TITLES[path.workload]}", "", *_path(path)]
    return "\n".join(lines)


def _path(path: Measured) -> list[str]:
    seen = {name: sum(one.count for one in stacks) for name, stacks in path.stacks.items()}
    return [
        f"{path.count:,} workflows at {path.per_s:,.0f}/s; stages from samples "
        f"({', '.join(f'{name} {count:,}' for name, count in seen.items())}) "
        f"of another run at {path.sampled_per_s:,.0f}/s.",
        "",
        "| process | part | µs a workflow | of them in the kernel |",
        "|---|---|---:|---:|",
        *_processes(path),
        "",
        "Main threads by stage, µs a workflow:",
        "",
        *_stages(path),
        "",
        "Functions that cost most, with the libraries that they call, µs a workflow:",
        "",
        "| process | stage | function | µs |",
        "|---|---|---|---:|",
        *_functions(path),
    ]


def _processes(path: Measured) -> list[str]:
    rows = [
        (name, part, path.each_us(spent.all_s), path.each_us(spent.kernel_s))
        for (name, part), spent in path.spent.items()
        if path.each_us(spent.all_s) >= 0.5
    ]
    lines = [
        f"| {name} | {part} | {cost:,.0f} | {kernel:,.0f} |" for name, part, cost, kernel in rows
    ]
    cost, kernel = sum(row[2] for row in rows), sum(row[3] for row in rows)
    return [*lines, f"| **all** | | **{cost:,.0f}** | **{kernel:,.0f}** |"]


def _main_us(path: Measured, process: str) -> float:
    return path.each_us(path.spent[process, MAIN].all_s)


def _stages(path: Measured) -> list[str]:
    counts = {name: by_stage(stacks) for name, stacks in path.stacks.items()}
    header = ["| stage | " + " | ".join(counts) + " |", "|---" + "|---:" * len(counts) + "|"]
    rows = [
        f"| {stage} | " + " | ".join(_share(path, counts, name, stage) for name in counts) + " |"
        for stage in STAGES
        if any(count[stage] for count in counts.values())
    ]
    totals = " | ".join(f"**{_main_us(path, name):,.0f}**" for name in counts)
    return [*header, *rows, f"| **all** | {totals} |"]


def _share(path: Measured, counts: dict[str, Counter[str]], name: str, stage: str) -> str:
    total = counts[name].total()
    if not counts[name][stage]:
        return ""
    return f"{_main_us(path, name) * counts[name][stage] / total:,.1f}"


def _functions(path: Measured) -> list[str]:
    found = []
    for name, stacks in path.stacks.items():
        counts = by_function(stacks)
        for (stage, function), count in counts.items():
            found.append((_main_us(path, name) * count / counts.total(), name, stage, function))
    found.sort(reverse=True)
    return [
        f"| {name} | {stage} | {function} | {cost:,.1f} |"
        for cost, name, stage, function in found[:FUNCTIONS]
    ]
