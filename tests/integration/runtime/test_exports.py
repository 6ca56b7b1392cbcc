"""Exports of a process to programs of others: OTLP over HTTP, and StatsD."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from flowmesh.runtime import Runtime, Settings
from flowmesh.runtime.exporting.statsd import PACKET_BYTES_MAX, StatsdLoop, packets
from flowmesh.telemetry.metrics import Metrics
from flowmesh.testing.polling import until
from tests.integration.runtime.test_process import running

WITHIN_S = 20.0
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


class Collector:
    """Keeps the names of spans and metrics, and refuses calls without a key."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {"traces": set(), "metrics": set()}

    async def take(self, request: web.Request) -> web.Response:
        if request.headers.get("api-key") != "k 1":
            return web.Response(status=401)
        assert request.content_type == "application/x-protobuf"
        body, kind = await request.read(), request.match_info["kind"]
        if kind == "traces":
            spans = ExportTraceServiceRequest.FromString(body).resource_spans
            self.names[kind] |= {
                span.name for each in spans for scope in each.scope_spans for span in scope.spans
            }
        else:
            metrics = ExportMetricsServiceRequest.FromString(body).resource_metrics
            self.names[kind] |= {
                one.name
                for each in metrics
                for scope in each.scope_metrics
                for one in scope.metrics
            }
        return web.Response()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[str, Collector]]:
    made, app = Collector(), web.Application()
    app.router.add_post("/v1/{kind}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}", made
    await runner.cleanup()


@pytest.mark.feature("S1-196")
async def test_spans_and_metrics_go_to_a_collector_over_http(
    settings: Settings, collector: tuple[str, Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the headers of the standard variables."""
    monkeypatch.setenv(HEADERS, "api-key=k%201")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    address, received = collector

    async def caller(runtime: Runtime) -> None:
        with runtime.spans.span("work", parent="", attributes={}):
            pass
        await runtime.until_stopped()

    options: dict[str, Any] = {
        "otlp_endpoint": address,
        "otlp_protocol": "http/protobuf",
        "otlp_metrics_seconds": 0.1,
    }
    async with running(settings, {"caller": caller}, **options):
        await until("a span", _async(lambda: "work" in received.names["traces"]), within_s=WITHIN_S)
        await until(
            "metrics",
            _async(lambda: "flowmesh_disk_free_bytes" in received.names["metrics"]),
            within_s=WITHIN_S,
        )


def _async(check: Any) -> Any:
    async def checked() -> bool:
        return bool(check())

    return checked


class Received(asyncio.DatagramProtocol):
    """Keeps the lines of packets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        assert len(data) <= PACKET_BYTES_MAX
        self.lines += data.decode().split("\n")


@pytest.mark.feature("S1-196")
async def test_metrics_go_to_a_statsd_server() -> None:
    """Counters as increases, gauges as they are, histograms by sum and count, labels as tags."""
    transport, received = await asyncio.get_running_loop().create_datagram_endpoint(
        Received, local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")
    metrics = Metrics()
    calls = metrics.counter("flowmesh_calls", "Calls.", ("code", "route"))
    calls.labels("OK", "/a,b").inc(3)
    metrics.gauge("flowmesh_size", "Size.").set(7)
    metrics.histogram("flowmesh_took_seconds", "Time.").observe(0.5)
    loop = StatsdLoop(metrics, f"{host}:{port}", 0)
    assert await loop.run_once() >= 1
    calls.labels("OK", "/a,b").inc(2)
    await loop.run_once()

    async def arrived() -> bool:
        return "flowmesh_calls_total:2|c|#code:OK,route:/a%2Cb" in received.lines

    await until("the second increase", arrived, within_s=WITHIN_S)
    transport.close()
    assert "flowmesh_calls_total:3|c|#code:OK,route:/a%2Cb" in received.lines
    assert received.lines.count("flowmesh_size:7|g") == 2
    assert received.lines.count("flowmesh_took_seconds_count:1|c") == 1
    assert received.lines.count("flowmesh_took_seconds_sum:0.5|c") == 1
    assert not [line for line in received.lines if "_bucket" in line]


def test_packets_hold_whole_lines() -> None:
    """A line that is too long for others has a packet of its own."""
    long = "x" * PACKET_BYTES_MAX
    assert list(packets(["a", "b", long, "c"])) == [b"a\nb", long.encode(), b"c"]
    assert list(packets([])) == []


@pytest.mark.parametrize("address", ["host", "host:0", "host:99999", "http://host:1", "a b:1"])
def test_a_wrong_address_of_statsd_is_refused(address: str) -> None:
    """With what would be right."""
    with pytest.raises(ValidationError, match="host:port"):
        Settings(statsd=address)
