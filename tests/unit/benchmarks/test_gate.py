"""The regression gate judges ratios, on results made for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gate import COMMITTED, RATIOS, judge, main

RATE, P50 = "workflows_per_s", "latency_p50_ms"
FIGURES = {
    ("flowmesh", "W1", RATE): 1_600.0,
    ("roofline", "W1", RATE): 3_200.0,
    ("temporal-dev", "W1", RATE): 16.0,
    ("flowmesh-stream", "W1s", RATE): 3_000.0,
    ("roofline-stream", "W1s", RATE): 6_000.0,
    ("flowmesh", "W2", P50): 3.0,
    ("roofline", "W2", P50): 2.0,
}
Figures = dict[tuple[str, str, str], float]


def results(figures: Figures) -> dict[str, Any]:
    rows = [
        {"system": system, "workload": workload, "metric": metric, "value": value, "runs": [value]}
        for (system, workload, metric), value in figures.items()
    ]
    return {"results": rows}


def gate(folder: Path, now: Figures, *arguments: str) -> int:
    committed, new = folder / "committed.json", folder / "new.json"
    committed.write_text(json.dumps(results(FIGURES)))
    new.write_text(json.dumps(results(now)))
    return main([str(new), "--against", str(committed), *arguments])


def test_a_slower_machine_is_no_regression(tmp_path: Path) -> None:
    """Everything half as fast keeps every ratio."""
    slower = {key: value / 2 if key[2] == RATE else value * 2 for key, value in FIGURES.items()}
    assert gate(tmp_path, slower) == 0


@pytest.mark.feature("S0-122")
def test_the_committed_run_is_the_baseline_of_every_critical_path() -> None:
    """Each ratio that the gate judges is measured there, and equal to itself."""
    committed = json.loads(COMMITTED.read_text())
    verdicts = judge(committed, committed)
    assert [each.name for each in verdicts] == [each.name for each in RATIOS]
    assert all(each.before and each.now == each.before for each in verdicts)


@pytest.mark.feature("S0-122")
@pytest.mark.parametrize(
    ("key", "factor"),
    [
        (("flowmesh", "W1", RATE), 0.8),
        (("flowmesh-stream", "W1s", RATE), 0.8),
        (("flowmesh", "W2", P50), 1.25),
        (("roofline", "W1", RATE), 1.3),
    ],
)
def test_a_worse_ratio_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: tuple[str, str, str], factor: float
) -> None:
    """Also where the roofline has become faster and the suite has not."""
    assert gate(tmp_path, {**FIGURES, key: FIGURES[key] * factor}) == 1
    assert "WORSE" in capsys.readouterr().out


def test_the_tolerance_decides(tmp_path: Path) -> None:
    """A tenth less is noise by default and a regression to who says so."""
    key = ("flowmesh", "W1", RATE)
    worse = {**FIGURES, key: FIGURES[key] * 0.9}
    assert gate(tmp_path, worse) == 0
    assert gate(tmp_path, worse, "--tolerance", "0.05") == 1


def test_a_ratio_that_is_no_longer_measured_fails(tmp_path: Path) -> None:
    """Leaving a system out is no way past the gate."""
    without = {key: value for key, value in FIGURES.items() if key[0] != "temporal-dev"}
    assert gate(tmp_path, without) == 1
