"""Export of the metrics of `/metrics` to a collector of OTLP.

Counters and histograms are cumulative since the start of the process, as in Prometheus.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from flowmesh.telemetry.export import (
    TelemetryMissing,
    close_in_time,
    exporter_arguments,
    resource_of,
)

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family
    from prometheus_client.samples import Sample

Labels = tuple[tuple[str, str], ...]


class Exporter(Protocol):
    """The used calls of an exporter of metrics of OpenTelemetry."""

    def export(self, metrics_data: Any, /) -> Any: ...

    def shutdown(self) -> None: ...


def grpc_metric_exporter(endpoint: str) -> Exporter:
    """Return an exporter over gRPC. Raises TelemetryMissing."""
    try:
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    except ImportError as error:
        raise TelemetryMissing from error
    return OTLPMetricExporter(**exporter_arguments(endpoint))


class MetricsExport:
    """The connection to a collector. `send` blocks: call it in a thread."""

    def __init__(
        self, exporter: Exporter, registry: CollectorRegistry, *, service: str, instance_id: str
    ) -> None:
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._exporter = exporter
        self._registry = registry
        self._resource = resource_of(service, instance_id)
        self._scope = InstrumentationScope("flowmesh")
        self._since_ns = time.time_ns()

    def send(self) -> int:
        """Send all current metrics; return the number of those that were not accepted."""
        from opentelemetry.sdk.metrics.export import (
            MetricExportResult,
            MetricsData,
            ResourceMetrics,
            ScopeMetrics,
        )

        now_ns = time.time_ns()
        metrics = [converted(family, self._since_ns, now_ns) for family in self._registry.collect()]
        scope = ScopeMetrics(self._scope, metrics, "")
        data = MetricsData([ResourceMetrics(self._resource, [scope], "")])
        sent = self._exporter.export(data) is MetricExportResult.SUCCESS
        return 0 if sent else len(metrics)

    def close(self) -> None:
        """Send the metrics a last time, for at most a second, and close the connection."""
        close_in_time(self._finish, self._exporter.shutdown)

    def _finish(self) -> None:
        self.send()
        self._exporter.shutdown()


def converted(family: Family, since_ns: int, now_ns: int) -> Any:
    """Convert a metric family of Prometheus to a metric of OpenTelemetry with the same name."""
    from opentelemetry.sdk.metrics import export as otel

    cumulative = otel.AggregationTemporality.CUMULATIVE
    data: Any
    if family.type == "histogram":
        points = list(_histogram_points(family.samples, since_ns, now_ns))
        data = otel.Histogram(points, cumulative)
    elif family.type == "counter":
        data = otel.Sum(
            _number_points(family.samples, f"{family.name}_total", since_ns, now_ns),
            cumulative,
            is_monotonic=True,
        )
    else:
        data = otel.Gauge(_number_points(family.samples, family.name, 0, now_ns))
    return otel.Metric(family.name, family.documentation, "", data)


def _number_points(samples: Iterable[Sample], name: str, since_ns: int, now_ns: int) -> list[Any]:
    from opentelemetry.sdk.metrics.export import NumberDataPoint

    return [
        NumberDataPoint(sample.labels, since_ns, now_ns, sample.value)
        for sample in samples
        if sample.name == name
    ]


def _histogram_points(samples: Iterable[Sample], since_ns: int, now_ns: int) -> Iterator[Any]:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint

    buckets: dict[Labels, list[tuple[float, int]]] = {}
    sums: dict[Labels, float] = {}
    for sample in samples:
        labels = tuple(item for item in sample.labels.items() if item[0] != "le")
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            buckets.setdefault(labels, []).append((bound, int(sample.value)))
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    for labels, cumulative in buckets.items():
        counts = [count for _, count in cumulative]
        yield HistogramDataPoint(
            dict(labels),
            since_ns,
            now_ns,
            count=counts[-1],
            sum=sums[labels],
            # Counts are cumulative in Prometheus, and per bucket in OpenTelemetry.
            bucket_counts=[high - low for low, high in zip([0, *counts], counts, strict=False)],
            explicit_bounds=[bound for bound, _ in cumulative[:-1]],
            min=0.0,
            max=0.0,
        )
