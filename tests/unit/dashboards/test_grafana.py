"""Dashboards of Grafana as documents: the one that we ship, and expressions beyond it."""

import json
from pathlib import Path
from typing import Any

import pytest

from flowmesh.dashboards.document import read
from flowmesh.dashboards.grafana import imported
from flowmesh.dashboards.promql import Mapped, Unmapped, mapped
from flowmesh.errors import Invalid

SHIPPED = Path(__file__).resolve().parents[3] / "deploy/grafana/flowmesh.json"


def test_the_shipped_dashboard_maps() -> None:
    """All but the panels with a maximum or a quotient, which are named with the reason."""
    found = imported(SHIPPED.read_bytes())
    assert {each.title for each in found.left} == {
        "Oldest ready task",
        "Free space of the data directory",
    }
    assert all("is not one of the forms" in each.reason for each in found.left)
    dashboard = read(json.dumps(found.document).encode())
    assert (dashboard.name, dashboard.title, dashboard.hours) == ("flowmesh", "Flowmesh", 3)
    panels = {each.title: each for each in dashboard.panels}
    assert len(panels) == 22
    failed = panels["Failed in the last hour"]
    assert (failed.kind, failed.unit, failed.hours) == ("number", "count", 1)
    rates = panels["Executions per second"]
    assert [each.label for each in rates.series] == ["started", "completed", "failed", "canceled"]
    assert rates.unit == "per-second"
    routes = panels["Duration of HTTP requests, p95"].series[0]
    assert (routes.by, routes.quantile, routes.label) == ("route", 0.95, "")
    assert panels["Process memory"].series[0].by == "process"


@pytest.mark.parametrize(
    ("expression", "series"),
    [
        (
            'sum by (code) (rate(flowmesh_rpc_total{code!="OK", service="S"}[5m]))',
            Mapped("flowmesh_rpc_total", ("code!=OK", "service=S"), "code", rate=True),
        ),
        (
            "sum(increase(flowmesh_dead_letters_total[6h])) ",
            Mapped("flowmesh_dead_letters_total", hours=6),
        ),
        ("sum by (queue) (queue_sizes)", Mapped("queue_sizes", by="queue")),
        ("flowmesh_tasks_ready", Mapped("flowmesh_tasks_ready", by="process")),
        (
            "histogram_quantile(0.99, sum by (le) (rate(flowmesh_commit_seconds_bucket[5m])))",
            Mapped("flowmesh_commit_seconds_bucket", quantile=0.99),
        ),
    ],
)
def test_an_expression_is_one_series(expression: str, series: Mapped) -> None:
    """Spaces do not matter."""
    assert mapped(expression) == series
    assert mapped(expression.replace("(", "( ").replace(",", " , ")) == series


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("max(flowmesh_tasks_ready)", "is not one of the forms"),
        ("flowmesh_tasks_ready / 2", "is not one of the forms"),
        ("sum(rate(http_requests_total[5m]))", "'http_requests_total' is no kept metric"),
        ("sum(flowmesh_rpc_total)", "is kept by rate or increase"),
        ("sum(rate(flowmesh_tasks_ready[5m]))", "is kept as it is"),
        ("sum(rate(flowmesh_rpc_seconds_bucket[5m]))", "only quantiles"),
        ("sum by (method, code) (rate(flowmesh_rpc_total[5m]))", "have one group"),
        ("sum by (pod) (rate(flowmesh_rpc_total[5m]))", "'pod' is no label"),
        ('sum(rate(flowmesh_rpc_total{code=~"OK|X"}[5m]))', "is not of the form"),
        ('sum(rate(flowmesh_rpc_total{pod="a"}[5m]))', "'pod' is no label"),
        ("sum(rate(flowmesh_rpc_total))", "is not one of the forms"),
    ],
)
def test_another_expression_has_its_reason(expression: str, reason: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Unmapped, match=reason.replace("(", r"\(")):
        mapped(expression)


def _grafana(*panels: dict[str, Any]) -> bytes:
    return json.dumps({"title": "My own", "panels": panels}).encode()


def _panel(**more: Any) -> dict[str, Any]:
    expression = {"expr": "sum(flowmesh_tasks_ready)", "legendFormat": "ready {{pod}}"}
    return {"type": "timeseries", "title": "Ready", "targets": [expression]} | more


def test_a_panel_maps_whole_or_not() -> None:
    """One expression without a series leaves out its panel; panels of closed rows are found."""
    other = {"expr": "vector(1)"}
    mixed = {"expr": "sum(rate(flowmesh_rpc_total[5m]))"}
    targets: list[Any] = _panel()["targets"]
    row = {"type": "row", "title": "More", "panels": [_panel(title="Below")]}
    found = imported(
        _grafana(
            _panel(),
            _panel(title="Half", targets=[*targets, other]),
            _panel(title="Heat", type="heatmap"),
            _panel(title="Mixed", targets=[*targets, mixed]),
            _panel(title="Empty", targets=[]),
            _panel(title="Miles", fieldConfig={"defaults": {"unit": "lengthmi"}}),
            row,
        ),
        "mine",
    )
    assert [each.title for each in found.left] == ["Half", "Heat", "Mixed", "Empty", "Miles"]
    dashboard = read(json.dumps(found.document).encode())
    assert (dashboard.name, dashboard.hours) == ("mine", 6)
    assert [each.title for each in dashboard.panels] == ["Ready", "Below"]
    assert dashboard.panels[0].series[0].label == "ready"


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"panels": 1}'])
def test_another_json_is_refused(text: bytes) -> None:
    """A text that is no JSON, and JSON without panels."""
    with pytest.raises(Invalid):
        imported(text)
