"""What operators see of the running suite: logs, metrics, traces, latencies."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import store
from tests.features.collector import Collector, collecting
from tests.features.steps import http, retry, workflow

pytestmark = pytest.mark.long

PATIENCE_S = 10
RUNS = 20
ALERTS = Path(__file__).resolve().parents[3] / "deploy/alerts.yml"
RULES = ALERTS.read_text()
COUNTERS = (
    "flowmesh_workflows_started_total",
    "flowmesh_workflows_completed_total",
    "flowmesh_workflows_failed_total",
    "flowmesh_tasks_completed_total",
    "flowmesh_tasks_failed_total",
    "flowmesh_tasks_retried_total",
    "flowmesh_total_execution_time_total",
    "flowmesh_execution_seconds_count",
)


# The requirements name these metrics of the broker.
MESSAGES = {"messages_published", "messages_consumed", "messages_failed", "queue_sizes"}
# And these of agents.
AGENTS = {"total_agents", "scaling_events", "active_workflows"}
# The names that these figures had first; each is exported with the prefix too.
ALIASES = {
    name.removeprefix("flowmesh_").removesuffix("_total")
    for name in (*COUNTERS[:7], "workflows_canceled_total")
}

# Workers and the database have clocks of their own; the orchestrator follows the database's.
CLOCKS_MS = 5.0


@dataclass(frozen=True)
class Observed:
    """A suite that writes JSON logs and sends its traces."""

    suite: Suite
    collector: Collector

    def lines(self) -> list[dict[str, Any]]:
        """Its log, one JSON object a line."""
        return [json.loads(line) for line in self.suite.log.read_text().splitlines()]


@pytest.fixture(scope="module")
async def observed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Observed]:
    flags = ("--log-format", "json", "--otlp-endpoint")
    with pytest.MonkeyPatch.context() as environment:
        # Spans are sent in batches; here nobody wants to wait five seconds for the next one.
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        async with collecting() as collector:
            data_dir = tmp_path_factory.mktemp("observed") / "data"
            async with Suite(data_dir, *flags, collector.address) as suite:
                yield Observed(suite, collector)


@pytest.mark.feature("S3-55")
async def test_logs_are_json_with_execution_and_node(observed: Observed, world: World) -> None:
    """Every line is an object; a failed run's names it, its workflow, node, class and trace."""
    world.answers("charge", status=402)
    secret = "4242-4242-4242"
    execution = await observed.suite.run(workflow(http(world, "charge")), {"card": secret})
    async with asyncio.timeout(PATIENCE_S):
        while not (
            told := [
                line
                for line in observed.lines()
                if line.get("execution_id") == execution["executionId"]
            ]
        ):
            await observed.suite.execution(execution["executionId"])

    (line,) = told
    assert line["level"] == "warning"
    assert line["event"] == "execution_failed"
    assert (line["node"], line["failure"]) == ("charge", "ClientError")
    assert (line["workflow_id"], line["service"]) == (execution["workflowId"], "orchestrator")
    assert line["trace_id"] == world.calls("charge")[0].headers["traceparent"][3:35]
    assert line["timestamp"].endswith("Z")
    assert secret not in observed.suite.log.read_text()


@pytest.mark.feature("S3-106")
async def test_each_state_change_is_a_line_of_the_log(tmp_path: Path, world: World) -> None:
    """With execution, node, event and trace; in the order of the history, and without values."""
    world.answers("pay", status=503, times=1)
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4737"
    secret = "4242-4343-4444"
    flags = ("--log-level", "info", "--log-format", "json")
    environment = {"FLOWMESH_LOG_TRANSITIONS": "true"}
    async with Suite(tmp_path / "data", *flags, environment=environment) as suite:
        workflow_id = await suite.define(workflow(http(world, "pay", retryPolicy=retry(2))))
        started = await suite.post(
            "/executions/start",
            {"workflowId": workflow_id, "context": {"card": secret}},
            headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
        )
        execution_id = started.json["executionId"]
        await suite.wait(execution_id)
        events = await suite.events(execution_id)
        lines = map(json.loads, suite.log.read_text().splitlines())
        told = [line for line in lines if line.get("execution_id") == execution_id]
    transitions = [line for line in told if line["event"] == "transition"]
    assert [(line["sequence"], line["type"], line.get("node")) for line in transitions] == [
        (event["sequence"], event["type"], event.get("taskId")) for event in events
    ]
    assert "TaskRetrying" in {line["type"] for line in transitions}
    assert {line["workflow_id"] for line in transitions} == {workflow_id}
    assert {line["trace_id"] for line in transitions} == {trace_id}
    assert secret not in suite.log.read_text()


@pytest.mark.feature("S3-57", "S4-100")
async def test_one_trace_spans_gateway_orchestrator_and_worker(
    observed: Observed, world: World
) -> None:
    """The trace a client begins has the request, the execution and each call of a step in it."""
    trace_id, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    workflow_id = await observed.suite.define(workflow(http(world, "a"), http(world, "b", "a")))
    started = await observed.suite.post(
        "/executions/start",
        {"workflowId": workflow_id},
        headers={"traceparent": f"00-{trace_id}-{caller}-01"},
    )
    execution_id = started.json["executionId"]
    await observed.suite.wait(execution_id)
    spans = await observed.collector.of_trace(trace_id, lambda found: len(found) >= 4)

    by_name: dict[str, list[Any]] = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    (request,), (execution,) = by_name["POST /executions/start"], by_name["execution"]
    tasks = by_name["task http.request"]
    assert request.parent_span_id.hex() == caller
    assert execution.parent_span_id == request.span_id
    assert {span.parent_span_id for span in tasks} == {execution.span_id}
    assert {attribute(span, "flowmesh.node") for span in tasks} == {"a", "b"}
    assert {attribute(span, "flowmesh.execution_id") for span in (execution, *tasks)} == {
        execution_id
    }
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in spans)
    sent = [call.headers["traceparent"].split("-") for call in world.calls()]
    assert [(each[1], each[2]) for each in sent] == [
        (trace_id, span.span_id.hex())
        for span in sorted(tasks, key=lambda span: str(attribute(span, "flowmesh.node")))
    ]


def attribute(span: Any, key: str) -> Any:
    (value,) = [each.value.string_value for each in span.attributes if each.key == key]
    return value


@pytest.mark.feature("S3-57")
async def test_the_trace_arrives_without_a_collector(suite: Suite, world: World) -> None:
    """The trace id of the caller is that of every call; runs that brought none have their own."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    workflow_id = await suite.define(workflow(http(world, "a"), http(world, "b", "a")))
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    started = await suite.post("/executions/start", {"workflowId": workflow_id}, headers=headers)
    await suite.wait(started.json["executionId"])
    await suite.wait(await suite.begin(workflow_id))

    traces = [call.headers["traceparent"][3:35] for call in world.calls()]
    assert traces[:2] == [trace_id] * 2
    assert traces[2] == traces[3] != trace_id


@pytest.mark.feature("S3-56", "S3-116")
async def test_prometheus_can_scrape(suite: Suite, world: World) -> None:
    """The exposition format, each metric described once; what happened moved the counters."""
    world.answers("flaky", status=503, times=1)
    world.answers("bad", status=400)
    before = [await store.metric(suite, name) for name in COUNTERS]
    await suite.run(workflow(http(world, "flaky", retryPolicy=retry(2))))
    await suite.run(workflow(http(world, "bad")))
    moved = [
        await store.metric(suite, name) - value
        for name, value in zip(COUNTERS, before, strict=True)
    ]
    assert moved[:6] == [2, 1, 1, 1, 1, 1]
    assert moved[6] > 0
    assert moved[7] == 2

    answer = await suite.get("/metrics")
    families = list(text_string_to_metric_families(answer.text))
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = [family.name for family in families]
    assert len(names) == len(set(names)) > 20
    assert all(family.documentation and family.type != "unknown" for family in families)
    unprefixed = {
        name.removesuffix("_created")
        for name in names
        if not name.startswith(("flowmesh_", "process_", "python_"))
    }
    assert unprefixed == ALIASES | MESSAGES | AGENTS
    workflows = {sample.labels.get("workflow") for family in families for sample in family.samples}
    assert workflows == {None}


async def test_alerts_are_about_metrics_that_exist(suite: Suite) -> None:
    """With the labels they ask for, and before the first event: else a rule would be silent."""
    exported = (await suite.get("/metrics")).text
    asked = set(re.findall(r"\bflowmesh_\w+(?:\{.*?\})?", RULES))
    assert len(asked) > 5
    # Processes with TLS have the first, which test_tls.py reads there; change triggers the second,
    # which test_changes.py reads; objectives the others, which test_objectives.py reads.
    elsewhere = {
        "flowmesh_certificate_expiry_timestamp_seconds",
        "flowmesh_event_change_lag_bytes",
        'flowmesh_slo_burn{window="1h"}',
        'flowmesh_slo_burn{window="5m"}',
    }
    for each in asked - elsewhere:
        assert re.search(rf"^{re.escape(each)}[ {{]", exported, re.MULTILINE), each


@pytest.mark.feature("S0-124")
async def test_latencies_have_percentiles_by_workflow_and_task(suite: Suite, world: World) -> None:
    """REST, gRPC and the command line tell p50, p95 and p99; the histogram has every run."""
    world.answers("quick", delay_ms=20, times=RUNS - 2)
    world.answers("quick", delay_ms=300)
    workflow_id = await suite.define(workflow(http(world, "quick"), {"id": "other"}))
    counted = await store.metric(suite, "flowmesh_execution_seconds_count")
    for _ in range(RUNS - 2):
        await suite.wait(await suite.begin(workflow_id))
    for execution_id in [await suite.begin(workflow_id) for _ in range(2)]:
        await suite.wait(execution_id)

    (stats,) = (await suite.get(f"/api/v1/stats?workflow={workflow_id}")).json["workflows"]
    assert (stats["workflow"], stats["started"], stats["completed"]) == (workflow_id, RUNS, RUNS)
    task = next(each for each in stats["tasks"] if each["id"] == "quick")
    for latency in (stats["latency"], task["latency"]):
        assert latency["count"] == RUNS
        assert 20 <= latency["p50Ms"] < 250 < 300 <= latency["p95Ms"] <= latency["p99Ms"] < 1_000
    assert {each["id"]: each["completed"] for each in stats["tasks"]}["other"] == RUNS

    stub: Any = execution_service_pb2_grpc.ExecutionServiceStub(suite.channel)
    (same,) = (await stub.GetStats(pb.GetStatsRequest(workflow_id=workflow_id))).workflows
    assert same.latency.p99_ms == stats["latency"]["p99Ms"]
    assert await store.metric(suite, "flowmesh_execution_seconds_count") - counted == RUNS
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowmesh.suite", "stats", workflow_id),
        *("--address", suite.grpc_address, "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert json.loads(out) == [stats]
    unknown = (await suite.get("/api/v1/stats?workflow=no-such-workflow")).json
    assert unknown == {"workflows": [], "unreachable": []}


async def test_the_spans_of_an_execution_agree_with_its_history(
    observed: Observed, world: World
) -> None:
    """Each attempt's span lies within what the trace made of the history says of the attempt."""
    trace_id = "7bf92f3577b34da6a3ce929d0e0e4736"
    world.answers("a", status=503, times=1)
    world.answers("a", delay_ms=20)
    workflow_id = await observed.suite.define(
        workflow(http(world, "a", retryPolicy=retry(2)), http(world, "b", "a"))
    )
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    started = await observed.suite.post(
        "/executions/start", {"workflowId": workflow_id}, headers=headers
    )
    execution_id = started.json["executionId"]
    await observed.suite.wait(execution_id)
    spans = await observed.collector.of_trace(trace_id, lambda found: len(found) >= 5)
    trace = (await observed.suite.get(f"/api/v1/executions/{execution_id}/trace")).json

    begun_us = instant_us(trace["startedAt"])
    (execution,) = (span for span in spans if span.name == "execution")
    assert execution.start_time_unix_nano // 1_000 == begun_us
    took_ms = (execution.end_time_unix_nano - execution.start_time_unix_nano) / 1e6
    assert took_ms == pytest.approx(trace["durationMs"], abs=0.01)
    attempts = {
        (task["id"], attempt["attempt"]): attempt
        for task in trace["tasks"]
        for attempt in task["attempts"]
    }
    tasks = [span for span in spans if span.name == "task http.request"]
    assert len(tasks) == len(attempts) == 3
    for span in tasks:
        number = next(a.value.int_value for a in span.attributes if a.key == "flowmesh.attempt")
        attempt = attempts[attribute(span, "flowmesh.node"), number]
        start_ms = (span.start_time_unix_nano / 1_000 - begun_us) / 1_000
        end_ms = (span.end_time_unix_nano / 1_000 - begun_us) / 1_000
        assert attempt["startedMs"] - CLOCKS_MS <= start_ms, (span, attempt)
        assert end_ms <= attempt["endedMs"] + CLOCKS_MS, (span, attempt)


def instant_us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)
