"""What a process tells of itself beside its services: its disk, and its metrics over OTLP."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from flowmesh.runtime.clients import GATEWAY
from flowmesh.runtime.errors import StartError
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.settings import Settings
from flowmesh.telemetry import Metrics, Spans, TelemetryMissing, endpoint_of, open_export
from flowmesh.telemetry.otlp_metrics import MetricsExport

# The service of the metrics of a process that has several.
SUITE = "flowmesh"


class Exporting:
    """The spans of each service of a process, and the metrics of all of them."""

    def __init__(self, settings: Settings, metrics: Metrics, instances: Mapping[str, str]) -> None:
        given, seconds = settings.otlp_endpoint, settings.otlp_metrics_seconds
        services = list(instances)
        self._metrics: MetricsExport | None = None
        try:
            self._spans = open_export(endpoint_of(given, "TRACES"))
            endpoint = endpoint_of(given, "METRICS")
            if seconds and endpoint:
                self._metrics = MetricsExport(
                    endpoint,
                    metrics.registry,
                    service=services[0] if len(services) == 1 else SUITE,
                    instance_id=instances[services[0]],
                )
        except TelemetryMissing as error:
            raise StartError(str(error)) from error
        self.loops = [MetricsLoop(self._metrics, seconds)] if self._metrics is not None else []
        self.spans = {name: self._spans.of(name, instances[name]) for name in services}

    @property
    def calling_spans(self) -> Spans:
        """Of calls to other processes: with the gateway here, nearly all of them are its own."""
        return self.spans.get(GATEWAY) or next(iter(self.spans.values()))

    def close(self) -> None:
        """Sends what is left. Blocks: call it in a thread."""
        self._spans.close()
        if self._metrics is not None:
            self._metrics.close()


class NotTaken(ConnectionError):
    """The collector did not take the metrics."""


class MetricsLoop(Loop):
    """Sends the metrics every so many seconds, and once more at the end."""

    interval_ms = 1

    def __init__(self, export: MetricsExport, seconds: float) -> None:
        self._export = export
        self._seconds = seconds

    async def run_once(self) -> None:
        await asyncio.sleep(self._seconds)
        if not await asyncio.to_thread(self._export.send):
            raise NotTaken("the collector did not take the metrics")


def measure_disk(metrics: Metrics, folder: Path) -> None:
    """Gauges of the disk that a folder is on, or will be; read when they are asked for."""
    folder = folder.absolute()

    def usage() -> tuple[int, int, int]:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        return shutil.disk_usage(there)

    metrics.gauge(
        "flowmesh_disk_free_bytes", "Free bytes of the disk of the data directory."
    ).set_function(lambda: usage()[2])
    metrics.gauge(
        "flowmesh_disk_size_bytes", "Bytes of the disk of the data directory."
    ).set_function(lambda: usage()[0])
