"""Spans for OpenTelemetry; without a configured collector they cost nothing.

The OpenTelemetry instrumentation records unary gRPC calls. Streams live as long as the process,
so the work received on them has its own spans, from `span` or `record`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from flowmesh.telemetry.context import TRACEPARENT, current_traceparent, trace

if TYPE_CHECKING:
    import grpc.aio
    from opentelemetry.trace import Tracer, TracerProvider

NANOSECONDS_PER_MICROSECOND = 1_000
UNTRACED_PREFIX = "/grpc."
Attributes = Mapping[str, str | int | float | bool]
Kind = Literal["INTERNAL", "SERVER", "CONSUMER"]


class Span:
    """A started span; without an OpenTelemetry span its methods do nothing."""

    def __init__(self, span: Any = None) -> None:
        self._span = span
        self.traceparent = _traceparent(span) if span is not None else ""

    def describe(self, name: str, attributes: Attributes) -> None:
        """Set the final name and further attributes."""
        if self._span is not None:
            self._span.update_name(name)
            self._span.set_attributes(attributes)

    def fail(self, error: str) -> None:
        """Mark the span as failed with the error class; messages may contain user data."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR, error)
            self._span.set_attribute("error.type", error)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make it the parent of calls and messages of the block and its tasks."""
        from opentelemetry.trace import use_span

        with (
            use_span(self._span, record_exception=False, set_status_on_exception=False),
            trace(self.traceparent),
        ):
            yield

    def end(self) -> None:
        """End the span; it is exported with the next batch."""
        if self._span is not None:
            self._span.end()


NO_SPAN = Span()


class Spans:
    """Creates the spans of a service in a W3C trace context."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = provider.get_tracer("flowmesh") if provider else None

    @property
    def enabled(self) -> bool:
        """True if spans are exported."""
        return self._tracer is not None

    def begin(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Kind = "INTERNAL",
        attributes: Attributes | None = None,
    ) -> Span:
        """Start a span; the caller ends it."""
        if self._tracer is None:
            return NO_SPAN
        from opentelemetry.trace import SpanKind

        context = _context(parent or current_traceparent())
        return Span(
            self._tracer.start_span(
                name, context=context, kind=SpanKind[kind], attributes=attributes
            )
        )

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Kind = "INTERNAL",
        attributes: Attributes | None = None,
    ) -> Iterator[Span]:
        """Record a span for the block, as parent of its calls and messages."""
        if self._tracer is None:
            yield NO_SPAN
            return
        span = self.begin(name, parent=parent, kind=kind, attributes=attributes)
        try:
            with span.active():
                yield span
        except BaseException as error:
            span.fail(type(error).__name__)
            raise
        finally:
            span.end()

    def record(
        self,
        name: str,
        *,
        parent: str,
        start_us: int,
        end_us: int,
        attributes: Attributes | None = None,
        failed: bool = False,
        span_id: str = "",
    ) -> None:
        """Record a completed span; `span_id` is an id that its children already use."""
        if self._tracer is None:
            return
        from opentelemetry.trace import StatusCode

        from flowmesh.telemetry.export import chosen_span_id

        with chosen_span_id(span_id):
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
        """Return the interceptors of the gRPC server."""
        if self._provider is None:
            return []
        from opentelemetry.instrumentation.grpc import aio_server_interceptor

        make: Any = aio_server_interceptor
        return [make(self._provider, filter_=_is_traced)]

    def client_interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """Return the interceptors of channels to other processes."""
        if self._provider is None:
            return []
        from opentelemetry.instrumentation.grpc import aio_client_interceptors

        make: Any = aio_client_interceptors
        return list(make(self._provider, filter_=_is_traced))


def _context(traceparent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent})


def _traceparent(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _is_traced(details: Any) -> bool:
    """Return whether the method is a unary method of Flowmesh."""
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
