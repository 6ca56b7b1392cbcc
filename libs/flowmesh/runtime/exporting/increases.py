"""Metrics as their increases since the time before, by label set."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from flowmesh.api.observe.v1 import observe_service_pb2 as pb

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

PREFIXES: Final = ("flowmesh_", "messages_", "queue_sizes", "process_cpu", "process_resident")
_COUNTED: Final = ("_total", "_bucket", "_sum", "_count")


class Increases:
    """The changes of the metrics of a process from minute to minute."""

    def __init__(self, collect: Callable[[], Iterable["Family"]]) -> None:
        self._collect = collect
        self._before: dict[tuple[str, str], float] = {}

    def take(self) -> Iterator[pb.MetricPoints]:
        """Yield what has changed since the last call, and the gauges that are not 0."""
        before, self._before = self._before, {}
        for family in self._collect():
            if family.name.startswith(PREFIXES):
                yield from self._of(family, before)

    def _of(
        self, family: "Family", before: Mapping[tuple[str, str], float]
    ) -> Iterator[pb.MetricPoints]:
        gauge = family.type not in ("counter", "histogram")
        found: dict[str, pb.MetricPoints] = {}
        for sample in family.samples:
            name, value = sample.name, sample.value
            if not gauge and not name.endswith(_COUNTED):
                continue
            labels = ",".join(f"{key}={_escaped(each)}" for key, each in sample.labels.items())
            if not gauge:
                key = (name, labels)
                last = before.get(key, 0.0)
                # A name that made room has come back.
                value -= last if last <= value else 0.0
                self._before[key] = sample.value
            if value:
                points = found.setdefault(name, pb.MetricPoints(metric=name, gauge=gauge))
                points.labels.append(labels)
                points.values.append(value)
        yield from found.values()


def _escaped(value: str) -> str:
    """Return the value of a label without the separator of labels; the names are ours."""
    if "," in value or "%" in value:
        return value.replace("%", "%25").replace(",", "%2C")
    return value
