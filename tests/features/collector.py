"""A collector of traces and metrics: OTLP over gRPC, kept in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_otlp
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc

TIMEOUT_S = 20.0


class Collector(otlp_grpc.TraceServiceServicer):
    """Keeps the spans it is sent, with the attributes of each."""

    def __init__(self) -> None:
        self.address = ""
        self.spans: list[Any] = []
        # What each span says of its service, by the id of the span.
        self.resources: dict[bytes, dict[str, str]] = {}
        self._more = asyncio.Condition()

    async def Export(
        self, request: otlp.ExportTraceServiceRequest, context: Any
    ) -> otlp.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.resources.update((span.span_id, about) for span in scope.spans)
                self.spans.extend(scope.spans)
        async with self._more:
            self._more.notify_all()
        return otlp.ExportTraceServiceResponse()

    async def of_trace(self, trace_id: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
        """The spans of a trace once there are enough of them."""

        def found() -> list[Any]:
            return [span for span in self.spans if span.trace_id.hex() == trace_id]

        async with asyncio.timeout(TIMEOUT_S), self._more:
            await self._more.wait_for(lambda: enough(found()))
        return found()


class MetricsCollector(metrics_grpc.MetricsServiceServicer):
    """Keeps what each service sent last, by the name of the metric."""

    def __init__(self) -> None:
        self.address = ""
        self.latest: dict[str, dict[str, Any]] = {}
        self._more = asyncio.Condition()

    async def Export(
        self, request: metrics_otlp.ExportMetricsServiceRequest, context: Any
    ) -> metrics_otlp.ExportMetricsServiceResponse:
        for resource in request.resource_metrics:
            about = {each.key: each.value.string_value for each in resource.resource.attributes}
            of_service = self.latest.setdefault(about["service.name"], {})
            for scope in resource.scope_metrics:
                of_service.update({metric.name: metric for metric in scope.metrics})
        async with self._more:
            self._more.notify_all()
        return metrics_otlp.ExportMetricsServiceResponse()

    async def until(self, enough: Callable[[dict[str, Any]], bool], service: str) -> dict[str, Any]:
        """The metrics of a service once there is enough in them."""
        async with asyncio.timeout(TIMEOUT_S), self._more:
            await self._more.wait_for(
                lambda: service in self.latest and enough(self.latest[service])
            )
        return self.latest[service]


@asynccontextmanager
async def collecting_metrics() -> AsyncIterator[MetricsCollector]:
    """A collector of metrics on a free port."""
    server, collector = grpc.aio.server(), MetricsCollector()
    add: Any = metrics_grpc.add_MetricsServiceServicer_to_server
    add(collector, server)
    collector.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a free port."""
    server, collector = grpc.aio.server(), Collector()
    add: Any = otlp_grpc.add_TraceServiceServicer_to_server
    add(collector, server)
    collector.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)
