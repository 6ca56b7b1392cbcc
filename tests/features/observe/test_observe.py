"""Signals that a running suite keeps of itself: log records, calls, series, objectives."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.store import metric

pytestmark = pytest.mark.long
ENVIRONMENT = {
    "FLOWMESH_LOG_TRANSITIONS": "true",
    "FLOWMESH_LOG_LEVEL": "info",
    "FLOWMESH_OBSERVE_SLOW_MS": "0.000001",
}
WITHIN_S = 30.0
MINUTE_S = 130.0
"""A minute is sent after its end, and this machine may be busy."""


@pytest.fixture(scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite that logs every transition, and finds every call slow."""
    folder = tmp_path_factory.mktemp("watched") / "data"
    async with Suite(folder, "--log-level", "info", environment=ENVIRONMENT) as running:
        yield running


async def executed(suite: Suite, namespace: str, workflow: str) -> str:
    """Run a workflow of one short task in a namespace; return the id of its execution."""
    headers = {"Flowmesh-Namespace": namespace}
    step = {"id": "rest", "name": "Rest", "action": "delay", "params": {"duration": 5}}
    definition = {"id": workflow, "name": workflow, "steps": [step]}
    answer = await suite.request("POST", "/api/v1/workflows", definition, headers=headers)
    assert answer.status in (200, 201), answer.text
    path = f"/api/v1/workflows/{workflow}/execute"
    answer = await suite.request("POST", path, {}, headers=headers)
    assert (answer.status, answer.json["status"]) == (200, "completed"), answer.text
    return str(answer.json["executionId"])


async def listed(suite: Suite, namespace: str, path: str, key: str) -> list[Any]:
    headers = {"Flowmesh-Namespace": namespace}
    answer = await suite.request("GET", f"/api/v1/observe/{path}", headers=headers)
    assert answer.status == 200, answer.text
    found: list[Any] = answer.json[key]
    return found


@pytest.mark.feature("S1-196")
async def test_logs_and_calls_are_kept_by_namespace(watched: Suite) -> None:
    """Records name execution and trace, a filter finds them, and no other namespace has them."""
    red = await executed(watched, "red", "paint")
    blue = await executed(watched, "blue", "paint")
    for namespace, own, other in (("red", red, blue), ("blue", blue, red)):
        path = f"logs?filter=execution%20%3D%20{own}"

        async def kept(namespace: str = namespace, path: str = path) -> object:
            return await listed(watched, namespace, path, "logs")

        await until("kept log records", kept, within_s=WITHIN_S)
        records = await listed(watched, namespace, path, "logs")
        assert {each["namespace"] for each in records} == {namespace}
        assert {each["executionId"] for each in records} == {own}
        every = await listed(watched, namespace, "logs?pageSize=1000", "logs")
        assert other not in {each.get("executionId") for each in every}
        calls = await listed(watched, namespace, "calls?pageSize=1000", "calls")
        assert {each["namespace"] for each in calls} == {namespace}
        assert all(each["traceId"] and each["durationMs"] > 0 for each in calls)


async def test_records_are_paged_and_followed(watched: Suite) -> None:
    """Pages have each record once, newest first; after a position come newer ones only."""
    own = await executed(watched, "paged", "paint")

    async def kept() -> bool:
        return len(await listed(watched, "paged", "logs", "logs")) > 2

    await until("kept log records", kept, within_s=WITHIN_S)
    every = await listed(watched, "paged", "logs", "logs")
    positions = [each["position"] for each in every]
    assert positions == sorted(positions, reverse=True)
    headers = {"Flowmesh-Namespace": "paged"}
    first = await watched.request("GET", "/api/v1/observe/logs?pageSize=2", headers=headers)
    token = first.json["nextPageToken"]
    rest = await listed(watched, "paged", f"logs?pageSize=2&pageToken={token}", "logs")
    assert rest[0]["position"] < first.json["logs"][-1]["position"]
    newer = await listed(watched, "paged", f"logs?after={positions[2]}", "logs")
    assert [each["position"] for each in newer] == sorted(positions[:2])
    wrong = await watched.get("/api/v1/observe/logs?filter=colour%20%3D%20red")
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "FILTER_INVALID")
    assert "level, service, event" in wrong.json["error"]["message"]
    shown = await command(watched, "observe", "logs", "--namespace", "paged", "--json")
    assert own in {each["executionId"] for each in shown.json}, shown.err


async def test_metrics_are_kept_by_the_minute(watched: Suite) -> None:
    """The calls of the services by code, and a quantile of their durations."""
    await executed(watched, "default", "paint")

    async def kept() -> object:
        path = "series?metric=flowmesh_rpc_total&groupBy=service&where=code%3DOK"
        return await listed(watched, "default", path, "series")

    await until("kept metrics", kept, within_s=MINUTE_S)
    path = "series?metric=flowmesh_rpc_seconds_bucket&groupBy=service&quantile=0.95"
    series = await listed(watched, "default", path, "series")
    assert "ExecutionService" in {each["group"] for each in series}
    assert all(point["value"] >= 0 for each in series for point in each["points"])
    wrong = await watched.get("/api/v1/observe/series?metric=flowmesh_rpc_total&where=code")
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "REQUEST_INVALID")
    shown = await command(watched, "observe", "series", "flowmesh_rpc_total", "--by", "service")
    assert "ExecutionService" in shown.out, shown.err


async def test_an_objective_is_computed_from_executions(watched: Suite) -> None:
    """A failed execution burns the budget, and the command says so by its exit code."""
    await executed(watched, "default", "shipped")
    path = "/api/v1/observe/slos/shipped?target=99&windowS=3600"
    good = (await watched.get(path)).json
    assert (good["good"], good["bad"], good["budgetLeft"]) == (1, 0, 1.0)
    late = (await watched.get(f"{path}&slowerThanMs=1")).json
    assert (late["good"], late["bad"], late["reached"]) == (0, 1, 0.0)
    assert late["burnRateHour"] == pytest.approx(100)
    shown = await command(
        watched, "observe", "slo", "shipped", "--target", "99", "--slower-than-ms", "1"
    )
    assert shown.code == 1
    assert "0.000 % of 1 are good" in shown.out


DROPPED = "flowmesh_observe_dropped_total"


async def test_a_store_that_refuses_costs_no_execution(watched: Suite) -> None:
    """Signals are dropped and counted; executions run as before."""
    before = await metric(watched, DROPPED, kind="logs")
    postgres = await asyncpg.connect(str(watched.about["postgres"]))
    await postgres.execute("drop table observe.logs cascade")
    await postgres.execute("drop table observe.calls cascade")
    await postgres.execute("drop table observe.points cascade")
    await postgres.close()
    for _ in range(20):
        await executed(watched, "red", "paint")

    async def counted() -> bool:
        return await metric(watched, DROPPED, kind="logs") > before

    await until("counted drops", counted, within_s=WITHIN_S)
    await executed(watched, "red", "paint")
    assert (await watched.get("/ready")).status == 200
