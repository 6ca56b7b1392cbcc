"""Where spans and metrics go: one OTLP/gRPC connection of a process, a resource per service.

OpenTelemetry is an extra, imported only where a collector is named.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowmesh.telemetry.spans import Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

VERSION = "0.2.0"
EXPORT_TIMEOUT_S = 5
QUEUE_SPANS_MAX = 8_192
SHUTDOWN_TIMEOUT_MS = 1_000
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
GRPC = "grpc"
MISSING = "sending traces or metrics needs OpenTelemetry: pip install 'flowmesh[otel]'"
_span_id: ContextVar[str] = ContextVar("flowmesh_span_id", default="")


class TelemetryMissing(ImportError):
    """A collector is named and the libraries that talk to it are not installed."""


class SpanExport:
    """The spans of a process, on their way in batches; without a processor there are none."""

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        self._processor = processor

    def of(self, service: str, instance_id: str = "") -> Spans:
        """Makes spans under the name of the service."""
        if self._processor is None:
            return Spans()
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Random, but for a span whose id was handed out before it was recorded."""

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
        """Sends what is left, for at most a second. Blocks: call it in a thread."""
        if self._processor is not None:
            self._processor.force_flush(SHUTDOWN_TIMEOUT_MS)
            self._processor.shutdown()


@contextmanager
def chosen_span_id(span_id: str) -> Iterator[None]:
    """The span that is started inside the block has this id; empty is a random one."""
    token = _span_id.set(span_id)
    try:
        yield
    finally:
        _span_id.reset(token)


def open_export(endpoint: str) -> SpanExport:
    """Exports to an OTLP/gRPC collector at host:port or a URL; with an empty endpoint, nowhere."""
    if not endpoint:
        return SpanExport()
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TelemetryMissing(MISSING) from error
    exporter = OTLPSpanExporter(**exporter_arguments(endpoint))
    return SpanExport(BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS_MAX))


def exporter_arguments(endpoint: str) -> dict[str, Any]:
    """TLS where the endpoint is an https URL, plain otherwise."""
    insecure = not endpoint.startswith("https://")
    return {"endpoint": endpoint, "insecure": insecure, "timeout": EXPORT_TIMEOUT_S}


def resource_of(service: str, instance_id: str) -> Resource:
    """The attributes of a service; but for its name, OTEL_RESOURCE_ATTRIBUTES goes before them."""
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


def endpoint_of(given: str, signal: str, environment: Mapping[str, str] | None = None) -> str:
    """The collector for a signal (TRACES, METRICS): the given one, or that of the OTEL_* variables.

    Empty where none is named, OTEL_SDK_DISABLED is true or OTEL_<signal>_EXPORTER is not otlp.
    """
    values: Mapping[str, str] = os.environ if environment is None else environment
    if values.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    if "otlp" not in values.get(f"OTEL_{signal}_EXPORTER", "otlp").split(","):
        return ""
    if given:
        return given
    found = _first(values, (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", ENDPOINT))
    protocol = _first(values, (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", PROTOCOL)) or GRPC
    if found and protocol != GRPC:
        logging.getLogger("flowmesh.telemetry").warning(
            "no %s are sent: %s is %s; Flowmesh speaks %s, which collectors take on port 4317",
            *(signal.lower(), PROTOCOL, protocol, GRPC),
        )
        return ""
    return found


def _first(values: Mapping[str, str], names: Iterable[str]) -> str:
    return next((values[name] for name in names if values.get(name)), "")
