"""Traces reach a collector when one is named, and cost nothing when none is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.runtime import Runtime, Settings
from flowmesh.telemetry import child_traceparent, current_traceparent, trace
from tests.integration.runtime.test_process import echo, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(otlp_grpc.TraceServiceServicer):
    """Keeps the spans it is sent."""

    def __init__(self) -> None:
        self.spans: dict[str, Any] = {}

    async def Export(
        self, request: otlp.ExportTraceServiceRequest, context: Any
    ) -> otlp.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.update({f"{span.kind}:{span.name}": span for span in scope.spans})
        return otlp.ExportTraceServiceResponse()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[str, Collector]]:
    server, collector = grpc.aio.server(), Collector()
    add: Any = otlp_grpc.add_TraceServiceServicer_to_server
    add(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}", collector
    await server.stop(None)


async def test_one_trace_spans_processes_and_work(
    settings: Settings, collector: tuple[str, Collector]
) -> None:
    """A call to another process has a span on both sides, own work one of its own."""
    endpoint, received = collector
    finished = asyncio.Event()

    async def caller(runtime: Runtime) -> None:
        stub: Any = runtime.stub_at(pb_grpc.RegistryServiceStub, other.address)
        with (
            trace(f"00-{TRACE}-00f067aa0ba902b7-01"),
            runtime.spans.span("task", attributes={"attempt": 1}),
        ):
            await stub.GetInstance(pb.GetInstanceRequest(id="x"))
        runtime.spans.record("attempt", parent=child_traceparent(), start_us=1, end_us=2)
        finished.set()
        await runtime.until_stopped()

    async with (
        running(settings, {"demo": echo("a")}, otlp_endpoint=endpoint) as other,
        running(settings, {"caller": caller}, otlp_endpoint=endpoint),
    ):
        await finished.wait()
    spans = received.spans
    method = "flowmesh.api.registry.v1.RegistryService/GetInstance"
    client, server = (
        spans[next(k for k in spans if method in k and k[0] == kind)] for kind in "32"
    )
    assert {client.trace_id.hex(), server.trace_id.hex()} == {TRACE}
    assert client.parent_span_id == spans["1:task"].span_id
    assert server.parent_span_id == client.span_id
    assert spans["1:attempt"].end_time_unix_nano == 2_000


async def test_without_a_collector_spans_change_nothing(settings: Settings) -> None:
    """The trace context stays that of the caller."""
    seen = asyncio.get_running_loop().create_future()

    async def service(runtime: Runtime) -> None:
        given = child_traceparent()
        with trace(given), runtime.spans.span("task"):
            seen.set_result(current_traceparent() == given)
        await runtime.until_stopped()

    async with running(settings, {"demo": service}):
        assert await seen
