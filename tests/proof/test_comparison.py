"""docs/comparison.md says of others what can be checked, and of the suite what was measured."""

import json
import re

import pytest

from tools.pages.comparison import COLUMNS, LATEST, PAGE, SYSTEMS

OTHERS = (
    "Airflow",
    "Temporal",
    "Step Functions",
    "Argo Workflows",
    "Conductor",
    "Restate",
    "DBOS",
    "Camunda",
)


@pytest.mark.feature("S2-63")
def test_the_figures_are_those_of_the_last_run() -> None:
    """Each number of the table is in latest.json under its system, workload and metric."""
    names = {name: system for system, name in SYSTEMS.items()}
    measured = {
        (row["system"], row["workload"], row["metric"]): row["value"]
        for row in json.loads(LATEST.read_text())["results"]
    }
    compared = 0
    for line in PAGE.read_text().splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if name not in names or len(cells) != len(COLUMNS):
            continue
        for cell, (workloads, metric) in zip(cells, COLUMNS.values(), strict=True):
            found = [measured.get((names[name], one, metric)) for one in workloads]
            values = [value for value in found if value is not None]
            assert bool(cell) == bool(values), (name, metric)
            if values:
                assert float(cell.replace(",", "")) == pytest.approx(values[0], rel=0.006)
                compared += 1
    assert compared >= len(COLUMNS)
    assert any(names[name] == "temporal-dev" for name in names if f"| {name} |" in PAGE.read_text())


@pytest.mark.feature("S0-154", "S2-63")
def test_every_system_has_its_source_and_its_use() -> None:
    """What it is with a link to its makers, and when it is the better choice."""
    text = PAGE.read_text()
    for name in OTHERS:
        assert re.search(rf"^\| \[{name}[ 0-9]*\]\(https://[^)]+\) \|", text, re.MULTILINE), name
        assert re.search(rf"^- \*\*{name}\*\* ", text, re.MULTILINE), name


@pytest.mark.feature("S0-154")
def test_the_scope_is_stated() -> None:
    """The comparison and the questions say what Flowmesh does not replace."""
    scope = "not a replacement for Airflow, Prefect or Temporal"
    assert scope in PAGE.read_text()
    asked = (PAGE.parent / "faq.md").read_text()
    question = asked.partition("**Does it replace Airflow, Prefect or Temporal")[2]
    answer = question.partition("**\n")[2]
    assert answer.startswith("No; [scope](comparison.md#scope)")
