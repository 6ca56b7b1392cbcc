"""Traces over OTLP: of requests, executions, built-in tasks and the tasks of user workers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from flowmesh.testing.suite import Suite
from tests.features.collector import Collector, collecting
from tests.features.steps import workflow

CALLER = "00f067aa0ba902b7"
WORKER = """
import asyncio, sys
from flowmesh.sdk import TaskFailure, Worker

worker = Worker(sys.argv[1])

@worker.task("inline")
async def inline(input, context):
    return context.traceparent

@worker.task("waits")
async def waits(input, context):
    await asyncio.sleep(0)
    return context.traceparent

@worker.task("thread")
def thread(input, context):
    return context.traceparent

def process(input, context):
    return context.traceparent

worker.register("process", process, pool="process")

@worker.durable("durable", workflow=False)
async def durable(ctx, input):
    return await ctx.run("step", lambda: "done")

@worker.task("refuses")
async def refuses(input):
    raise TaskFailure("CardDeclined", "4242")

if __name__ == "__main__":
    worker.run()
"""


@dataclass(frozen=True)
class Traced:
    suite: Suite
    collector: Collector
    environment: dict[str, str]

    async def trace_of(self, trace_id: str, *steps: dict[str, Any], spans: int) -> dict[str, Any]:
        """The spans of an execution of these steps by their names; the outputs under `outputs`."""
        workflow_id = await self.suite.define(workflow(*steps))
        started = await self.suite.post(
            "/executions/start",
            {"workflowId": workflow_id},
            headers={"traceparent": f"00-{trace_id}-{CALLER}-01"},
        )
        ended = await self.suite.wait(started.json["executionId"])
        found = await self.collector.of_trace(trace_id, lambda found: len(found) >= spans)
        return {"outputs": ended, **{span.name: span for span in found}}


@pytest.fixture(scope="module")
async def traced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    async with collecting() as collector:
        environment = {
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
        }
        data_dir = tmp_path_factory.mktemp("traced") / "data"
        async with Suite(data_dir, environment=environment) as suite:
            yield Traced(suite, collector, environment)


def step(task_type: str) -> dict[str, Any]:
    return {"id": task_type, "name": task_type, "type": "custom", "action": task_type}


def attributes(span: Any) -> dict[str, str]:
    return {
        each.key: each.value.string_value or str(each.value.int_value) for each in span.attributes
    }


@pytest.mark.long
@pytest.mark.feature("S4-100")
async def test_tasks_of_user_workers_have_spans(traced: Traced, tmp_path: Path) -> None:
    """However the handler runs, its span is a child of the execution's, and what it is given to
    hand on is its own span.
    """
    file = tmp_path / "worker.py"
    file.write_text(WORKER)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(file), traced.suite.grpc_address),
        env={**os.environ, **traced.environment, "OTEL_SERVICE_NAME": "shop"},
    )
    try:
        kinds = ("inline", "waits", "thread", "process", "durable")
        trace_id = "1bf92f3577b34da6a3ce929d0e0e4736"
        spans = await traced.trace_of(trace_id, *map(step, kinds), spans=len(kinds) + 2)
        refused = await traced.trace_of("2" + trace_id[1:], step("refuses"), spans=3)
    finally:
        process.terminate()
        await process.wait()

    outputs = spans["outputs"]["context"]
    for kind in kinds:
        span = spans[f"task {kind}"]
        about = traced.collector.resources[span.span_id]
        assert span.parent_span_id == spans["execution"].span_id, kind
        assert span.kind == SpanMessage.SPAN_KIND_CONSUMER
        assert attributes(span)["flowmesh.node"] == kind
        assert about["service.name"] == "shop"
        assert about["service.version"]
        if kind != "durable":
            assert outputs[kind] == f"00-{trace_id}-{span.span_id.hex()}-01", kind
    failed = refused["task refuses"]
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert (failed.status.message, attributes(failed)["error.type"]) == ("CardDeclined",) * 2


@pytest.mark.feature("S4-100")
async def test_requests_are_named_by_route(traced: Traced) -> None:
    """A request's span is one of a server, with its route and status; ids are not in its name."""
    trace_id = "3bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
    assert (await traced.suite.get("/api/v1/executions/nothing", headers=headers)).status == 404
    assert (await traced.suite.get("/no/such/path", headers=headers)).status == 404
    spans = await traced.collector.of_trace(trace_id, lambda found: len(found) >= 2)

    by_name = {span.name: span for span in spans}
    route = "/api/v1/executions/{executionId}"
    found = by_name[f"GET {route}"]
    assert found.kind == by_name["HTTP"].kind == SpanMessage.SPAN_KIND_SERVER
    assert attributes(found) == {
        "http.request.method": "GET",
        "http.route": route,
        "http.response.status_code": "404",
    }
    assert "http.route" not in attributes(by_name["HTTP"])


@pytest.mark.feature("S4-100")
async def test_each_service_has_one_name(traced: Traced) -> None:
    """A process of six services names each in its spans, with its version and instance."""
    trace_id = "4cf92f3577b34da6a3ce929d0e0e4736"
    await traced.trace_of(
        trace_id,
        {
            "id": "pause",
            "name": "pause",
            "type": "delay",
            "action": "delay",
            "params": {"duration": 1},
        },
        spans=2,
    )
    abouts = traced.collector.resources.values()
    services = {about["service.name"] for about in abouts}
    assert {"gateway", "orchestrator"} <= services
    assert not any("+" in service for service in services)
    assert {about["service.namespace"] for about in abouts} == {"flowmesh"}
    assert all(about["service.version"] and about["service.instance.id"] for about in abouts)


async def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is to send spans without OpenTelemetry says what to install."""
    from flowmesh.sdk import Worker
    from flowmesh.telemetry import TelemetryMissing

    async def handler(input: object) -> None: ...

    monkeypatch.setenv("FLOWMESH_OTLP_ENDPOINT", "127.0.0.1:4317")
    exporter = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
    monkeypatch.setitem(sys.modules, exporter, None)
    with pytest.raises(TelemetryMissing, match="needs OpenTelemetry: make setup"):
        await Worker("127.0.0.1:1", {"any": handler}).start()
