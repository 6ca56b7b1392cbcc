"""Prometheus metrics of a process. Label values never come from users."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from flowmesh.telemetry.durations import LATENCY_BUCKETS
from flowmesh.telemetry.signals import SignalQueues

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text"
OPEN_METRICS_TYPE = f"{OPEN_METRICS}; version=1.0.0; charset=utf-8"


class Metrics:
    """The registry of a process, and its kept signals. The same name returns the same metric."""

    def __init__(self, signals: SignalQueues | None = None) -> None:
        self.registry = CollectorRegistry()
        self.signals = signals or SignalQueues()
        # Metrics with names of users, which are kept but not exported.
        self._unexported: list[Collector] = []
        self._made: dict[str, Counter | Gauge | Histogram] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def add_named(self, collector: Collector, *, exported: bool) -> None:
        """Keep metrics whose labels are names of users, and export them only on request."""
        if exported:
            self.registry.register(collector)
        else:
            self._unexported.append(collector)

    def collected(self) -> Iterator[Metric]:
        """Yield all metrics, with those that are not exported."""
        yield from self.registry.collect()
        for each in self._unexported:
            yield from each.collect()

    def alias(self, name: str, of: Counter) -> None:
        """Export a counter without labels under a second name."""
        self.registry.register(_Alias(name, of))

    def counter(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Counter(name, help_text, labels, registry=self.registry)
        assert isinstance(made, Counter)
        return made

    def gauge(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Gauge(name, help_text, labels, registry=self.registry)
        assert isinstance(made, Gauge)
        return made

    def histogram(
        self,
        name: str,
        help_text: str,
        labels: tuple[str, ...] = (),
        buckets: tuple[float, ...] = LATENCY_BUCKETS,
    ) -> Histogram:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = Histogram(
                name, help_text, labels, registry=self.registry, buckets=buckets
            )
        assert isinstance(made, Histogram)
        return made

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics and their content type: in the text format of Prometheus, or with
        exemplars in that of OpenMetrics if the `Accept` header names it.
        """
        if OPEN_METRICS in accept:
            render: Callable[[CollectorRegistry], bytes] = openmetrics
            return render(self.registry), OPEN_METRICS_TYPE
        return generate_latest(self.registry), CONTENT_TYPE


class _Alias(Collector):
    """A collector with the value of another counter."""

    def __init__(self, name: str, of: Counter) -> None:
        self._name = name
        self._of = of

    def collect(self) -> Iterator[Metric]:
        for family in self._of.collect():
            value = next(each.value for each in family.samples if each.name.endswith("_total"))
            text = f"The same as {family.name}_total."
            yield CounterMetricFamily(self._name, text, value=value)
