"""Counted durations under names that users choose, as kept signals.

A namespace has a bounded number of names: further ones count as `other`, and a name without an end
for an hour makes room.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flowmesh.telemetry.durations import LATENCY_BUCKETS, Ended

Name = tuple[str, ...]
OTHER: Final = "other"
NAMES_MAX: Final = 100
"""Names of one namespace."""

NAMES_OF_ALL_MAX: Final = 1_000
IDLE_MS: Final = 3_600_000
BOUNDS: Final = (*(str(each) for each in LATENCY_BUCKETS), "+Inf")


def _cumulative(buckets: Sequence[int]) -> list[tuple[str, float]]:
    return [(bound, float(total)) for bound, total in zip(BOUNDS, accumulate(buckets), strict=True)]


class NamedDurations(Collector):
    """The metrics `<family>s_total` by outcome, and `<family>_seconds`.

    Plain numbers until they are collected, because each attempt of each task is counted.
    """

    def __init__(self, family: str, labels: tuple[str, ...], text: str) -> None:
        """A name has a value for each of the labels; `text` is the help, such as `Attempts`."""
        self._family, self._labels, self._text = family, ("namespace", *labels), text
        self._namespaces: dict[str, dict[Name, Ended]] = {}
        self._count = 0
        self._now_ms = 0.0

    def ended(
        self, namespace: str, name: Name, seconds: float, now_ms: float, *, failed: bool
    ) -> None:
        """Count an end after so many seconds."""
        self.of(namespace, name, now_ms).add(seconds, now_ms, failed=failed)

    def of(self, namespace: str, name: Name, now_ms: float) -> Ended:
        """Return the numbers of a name, to which something is added now."""
        self._now_ms = now_ms
        names = self._namespaces.get(namespace)
        found = names.get(name) if names is not None else None
        return self._added(namespace, name) if found is None else found

    def _added(self, namespace: str, name: Name) -> Ended:
        others = (OTHER,) * len(name)
        if self._count >= NAMES_OF_ALL_MAX:
            namespace, name = OTHER, others
        elif len(self._namespaces.get(namespace, ())) >= NAMES_MAX:
            name = others
        names = self._namespaces.setdefault(namespace, {})
        self._count += name not in names
        return names.setdefault(name, Ended())

    def collect(self) -> Iterable[Metric]:
        """Yield both families, without the names that were idle."""
        self._drop_idle()
        counter = CounterMetricFamily(
            f"{self._family}s",
            f"{self._text} that ended, by outcome.",
            labels=(*self._labels, "outcome"),
        )
        histogram = HistogramMetricFamily(
            f"{self._family}_seconds",
            f"{self._text}: their time.",
            labels=self._labels,
        )
        for labels, each in self._all():
            counter.add_metric((*labels, "completed"), each.completed)
            counter.add_metric((*labels, "failed"), each.failed)
            histogram.add_metric(labels, _cumulative(each.buckets), each.seconds)
        yield counter
        yield histogram

    def _all(self) -> Iterator[tuple[tuple[str, ...], Ended]]:
        for namespace, names in self._namespaces.items():
            for name, each in names.items():
                yield (namespace, *name), each

    def _drop_idle(self) -> None:
        before_ms = self._now_ms - IDLE_MS
        for namespace, names in list(self._namespaces.items()):
            for name in [name for name, each in names.items() if each.ended_ms < before_ms]:
                del names[name]
            if not names:
                del self._namespaces[namespace]
        self._count = sum(len(names) for names in self._namespaces.values())
