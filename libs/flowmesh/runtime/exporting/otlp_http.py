"""Exporters of spans and metrics by OTLP over HTTP with protobuf, in the encoding of the SDK.

They block: the SDK calls them in threads of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from flowmesh.egress import OPEN, Egress, EgressFailure, Pool
from flowmesh.errors import FlowmeshError
from flowmesh.telemetry import TelemetryMissing
from flowmesh.telemetry.export import EXPORT_TIMEOUT_S, Collector

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExportResult
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

CONTENT_TYPE = "application/x-protobuf"


class _Posts:
    """Posts messages to a collector that the operator names."""

    def __init__(self, collector: Collector) -> None:
        self._url = collector.endpoint
        self._headers: Mapping[str, str] = {"content-type": CONTENT_TYPE, **collector.headers}
        self._sending: set[asyncio.Task[int]] = set()

    def send(self, message: Any) -> bool:
        """Return True if the collector accepts a message."""
        try:
            return asyncio.run(self._send(message.SerializeToString())) < 300
        except (EgressFailure, FlowmeshError, asyncio.CancelledError):
            return False

    def abort(self) -> None:
        """Cancel the calls under way, which block the threads that made them."""
        for task in tuple(self._sending):
            # The loop of a call that has just ended is closed.
            with suppress(RuntimeError):
                task.get_loop().call_soon_threadsafe(task.cancel)

    async def _send(self, body: bytes) -> int:
        task = asyncio.ensure_future(self._post(body))
        self._sending.add(task)
        try:
            return await task
        finally:
            self._sending.discard(task)

    async def _post(self, body: bytes) -> int:
        async with Egress(OPEN, pool=Pool.of_calls(1)) as egress:
            answer = await egress.send(
                "POST",
                self._url,
                headers=self._headers,
                body=body,
                timeout_ms=EXPORT_TIMEOUT_S * 1_000,
                redirects_max=0,
            )
        return answer.status


def http_span_exporter(collector: Collector) -> SpanExporter:
    """Return an exporter of spans. Raises TelemetryMissing."""
    try:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    except ImportError as error:
        raise TelemetryMissing from error
    posts = _Posts(collector)

    class Exporter(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            sent = posts.send(encode_spans(spans))
            return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

        def shutdown(self) -> None:
            posts.abort()

    return Exporter()


class HttpMetricExporter:
    """Has the calls of an exporter of metrics that are used."""

    def __init__(self, collector: Collector) -> None:
        """Raise TelemetryMissing without OpenTelemetry."""
        try:
            from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
        except ImportError as error:
            raise TelemetryMissing from error
        self._encode = encode_metrics
        self._posts = _Posts(collector)

    def export(self, data: Any) -> MetricExportResult:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        sent = self._posts.send(self._encode(data))
        return MetricExportResult.SUCCESS if sent else MetricExportResult.FAILURE

    def shutdown(self) -> None:
        """Cancel the calls under way; no connection is kept."""
        self._posts.abort()
