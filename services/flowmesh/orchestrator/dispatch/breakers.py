"""Circuit breakers of worker services, for lists and for other worker services."""

from collections.abc import Iterable

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.worker.v1 import dispatch_service_pb2 as worker_pb
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.runtime import Clock

BREAKERS_MAX = 10_000
"""Limit of breakers per worker service."""


class Breakers:
    """Breakers that are not closed, by stream, with the time of their report."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[WorkerStream, dict[str, tuple[worker_pb.Breaker, float]]] = {}

    def update(
        self,
        stream: WorkerStream,
        breakers: Iterable[worker_pb.Breaker],
        others: Iterable[WorkerStream],
    ) -> None:
        """Record changed breakers of a worker service, and send opened ones to the others."""
        known = self._known.setdefault(stream, {})
        peers = [other for other in others if other is not stream]
        for breaker in breakers:
            if breaker.state == worker_pb.BREAKER_STATE_CLOSED:
                known.pop(breaker.upstream, None)
            elif len(known) < BREAKERS_MAX or breaker.upstream in known:
                kept = worker_pb.Breaker()
                kept.CopyFrom(breaker)
                known[breaker.upstream] = kept, self._clock.monotonic_ms()
            if breaker.state == worker_pb.BREAKER_STATE_OPEN:
                for other in peers:
                    other.out.breakers.add().CopyFrom(breaker)
                    other.flush_soon()

    def remove(self, stream: WorkerStream) -> None:
        self._known.pop(stream, None)

    @property
    def open_count(self) -> int:
        return sum(len(known) for known in self._known.values())

    def listed(self) -> list[pb.UpstreamBreaker]:
        """Return the breakers that are not closed, by upstream, with their remaining times."""
        now_ms = self._clock.monotonic_ms()
        listed = []
        for stream, known in self._known.items():
            for breaker, updated_ms in known.values():
                shown = pb.UpstreamBreaker(
                    worker_service_id=stream.worker_service_id, breaker=breaker
                )
                left = breaker.retry_after_ms - int(now_ms - updated_ms)
                shown.breaker.retry_after_ms = max(left, 0)
                listed.append(shown)
        return sorted(listed, key=lambda each: (each.breaker.upstream, each.worker_service_id))
