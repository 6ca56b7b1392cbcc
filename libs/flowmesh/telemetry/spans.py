"""Spans for OpenTelemetry: recorded only where a collector is named, free where none is.

Unary gRPC calls get spans from the OpenTelemetry instrumentation. Streams do not: they live as
long as the process, so work that arrives on them is traced as itself, with `span` or `record`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowmesh.telemetry.context import TRACEPARENT, current_traceparent, trace

if TYPE_CHECKING:
    import grpc.aio
    from opentelemetry.sdk.trace import TracerProvider

EXPORT_TIMEOUT_S = 5
QUEUE_SPANS_MAX = 8_192
SHUTDOWN_TIMEOUT_MS = 1_000
NANOSECONDS_PER_MICROSECOND = 1_000
UNTRACED_PREFIX = "/grpc."
Attributes = Mapping[str, str | int | float | bool]


class Spans:
    """Makes spans under a W3C trace context."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("flowmesh") if provider else None

    @contextmanager
    def span(
        self, name: str, *, parent: str = "", attributes: Attributes | None = None
    ) -> Iterator[None]:
        """A span around the block; calls and messages of the block belong to it."""
        if self._tracer is None:
            yield
            return
        with (
            self._tracer.start_as_current_span(
                name, context=_context(parent or current_traceparent()), attributes=attributes
            ) as span,
            trace(_traceparent(span)),
        ):
            yield

    def record(
        self,
        name: str,
        *,
        parent: str,
        start_us: int,
        end_us: int,
        attributes: Attributes | None = None,
        failed: bool = False,
    ) -> None:
        """A span of something that is over: a task attempt, a whole execution."""
        if self._tracer is None:
            return
        from opentelemetry.trace import StatusCode

        span = self._tracer.start_span(
            name,
            context=_context(parent),
            attributes=attributes,
            start_time=start_us * NANOSECONDS_PER_MICROSECOND,
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(end_us * NANOSECONDS_PER_MICROSECOND)

    def server_interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """For the gRPC server of the process."""
        if self._provider is None:
            return []
        from opentelemetry.instrumentation.grpc import aio_server_interceptor

        make: Any = aio_server_interceptor
        return [make(self._provider, filter_=_is_traced)]

    def client_interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """For every channel to another process."""
        if self._provider is None:
            return []
        from opentelemetry.instrumentation.grpc import aio_client_interceptors

        make: Any = aio_client_interceptors
        return list(make(self._provider, filter_=_is_traced))

    def close(self) -> None:
        """Sends what is left, for at most a second. Blocks: call it in a thread."""
        if self._provider is not None:
            self._provider.force_flush(SHUTDOWN_TIMEOUT_MS)
            self._provider.shutdown()


def open_spans(endpoint: str, service: str) -> Spans:
    """Spans to an OTLP/gRPC collector at host:port; with an empty endpoint, none."""
    if not endpoint:
        return Spans()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, timeout=EXPORT_TIMEOUT_S)
    resource = Resource.create({"service.name": service, "service.namespace": "flowmesh"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS_MAX))
    return Spans(provider)


def _context(traceparent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent})


def _traceparent(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _is_traced(details: Any) -> bool:
    """Unary methods of ours."""
    from google.protobuf import descriptor_pool

    method = details.method
    path = method.decode() if isinstance(method, bytes) else str(method)
    if path.startswith(UNTRACED_PREFIX):
        return False
    try:
        found = descriptor_pool.Default().FindMethodByName(path.lstrip("/").replace("/", "."))
    except KeyError:
        return False
    return not (found.client_streaming or found.server_streaming)
