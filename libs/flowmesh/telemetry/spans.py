"""Spans for OpenTelemetry: recorded only where a collector is named, free where none is.

Unary gRPC calls get spans from the OpenTelemetry instrumentation. Streams do not: they live as
long as the process, so work that arrives on them is traced as itself, with `span` or `record`.
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
    """A span that has begun; without an OpenTelemetry span its methods do nothing."""

    def __init__(self, span: Any = None) -> None:
        self._span = span
        self.traceparent = _traceparent(span) if span is not None else ""

    def describe(self, name: str, attributes: Attributes) -> None:
        """Sets what is known only now: the name, and further attributes."""
        if self._span is not None:
            self._span.update_name(name)
            self._span.set_attributes(attributes)

    def fail(self, error: str) -> None:
        """Marks the span as failed, with the class of the error: messages may hold user data."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR, error)
            self._span.set_attribute("error.type", error)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Inside the block, and in what is started there, calls and messages belong to it."""
        from opentelemetry.trace import use_span

        with (
            use_span(self._span, record_exception=False, set_status_on_exception=False),
            trace(self.traceparent),
        ):
            yield

    def end(self) -> None:
        """Ends the span; it is exported with the next batch."""
        if self._span is not None:
            self._span.end()


NO_SPAN = Span()


class Spans:
    """Makes the spans of one service under a W3C trace context."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = provider.get_tracer("flowmesh") if provider else None

    @property
    def enabled(self) -> bool:
        """Whether spans go anywhere."""
        return self._tracer is not None

    def begin(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Kind = "INTERNAL",
        attributes: Attributes | None = None,
    ) -> Span:
        """A span that the caller ends."""
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
        """A span around the block; calls and messages of the block belong to it."""
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
        """A span of something that is over; `span_id` is one that its children know already."""
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
