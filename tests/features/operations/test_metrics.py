"""Metrics beyond the scrape: sent over OTLP, by workflow, and on the dashboard of deploy/."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import store
from tests.features.collector import MetricsCollector, collecting_metrics
from tests.features.steps import http, workflow

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/flowmesh.json").read_text())
ENDED = "flowmesh_workflow_executions_total"


@dataclass(frozen=True)
class Measured:
    """A suite that sends its metrics twice a second and names one workflow in them."""

    suite: Suite
    collector: MetricsCollector


@pytest.fixture(scope="module")
async def measured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Measured]:
    async with collecting_metrics() as collector:
        environment = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://{collector.address}",
            "FLOWMESH_OTLP_METRICS_SECONDS": "0.5",
            "FLOWMESH_METRICS_WORKFLOWS": "1",
        }
        data_dir = tmp_path_factory.mktemp("measured") / "data"
        async with Suite(data_dir, environment=environment) as suite:
            yield Measured(suite, collector)


@pytest.mark.feature("S2-52", "S3-49")
async def test_metrics_reach_a_collector(measured: Measured, world: World) -> None:
    """Counters, gauges and histograms arrive over OTLP with the values that a scrape shows."""
    world.answers("bad", status=400)
    await measured.suite.run(workflow(http(world, "good")))
    await measured.suite.run(workflow(http(world, "bad")))
    scraped = await store.metric(measured.suite, "flowmesh_execution_seconds_count")

    def enough(metrics: dict[str, Any]) -> bool:
        found = metrics["flowmesh_execution_seconds"].histogram.data_points
        return bool(found) and found[0].count == scraped

    metrics = await measured.collector.until(enough, "flowmesh")
    failed = metrics["flowmesh_workflows_failed"].sum
    assert failed.is_monotonic
    assert [point.as_double for point in failed.data_points] == [
        await store.metric(measured.suite, "flowmesh_workflows_failed_total")
    ]
    (durations,) = metrics["flowmesh_execution_seconds"].histogram.data_points
    assert sum(durations.bucket_counts) == durations.count
    assert len(durations.bucket_counts) == len(durations.explicit_bounds) + 1
    assert durations.sum > 0
    (owned,) = metrics["flowmesh_partitions_owned"].gauge.data_points
    assert owned.as_double == 64


async def test_workflows_are_named_up_to_a_bound(measured: Measured, world: World) -> None:
    """The first has figures of its own, all further ones are `other` together."""
    for name in ("first", "second", "third"):
        definition = workflow(http(world, name)) | {"id": name, "name": name}
        await measured.suite.run(definition)
    text = (await measured.suite.get("/metrics")).text
    names = set(re.findall(rf'^{ENDED}{{.*workflow="([^"]*)"', text, re.MULTILINE))
    assert len(names) == 2
    assert "other" in names
    assert await store.metric(measured.suite, ENDED, workflow="other") >= 2
    total = await store.metric(measured.suite, ENDED, outcome="completed")
    assert total == await store.metric(measured.suite, "flowmesh_workflows_completed_total")


@pytest.mark.feature("S3-49")
async def test_an_execution_has_its_figures_and_its_events(suite: Suite, world: World) -> None:
    """Each attempt with its times in the trace, and each event in the history."""
    execution = await suite.run(workflow(http(world, "a"), http(world, "b", "a")))
    execution_id = execution["executionId"]
    trace = (await suite.get(f"/api/v1/executions/{execution_id}/trace")).json
    assert trace["durationMs"] > 0
    assert [task["id"] for task in trace["tasks"]] == ["a", "b"]
    assert all(
        attempt["endedMs"] >= attempt["startedMs"]
        for task in trace["tasks"]
        for attempt in task["attempts"]
    )
    types = [event["type"] for event in await suite.events(execution_id)]
    assert types[0] == "WorkflowStarted"
    assert types[-1] == "WorkflowCompleted"
    assert types.count("TaskCompleted") == 2


@pytest.mark.long
async def test_dead_letters_and_waiting_are_measured(suite: Suite, world: World) -> None:
    """A task that failed for good is counted, one without a worker gets older."""
    world.answers("bad", status=400)
    before = await store.metric(suite, "flowmesh_dead_letters_total")
    await suite.run(workflow(http(world, "bad")))
    assert await store.metric(suite, "flowmesh_dead_letters_total") == before + 1
    nobody = {"id": "n", "name": "n", "type": "custom", "action": "served-by-nobody"}
    execution_id = await suite.begin(await suite.define(workflow(nobody)))
    while not await store.metric(suite, "flowmesh_oldest_ready_task_seconds"):
        pass
    await suite.post(f"/api/v1/executions/{execution_id}:cancel")
    free = await store.metric(suite, "flowmesh_disk_free_bytes")
    assert 0 < free < await store.metric(suite, "flowmesh_disk_size_bytes")


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in DASHBOARD["panels"] if panel["type"] != "row")


@pytest.mark.feature("S3-120")
async def test_every_panel_shows_what_the_suite_measures(suite: Suite, world: World) -> None:
    """Each query parses and names metrics that the running suite exports, with their labels."""
    await suite.run(workflow(http(world, "a")))
    exported = (await suite.get("/metrics")).text
    for panel in panels():
        for target in panel["targets"]:
            promql_parser.parse(target["expr"])
            for metric in re.findall(r"\b(?:flowmesh|process)_\w+", target["expr"]):
                assert re.search(rf"^{metric}[ {{]", exported, re.MULTILINE), panel["title"]
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert label == "instance" or label in target["expr"], panel["title"]


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    """Panels have ids and titles of their own, a place that no other has, and the data source that
    is chosen at the top.
    """
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles) > 20
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    (variable,) = DASHBOARD["templating"]["list"]
    source = {"type": "prometheus", "uid": "${" + variable["name"] + "}"}
    for panel in panels():
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0


def test_prometheus_scrapes_every_container_that_is_ours() -> None:
    """The targets are the services of the compose file at their HTTP port; the rules are there."""
    configuration = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (job,) = configuration["scrape_configs"]
    (targets,) = job["static_configs"]
    ours = {f"{name}:3000" for name, each in compose["services"].items() if "build" in each}
    assert set(targets["targets"]) == ours
    assert job["metrics_path"] == "/metrics"
    assert all((DEPLOY / name).is_file() for name in configuration["rule_files"])
