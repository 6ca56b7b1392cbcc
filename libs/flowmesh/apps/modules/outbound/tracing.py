"""observability.otel: spans of requests, runs, steps and messages, exported over OTLP."""

import asyncio
import http.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from flowmesh.apps.http.messages import Request
from flowmesh.apps.http.problems import problem_of
from flowmesh.apps.http.trace_context import TRACEPARENT
from flowmesh.apps.messaging.messages import Message, Receive
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.contract.json_value import Json
from flowmesh.egress.connector import addresses_of, grpc_options, grpc_target
from flowmesh.egress.errors import EgressBlocked, Unreachable
from flowmesh.egress.policy import Policy
from flowmesh.extras import needed_by

EXPORT_S = 10.0
GRPC_PORT = 4317
SERVER_ERROR = 500


class AppTracing:
    """Spans of one application. It is the service `Tracing`."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("flowmesh.apps")
        self._propagator = TraceContextTextMapPropagator()
        self._requests: dict[Request, tuple[Any, Any]] = {}

    def begin(self, request: Request) -> None:
        """Open the span of a request, in the trace that it names."""
        carrier = {"traceparent": request.header(b"traceparent")}
        span = self._started(f"{request.method}", carrier)
        self._requests[request] = (span, TRACEPARENT.set(_header(span)))

    def request(self, request: Request, status: int, size: int, seconds: float) -> None:
        """End the span of a request."""
        found = self._requests.pop(request, None)
        if found is None:
            return
        span, token = found
        span.update_name(f"{request.method} {request.route}")
        span.set_attribute("http.request.method", request.method)
        span.set_attribute("http.route", request.route)
        span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERROR:
            _fail(span, str(status))
        span.end()
        TRACEPARENT.reset(token)

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None:
        """Runs have spans of their own."""

    @contextmanager
    def pipeline(self, name: str) -> Iterator[Any]:
        with self._span(f"pipeline {name}", {"flowmesh.pipeline": name}) as span:
            yield span

    def step(self, pipeline: str, name: str, kind: str, call: StepCall) -> StepCall:
        attributes = {"flowmesh.pipeline": pipeline, "flowmesh.step": name, "flowmesh.type": kind}

        async def traced(run: Run) -> Output:
            with self._span(f"step {name}", attributes):
                result = call(run)
                return result if isinstance(result, dict) else await result

        return traced

    def receiver(self, receive: Receive) -> Receive:
        """Return a receiver whose messages have a span, in the trace of their publisher."""

        async def traced(message: Message) -> Json:
            carrier = {"traceparent": message.headers.get("traceparent", "")}
            attributes = {"messaging.destination.name": message.topic}
            with self._span(f"message {message.topic}", attributes, carrier):
                return await receive(message)

        return traced

    @contextmanager
    def _span(
        self, name: str, attributes: Mapping[str, str], carrier: dict[str, str] | None = None
    ) -> Iterator[Any]:
        span = self._started(name, carrier or {"traceparent": TRACEPARENT.get()})
        for key, value in attributes.items():
            span.set_attribute(key, value)
        token = TRACEPARENT.set(_header(span))
        try:
            yield span
        except Exception as error:
            _fail(span, problem_of(error).code)
            raise
        finally:
            TRACEPARENT.reset(token)
            span.end()

    def _started(self, name: str, carrier: dict[str, str]) -> Any:
        return self._tracer.start_span(name, context=self._propagator.extract(carrier))


def _header(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _fail(span: Any, text: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, text))


def tracing(setting: Setting) -> Module:
    """Build observability.otel. Raises Invalid for a wrong endpoint."""
    with needed_by("observability.otel", "otel"):
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    config = setting.config
    attributes = config.get("attributes")
    given = {str(k): str(v) for k, v in attributes.items()} if isinstance(attributes, dict) else {}
    provider = TracerProvider(
        resource=Resource({"service.name": str(config["serviceName"]), **given}),
        sampler=ParentBased(TraceIdRatioBased(float(config["sampleRatio"]))),
        shutdown_on_exit=False,
    )
    collector = Collector.of(setting)
    provider.add_span_processor(BatchSpanProcessor(collector.exporter()))
    made = AppTracing(provider)
    setting.context.hub.add(made)
    setting.context.hub.on_begin(made.begin)

    async def start() -> None:
        with suppress(Unreachable):
            await asyncio.to_thread(collector.addresses)

    async def stop() -> None:
        await asyncio.to_thread(provider.shutdown)

    return Module(name=setting.name, services={"Tracing": made}, start=start, stop=stop)


@dataclass(frozen=True, slots=True)
class Collector:
    """A collector of OTLP, and the addresses that may be called."""

    url: SplitResult
    protocol: str
    headers: Mapping[str, str]
    policy: Policy

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the collector of a configuration. Raises Invalid for a wrong endpoint."""
        config = setting.config
        endpoint = str(config["endpoint"])
        url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise setting.invalid(f"endpoint is host:port or an address, not {endpoint[:60]!r}")
        headers = {str(k).lower(): str(v) for k, v in (config.get("headers") or {}).items()}
        return cls(url, str(config["protocol"]), headers, setting.policy)

    @property
    def tls(self) -> bool:
        return self.url.scheme == "https"

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        usual = GRPC_PORT if self.protocol == "grpc" else 443 if self.tls else 80
        return self.url.hostname or "", self.url.port or usual

    def addresses(self) -> tuple[str, ...]:
        """Return the numeric addresses. Raises EgressBlocked and Unreachable."""
        return addresses_of(self.policy, *self.place)

    def exporter(self) -> Any:
        return _grpc_exporter(self) if self.protocol == "grpc" else _http_exporter(self)


def _grpc_exporter(collector: Collector) -> Any:
    """Return an exporter over gRPC; after a failure it resolves the name again."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    def connected() -> Any:
        host, port = collector.place
        options: Any = tuple(grpc_options(host, port, tls=collector.tls))
        return OTLPSpanExporter(
            endpoint=grpc_target(collector.addresses(), port),
            insecure=not collector.tls,
            headers=tuple(collector.headers.items()),
            timeout=EXPORT_S,
            channel_options=options,
        )

    class GrpcExporter(SpanExporter):
        _connected: Any = None

        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            try:
                self._connected = self._connected or connected()
            except (EgressBlocked, Unreachable):
                return SpanExportResult.FAILURE
            result: SpanExportResult = self._connected.export(spans)
            if result is not SpanExportResult.SUCCESS:
                self.shutdown()
            return result

        def shutdown(self) -> None:
            made, self._connected = self._connected, None
            if made is not None:
                made.shutdown()

    return GrpcExporter()


def _http_exporter(collector: Collector) -> Any:
    """Return an exporter over HTTP with the encoding of the SDK; it runs in the SDK's thread."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    path = collector.url.path.rstrip("/") or "/v1/traces"
    connect = http.client.HTTPSConnection if collector.tls else http.client.HTTPConnection

    class HttpExporter(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            connection = connect(*collector.place, timeout=EXPORT_S)
            try:
                body = encode_spans(spans).SerializeToString()
                sent = {"content-type": "application/x-protobuf", **collector.headers}
                connection.request("POST", path, body, sent)
                done = connection.getresponse().status < 300
            except (OSError, EgressBlocked):
                done = False
            finally:
                connection.close()
            return SpanExportResult.SUCCESS if done else SpanExportResult.FAILURE

        def shutdown(self) -> None:
            return None

    return HttpExporter()
