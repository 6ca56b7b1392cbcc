"""What the runs of a session found: the table that `make faults` prints, and the file of runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.drills import runs

HEAD = (
    *("row", "fault", "n", "executions", "lost", "repeated", "stuck"),
    *("recovery p50", "p99", "max"),
)


@dataclass(slots=True)
class Row:
    """One kind of fault: how often it was made, and what came of it."""

    fault: str
    what: str
    n: int = 0
    executions: int = 0
    lost: int = 0
    repeated: int = 0
    stuck: int = 0
    recoveries_s: list[float] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        counts = (self.n, self.executions, self.lost, self.repeated, self.stuck)
        p50, p99, most = (share(self.recoveries_s, part) for part in (0.5, 0.99, 1.0))
        waits = ("-",) * 3 if p50 is None else (f"{p50:.2f} s", f"{p99:.2f} s", f"{most:.2f} s")
        return (self.fault, self.what, *map(str, counts), *waits)


class Tally:
    """Rows by fault, and figures by their number in the design."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}
        self.figures: dict[str, dict[str, Any]] = {}

    def add(self, fault: str, what: str, outcome: Any, *, n: int = 1) -> None:
        """Counts the outcome of a drill in which the fault was made `n` times."""
        row = self._rows.setdefault((fault, what), Row(fault, what))
        row.n += n
        row.executions += outcome.executions
        row.lost += outcome.lost
        row.repeated += outcome.repeated
        row.stuck += outcome.stuck
        row.recoveries_s += outcome.recoveries_s

    def figure(self, number: str, **values: Any) -> None:
        """Adds to a measured figure: `n` and what was measured."""
        self.figures.setdefault(number, {}).update(values)

    def count(self, number: str, **values: int) -> None:
        """Adds to the counts of a measured figure."""
        counts = self.figures.setdefault(number, {})
        for key, value in values.items():
            counts[key] = counts.get(key, 0) + value

    @property
    def rows(self) -> list[Row]:
        return sorted(self._rows.values(), key=lambda row: (int(row.fault[1:]), row.what))

    def table(self) -> str:
        """All rows beside each other, then the figures."""
        lines = [HEAD, *(row.cells() for row in self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        for number in sorted(self.figures, key=lambda name: int(name[1:])):
            values = ", ".join(f"{key} {value}" for key, value in self.figures[number].items())
            text.append(f"{number}: {values}")
        return "\n".join(text)

    def append_to(self, file: Path, *, seed: int, failed_tests: int) -> None:
        """Adds this run as one line."""
        rows = [
            {
                "fault": row.fault,
                "what": row.what,
                "n": row.n,
                "executions": row.executions,
                "failures": row.lost + row.repeated + row.stuck,
                "p50_s": share(row.recoveries_s, 0.5),
                "p99_s": share(row.recoveries_s, 0.99),
            }
            for row in self.rows
        ]
        runs.append(file, seed=seed, failed_tests=failed_tests, rows=rows, figures=self.figures)


def share(values: Sequence[float], part: float) -> float | None:
    """The value below which so large a part of them lies."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(int(part * len(ordered)), len(ordered) - 1)], 3)
