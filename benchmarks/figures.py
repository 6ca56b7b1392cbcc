"""The measured values: one per round, and their medians."""

import statistics
from typing import Any

from benchmarks.load import Metrics

Key = tuple[str, str, str]
OTHERS = "others_cores"
"""The metric for the cores that other processes used."""


class Results:
    """Values by system, workload and metric, in the order of measurement."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.complete = False
        self.settings: dict[str, dict[str, Any]] = {}
        self.yardstick: list[float] = []
        self._runs: dict[Key, list[float]] = {}
        self._parts: dict[Key, list[dict[str, float]]] = {}

    def add(self, system: str, workload: str, metrics: Metrics) -> None:
        """Add and print the metrics of one measurement."""
        shown = ", ".join(f"{metric} {value:,.3g}" for metric, value in metrics.items())
        print(f"  {system} {workload}: {shown}", flush=True)
        for metric, value in metrics.items():
            self._runs.setdefault((system, workload, metric), []).append(round(value, 3))

    def add_parts(self, system: str, workload: str, metric: str, parts: dict[str, float]) -> None:
        """Add a metric that is the sum of parts by process."""
        rounded = {name: round(value, 3) for name, value in sorted(parts.items())}
        self._parts.setdefault((system, workload, metric), []).append(rounded)
        self.add(system, workload, {metric: sum(parts.values())})

    def document(self, head: dict[str, Any]) -> dict[str, Any]:
        """Return the contents of `latest.json`."""
        found = []
        for key, runs in self._runs.items():
            system, workload, metric = key
            value = round(statistics.median(runs), 3)
            row: dict[str, Any] = {"system": system, "workload": workload, "metric": metric}
            row |= {"value": value, "runs": runs}
            if parts := self._parts.get(key):
                row["by_process"] = _medians(parts)
            found.append(row)
        speed = [round(value, 1) for value in self.yardstick]
        return {**head, "yardstick_ms": speed, "settings": self.settings, "results": found}


def _medians(parts: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for part in parts for name in part})
    return {
        name: round(statistics.median(part.get(name, 0.0) for part in parts), 3) for name in names
    }


def values_of(document: dict[str, Any]) -> dict[Key, float]:
    """Return the medians of a document by system, workload and metric."""
    return {
        (row["system"], row["workload"], row["metric"]): float(row["value"])
        for row in document["results"]
    }
