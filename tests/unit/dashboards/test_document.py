"""Documents of dashboards: what is read, and what is refused with its line."""

import json
from typing import Any

import pytest

from flowmesh.dashboards import limits
from flowmesh.dashboards.document import Series, read
from flowmesh.errors import Invalid, TooLarge

DOCUMENT = """\
name: suite
title: The suite
hours: 3
panels:
  # Started and failed.
  - title: Executions
    unit: per-second
    series:
      - {metric: flowmesh_workflows_started_total, label: started}
      - metric: flowmesh_rpc_total
        where: [code!=OK, service=ExecutionService]
        by: method
  - title: p95
    kind: number
    unit: seconds
    hours: 1
    series:
      - {metric: flowmesh_rpc_seconds_bucket, quantile: 0.95}
"""


def test_a_document_is_read() -> None:
    """Kind, unit and time have defaults, and the text keeps its comments."""
    found = read(DOCUMENT.encode())
    assert (found.name, found.title, found.hours) == ("suite", "The suite", 3)
    lines, number = found.panels
    assert (lines.kind, lines.unit, lines.hours) == ("line", "per-second", 0)
    assert lines.series[1] == Series(
        "flowmesh_rpc_total", "", ("code!=OK", "service=ExecutionService"), "method", 0
    )
    assert (number.kind, number.hours, number.series[0].quantile) == ("number", 1, 0.95)
    assert found.text == DOCUMENT
    as_json = json.dumps({"name": "s", "panels": [panel()]}).encode()
    assert read(as_json, "application/json").title == "s"


def panel(**more: Any) -> dict[str, Any]:
    return {"title": "Tasks", "series": [{"metric": "flowmesh_tasks_ready"}]} | more


def refusal(text: str) -> tuple[int, str]:
    with pytest.raises(Invalid) as refused:
        read(text.encode())
    assert refused.value.reason == "DASHBOARD_INVALID"
    (violation, *_) = refused.value.violations
    assert str(violation.line) in str(refused.value)
    return violation.line, violation.description


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("flowmesh_rpc_total", "flowmesh_rpc_totals", 10, "did you mean 'flowmesh_rpc_total'?"),
        ("code!=OK", "colour=red", 11, "'colour' is no label of flowmesh_rpc_total"),
        ("code!=OK", "code", 11, "code!=OK"),
        ("by: method", "by: queue", 12, "it has service, method, code, process"),
        ("kind: number", "kind: pie", 14, "kind must be one of line, number, table"),
        ("unit: seconds", "unit: miles", 15, "count, per-second, seconds, bytes, share"),
        (", quantile: 0.95", "", 18, "only for it"),
        ("unit: seconds", "unit: per-second", 18, "is for increases"),
        ("    unit: per-second", "    colour: red", 7, "unknown field 'colour'"),
        ("title: p95", "title: ''", 13, "title is missing"),
        ("    kind: number", "    kind: line", 16, "lines share the time"),
        ("name: suite", "name: a b", 1, "must match"),
    ],
)
def test_a_wrong_place_has_its_line(old: str, new: str, line: int, words: str) -> None:
    """Metrics, labels, kinds and units are checked, and near names are suggested."""
    assert old in DOCUMENT
    found, text = refusal(DOCUMENT.replace(old, new, 1))
    assert words in text
    assert found == line


@pytest.mark.parametrize("text", ["[]", "name: [", "a: 1\n---\nb: 2", "panels: []"])
def test_other_texts_are_refused(text: str) -> None:
    """A list, broken YAML, two documents, and none of the members."""
    with pytest.raises(Invalid) as refused:
        read(text.encode())
    assert refused.value.reason == "DASHBOARD_INVALID"


SERIES = {"metric": "flowmesh_tasks_ready"}


@pytest.mark.parametrize(
    "more",
    [
        {"panels": [panel()] * (limits.PANELS_MAX + 1)},
        {"panels": []},
        {"panels": [panel(series=[SERIES] * (limits.SERIES_MAX + 1))]},
        {"panels": [panel(series=[SERIES | {"where": ["process=x"] * 11}])]},
        {"hours": limits.HOURS_MAX + 1},
        {"title": "x" * (limits.TITLE_CHARACTERS_MAX + 1)},
        {"panels": [panel(title="x" * (limits.TITLE_CHARACTERS_MAX + 1))]},
    ],
)
def test_bounds(more: dict[str, Any]) -> None:
    """Panels, series, conditions, hours, titles; and the bytes of the document."""
    document = {"name": "s", "panels": [panel()]}
    read(json.dumps(document).encode())
    with pytest.raises(Invalid):
        read(json.dumps(document | more).encode())
    with pytest.raises(TooLarge):
        read(b"#" * (limits.DOCUMENT_BYTES_MAX + 1))
