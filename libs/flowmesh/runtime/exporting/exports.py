"""Exports of a process: spans over OTLP, metrics to several receivers; metrics of its disk."""

import asyncio
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowmesh.runtime.clock import Clock
from flowmesh.runtime.errors import ExportFailed, StartError
from flowmesh.runtime.exporting.drops import dropped
from flowmesh.runtime.exporting.otlp_http import HttpMetricExporter, http_span_exporter
from flowmesh.runtime.exporting.remote_write import RemoteWriteLoop
from flowmesh.runtime.exporting.statsd import StatsdLoop
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.names import GATEWAY
from flowmesh.runtime.settings import Settings
from flowmesh.telemetry import Metrics, SpanExport, Spans, TelemetryMissing, open_export
from flowmesh.telemetry.export import HTTP, Collector, collector_of, export_by
from flowmesh.telemetry.otlp_metrics import MetricsExport, grpc_metric_exporter

if TYPE_CHECKING:
    from prometheus_client import Counter

# The service name of the metrics of a process with several services.
SUITE = "flowmesh"


class TelemetryExport:
    """Exports the spans of each service of a process, and the metrics of the process."""

    def __init__(
        self, settings: Settings, metrics: Metrics, instances: Mapping[str, str], clock: Clock
    ) -> None:
        configured = settings.otlp_endpoint, settings.otlp_protocol
        seconds = settings.otlp_metrics_seconds
        services = list(instances)
        service = services[0] if len(services) == 1 else SUITE
        self._metrics: MetricsExport | None = None
        try:
            self._spans = _span_export(collector_of(*configured, "TRACES"), metrics)
            collector = collector_of(*configured, "METRICS")
            if seconds and collector:
                self._metrics = MetricsExport(
                    HttpMetricExporter(collector)
                    if collector.protocol == HTTP
                    else grpc_metric_exporter(collector.endpoint),
                    metrics.registry,
                    service=service,
                    instance_id=instances[services[0]],
                )
        except TelemetryMissing as error:
            raise StartError(str(error)) from error
        self.loops: list[Loop] = []
        if self._metrics is not None:
            self.loops.append(MetricsLoop(self._metrics, seconds, dropped(metrics, "otlp_metrics")))
        if settings.statsd:
            self.loops.append(StatsdLoop(metrics, settings.statsd, settings.statsd_seconds))
        if settings.remote_write:
            labels = {"job": service, "instance": instances[services[0]]}
            self.loops.append(
                RemoteWriteLoop(metrics, settings, labels=labels, now_us=clock.now_us)
            )
        self.spans = {name: self._spans.of(name, instances[name]) for name in services}

    @property
    def calling_spans(self) -> Spans:
        """Spans of calls to other processes; those of the gateway if it is in this process."""
        return self.spans.get(GATEWAY) or next(iter(self.spans.values()))

    def close(self) -> None:
        """Send the rest of both at once. Blocks: call it in a thread."""
        exports = [each for each in (self._spans, self._metrics) if each is not None]
        closing = [threading.Thread(target=each.close, daemon=True) for each in exports]
        for each in closing:
            each.start()
        for each in closing:
            each.join()


def _span_export(collector: Collector | None, metrics: Metrics) -> SpanExport:
    if collector is None:
        return SpanExport()
    drop = dropped(metrics, "spans").inc
    if collector.protocol == HTTP:
        return export_by(http_span_exporter(collector), drop)
    return open_export(collector.endpoint, drop)


class MetricsLoop(Loop):
    """Sends the metrics at a fixed interval; those that are not accepted are counted."""

    interval_ms = 1

    def __init__(self, export: MetricsExport, seconds: float, dropped: "Counter") -> None:
        self._export = export
        self._seconds = seconds
        self._dropped = dropped

    async def run_once(self) -> None:
        await asyncio.sleep(self._seconds)
        refused = await asyncio.to_thread(self._export.send)
        if refused:
            self._dropped.inc(refused)
            raise ExportFailed("the collector did not accept the metrics")


def measure_disk(metrics: Metrics, folder: Path) -> None:
    """Register gauges for the disk of a folder that may not exist yet."""
    folder = folder.absolute()

    def usage() -> tuple[int, int, int]:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        return shutil.disk_usage(existing)

    metrics.gauge(
        "flowmesh_disk_free_bytes", "Free bytes of the disk of the data directory."
    ).set_function(lambda: usage()[2])
    metrics.gauge(
        "flowmesh_disk_size_bytes", "Bytes of the disk of the data directory."
    ).set_function(lambda: usage()[0])
