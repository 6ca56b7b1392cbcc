"""Counts of finished calls by source and target, for the topology of the registry. Pure."""

from dataclasses import dataclass, field
from typing import Final

from flowmesh.api.registry.v1 import registry_service_pb2 as pb

PAIRS_MAX: Final = 1_000
CLASSES: Final = 24
CLASS_MIN_US: Final = 64


@dataclass(slots=True)
class _Count:
    calls: int = 0
    errors: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * CLASSES)


class CallCounts:
    """Counts by source and target since the last report. Pure."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], _Count] = {}

    def add(
        self, source: str, target: str, seconds: float, *, failed: bool, calls: int = 1
    ) -> None:
        """Count finished calls; pairs above the limit of a report are not counted."""
        count = self._counts.get((source, target))
        if count is None:
            if len(self._counts) >= PAIRS_MAX:
                return
            count = self._counts[(source, target)] = _Count()
        count.calls += calls
        count.errors += calls if failed else 0
        count.durations[duration_class(seconds)] += calls

    def take(self) -> list[pb.CallCounts]:
        """Return the counts and begin anew."""
        counts, self._counts = self._counts, {}
        return [
            pb.CallCounts(
                source=source,
                target=target,
                calls=count.calls,
                errors=count.errors,
                durations=count.durations,
            )
            for (source, target), count in counts.items()
        ]


def duration_class(seconds: float) -> int:
    """Return the class of a duration: below 64 µs, below 128 µs, and so on."""
    return min(CLASSES - 1, max(0, (round(seconds * 1e6) // CLASS_MIN_US).bit_length()))
