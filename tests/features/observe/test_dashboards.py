"""Saved dashboards of a running suite: by REST, commands, and from Grafana."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flowmesh.dashboards.metrics import METRICS
from flowmesh.runtime.exporting.increases import PREFIXES
from flowmesh.testing.suite import Suite
from tests.features.commands import command

pytestmark = pytest.mark.long
DASHBOARDS = "/api/v1/observe/dashboards"
GRAFANA = Path(__file__).resolve().parents[3] / "deploy/grafana/flowmesh.json"
TASKS = """\
name: tasks
panels:
  - title: Tasks  # of all queues
    kind: number
    series:
      - {metric: flowmesh_tasks_ready, label: ready}
"""


@pytest.fixture(scope="module")
async def drawn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    async with Suite(tmp_path_factory.mktemp("drawn") / "data") as suite:
        yield suite


async def put(suite: Suite, name: str, text: str) -> tuple[int, str]:
    headers = {"content-type": "application/yaml"}
    path = f"{DASHBOARDS}/{name}"
    answer = await suite.request("PUT", path, data=text.encode(), headers=headers)
    return answer.status, answer.text


@pytest.mark.feature("S1-196")
async def test_a_dashboard_is_saved_read_and_deleted(drawn: Suite) -> None:
    """As JSON and as it was saved, and not for other projects."""
    status, text = await put(drawn, "tasks", TASKS)
    assert status == 200, text
    found = (await drawn.get(f"{DASHBOARDS}/tasks")).json
    assert (found["name"], found["title"], found["hours"]) == ("tasks", "tasks", 6)
    (panel,) = found["panels"]
    assert (panel["kind"], panel["unit"]) == ("number", "count")
    assert panel["series"] == [{"metric": "flowmesh_tasks_ready", "label": "ready", "where": []}]
    assert (await drawn.get(f"{DASHBOARDS}/tasks/source")).text == TASKS
    (listed,) = (await drawn.get(DASHBOARDS)).json["dashboards"]
    assert (listed["name"], listed["panelCount"]) == ("tasks", 1)
    other = {"Flowmesh-Namespace": "other"}
    assert (await drawn.request("GET", DASHBOARDS, headers=other)).json["dashboards"] == []
    foreign = await drawn.request("GET", f"{DASHBOARDS}/tasks", headers=other)
    assert (foreign.status, foreign.json["error"]["reason"]) == (404, "DASHBOARD_NOT_FOUND")
    gone = await drawn.request("DELETE", f"{DASHBOARDS}/tasks")
    assert gone.json == {"deleted": True}
    assert (await drawn.get(f"{DASHBOARDS}/tasks/source")).status == 404


async def test_a_wrong_document_is_refused_with_its_line(drawn: Suite) -> None:
    """Nothing of it is saved."""
    status, text = await put(drawn, "tasks", TASKS.replace("tasks_ready", "tasks_rady"))
    assert (status, '"line":6' in text.replace(" ", "")) == (400, True), text
    assert "did you mean 'flowmesh_tasks_ready'?" in text
    status, text = await put(drawn, "other", TASKS)
    assert (status, "has the name 'tasks'" in text) == (400, True), text
    assert (await drawn.get(DASHBOARDS)).json["dashboards"] == []


async def test_dashboards_by_commands(drawn: Suite, tmp_path: Path) -> None:
    """Apply, list, get and remove; an error names the line."""
    file = tmp_path / "tasks.yaml"
    file.write_text(TASKS)
    applied = await command(drawn, "observe", "dashboards", "apply", str(file))
    assert applied.out == "saved: tasks (1 panel)\n", applied.err
    assert "tasks" in (await command(drawn, "observe", "dashboards", "list")).out
    listed = await command(drawn, "observe", "dashboards", "apply", str(file), "--json")
    assert listed.json["saved"][0]["panels"][0]["kind"] == "number"
    shown = await command(drawn, "observe", "dashboards", "get", "tasks")
    assert shown.out == TASKS
    file.write_text(TASKS.replace("kind: number", "kind: pie"))
    wrong = await command(drawn, "observe", "dashboards", "apply", str(file))
    assert (wrong.code, "line 4" in wrong.err) == (1, True), wrong.err
    assert (await command(drawn, "observe", "dashboards", "remove", "tasks")).code == 0
    missing = await command(drawn, "observe", "dashboards", "get", "tasks")
    assert (missing.code, "DASHBOARD_NOT_FOUND" in missing.err) == (1, True)


@pytest.mark.feature("S1-196")
async def test_the_shipped_dashboard_of_grafana_is_imported(drawn: Suite) -> None:
    """Panels that do not map are named, and without --partial nothing is saved."""
    words = ("observe", "dashboards", "import", str(GRAFANA))
    refused = await command(drawn, *words)
    assert refused.code == 1
    assert "not mapped: Oldest ready task: " in refused.err
    assert "not mapped: Free space of the data directory: " in refused.err
    assert (await drawn.get(DASHBOARDS)).json["dashboards"] == []
    saved = await command(drawn, *words, "--partial")
    assert saved.out == "saved: flowmesh (22 panels, 2 not mapped)\n", saved.err
    shown = yaml.safe_load((await drawn.get(f"{DASHBOARDS}/flowmesh/source")).text)
    assert len(shown["panels"]) == 22
    for panel in (await drawn.get(f"{DASHBOARDS}/flowmesh")).json["panels"]:
        for each in panel["series"]:
            asked = f"metric={each['metric']}&groupBy={each.get('by', '')}"
            asked += f"&quantile={each.get('quantile', 0)}"
            answer = await drawn.get(f"/api/v1/observe/series?{asked}")
            assert answer.status == 200, answer.text


async def test_every_kept_metric_may_be_named(drawn: Suite) -> None:
    """With all of its labels."""
    text = (await drawn.get("/metrics")).text
    families = [
        each for each in text_string_to_metric_families(text) if each.name.startswith(PREFIXES)
    ]
    assert len(families) > 40
    for family in families:
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            labels = sample.labels.keys() - {"le"}
            assert labels == set(METRICS[sample.name].labels), sample
