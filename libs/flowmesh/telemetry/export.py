"""Export of spans and metrics over OTLP: a connection per process, a resource per service.

OpenTelemetry is an extra, imported only if a collector is configured.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from flowmesh.extras import install_command
from flowmesh.telemetry.spans import Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter

VERSION = "0.2.0"
EXPORT_TIMEOUT_S = 5
QUEUE_SPANS_MAX = 8_192
CLOSE_S = 1.0
"""Time to send the rest before the calls to the collector are canceled."""

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
GRPC = "grpc"
HTTP = "http/protobuf"
_span_id: ContextVar[str] = ContextVar("flowmesh_span_id", default="")


class TelemetryMissing(ImportError):
    """A collector is configured, but OpenTelemetry is not installed."""

    def __init__(self) -> None:
        command = install_command("otel")
        super().__init__(f"sending traces or metrics needs OpenTelemetry: {command}")


class SpanExport:
    """The export of the spans of a process in batches; without a processor, none are recorded."""

    def __init__(
        self, processor: SpanProcessor | None = None, exporter: SpanExporter | None = None
    ) -> None:
        self._processor = processor
        self._exporter = exporter

    def of(self, service: str, instance_id: str = "") -> Spans:
        """Return the spans of a service."""
        if self._processor is None:
            return Spans()
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Random ids, except for a span whose id was chosen before."""

            def generate_span_id(self) -> int:
                chosen = _span_id.get()
                return int(chosen, 16) if chosen else super().generate_span_id()

        provider = TracerProvider(
            resource=resource_of(service, instance_id),
            id_generator=Ids(),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._processor)
        return Spans(provider)

    def close(self) -> None:
        """Send the remaining spans, for at most a second. Blocks: call it in a thread."""
        if self._processor is not None and self._exporter is not None:
            close_in_time(self._processor.shutdown, self._exporter.shutdown)


def close_in_time(close: Callable[[], object], abort: Callable[[], object]) -> None:
    """Send the rest and close for at most a second; then cancel the calls to the collector.

    The time limits of OpenTelemetry have no effect on a call to a collector that hangs.
    """
    closing = threading.Thread(target=close, name="close-telemetry", daemon=True)
    closing.start()
    closing.join(CLOSE_S)
    if closing.is_alive():
        abort()


@contextmanager
def chosen_span_id(span_id: str) -> Iterator[None]:
    """Set the id of the span started within the block; "" is a random id."""
    token = _span_id.set(span_id)
    try:
        yield
    finally:
        _span_id.reset(token)


def _uncounted(_spans: int) -> None:
    """Count nothing: workers have no metrics."""


def open_export(endpoint: str, drop: Callable[[int], None] = _uncounted) -> SpanExport:
    """Return an export to the OTLP/gRPC collector at `host:port` or a URL; "" exports nothing."""
    if not endpoint:
        return SpanExport()
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise TelemetryMissing from error
    return export_by(OTLPSpanExporter(**exporter_arguments(endpoint)), drop)


def export_by(exporter: SpanExporter, drop: Callable[[int], None]) -> SpanExport:
    """Return an export in batches by an exporter of OpenTelemetry.

    `drop` gets the number of spans that the collector did not take, or the queue has no place for.
    """
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
    from opentelemetry.sdk.trace.export import SpanExporter as Base

    places = threading.Semaphore(QUEUE_SPANS_MAX)

    class Queue(BatchSpanProcessor):
        """Refuses the newest spans; that of OpenTelemetry would drop the oldest uncounted."""

        def on_end(self, span: ReadableSpan) -> None:
            if not span.context or not span.context.trace_flags.sampled:
                return
            if places.acquire(blocking=False):
                super().on_end(span)
            else:
                drop(1)

    class Counting(Base):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            places.release(len(spans))
            result = exporter.export(spans)
            if result is not SpanExportResult.SUCCESS:
                drop(len(spans))
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return SpanExport(Queue(Counting(), max_queue_size=QUEUE_SPANS_MAX), exporter)


def exporter_arguments(endpoint: str) -> dict[str, Any]:
    """Return the arguments of an exporter, with TLS if the endpoint is an https URL."""
    insecure = not endpoint.startswith("https://")
    return {"endpoint": endpoint, "insecure": insecure, "timeout": EXPORT_TIMEOUT_S}


def resource_of(service: str, instance_id: str) -> Resource:
    """Return the attributes of a service; OTEL_RESOURCE_ATTRIBUTES overrides all but its name."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    resource = Resource.create(
        {
            "service.namespace": "flowmesh",
            "service.version": VERSION,
            "service.instance.id": instance_id,
        }
    )
    return resource.merge(OTELResourceDetector().detect()).merge(
        Resource({"service.name": service})
    )


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector of OTLP. The headers are those of HTTP; gRPC reads its own."""

    endpoint: str
    protocol: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def collector_of(
    configured: str, protocol: str, signal: str, environment: Mapping[str, str] | None = None
) -> Collector | None:
    """Return the collector for TRACES or METRICS: the configured one, or that of OTEL_* variables.

    None without one, if OTEL_SDK_DISABLED is true, if OTEL_<signal>_EXPORTER is not otlp, or if
    the variables name another protocol. An address is a base, to which HTTP adds a path, except
    that of OTEL_EXPORTER_OTLP_<signal>_ENDPOINT.
    """
    values: Mapping[str, str] = os.environ if environment is None else environment
    if values.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if "otlp" not in values.get(f"OTEL_{signal}_EXPORTER", "otlp").split(","):
        return None
    whole = "" if configured else values.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "")
    found = configured or whole or values.get(ENDPOINT, "")
    if not found:
        return None
    if not protocol and not configured:
        protocol = _first(values, (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", PROTOCOL))
    if protocol in ("", GRPC):
        return Collector(found, GRPC)
    if protocol != HTTP:
        logging.getLogger("flowmesh.telemetry").warning(
            "no %s are exported: %s is %s; Flowmesh supports %s and %s",
            *(signal.lower(), PROTOCOL, protocol, GRPC, HTTP),
        )
        return None
    url = found if "://" in found else f"http://{found}"
    if not whole:
        url = f"{url.rstrip('/')}/v1/{signal.lower()}"
    names = (f"OTEL_EXPORTER_OTLP_{signal}_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    pairs = (pair.partition("=") for pair in _first(values, names).split(",") if "=" in pair)
    headers = {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}
    return Collector(url, HTTP, headers)


def endpoint_of(configured: str, signal: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the collector of a worker, which exports over gRPC only; "" without one."""
    found = collector_of(configured, "", signal, environment)
    if found is not None and found.protocol != GRPC:
        logging.getLogger("flowmesh.telemetry").warning(
            "no %s are exported: %s is %s; workers support %s, on port 4317 of collectors",
            *(signal.lower(), PROTOCOL, found.protocol, GRPC),
        )
        return ""
    return found.endpoint if found else ""


def _first(values: Mapping[str, str], names: Iterable[str]) -> str:
    return next((values[name] for name in names if values.get(name)), "")
