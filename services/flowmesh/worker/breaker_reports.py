"""Circuit breakers shared between this worker service and the orchestrators."""

from collections.abc import Iterable, Mapping

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.executors.breakers import Breaker, Breakers, State
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream

_STATES = {
    State.CLOSED: pb.BREAKER_STATE_CLOSED,
    State.OPEN: pb.BREAKER_STATE_OPEN,
    State.HALF_OPEN: pb.BREAKER_STATE_HALF_OPEN,
}


class BreakerReports:
    """Reports changed breakers on every stream, and applies those of other worker services."""

    def __init__(self, streams: Mapping[str, OrchestratorStream]) -> None:
        self._streams = streams
        self._breakers: Breakers | None = None

    def watch(self, breakers: Breakers) -> None:
        """Report every change of these breakers from now on."""
        self._breakers = breakers
        breakers.changed = self._changed

    def _changed(self, breaker: Breaker) -> None:
        assert self._breakers is not None
        for stream in self._streams.values():
            stream.frames.report_breakers([_message_of(breaker, self._breakers)])

    def connected(self, stream: OrchestratorStream) -> None:
        """Report all breakers that are not closed on a new stream."""
        if self._breakers is not None:
            stream.frames.report_breakers(
                _message_of(each, self._breakers) for each in self._breakers.not_closed()
            )

    def received(self, breakers: Iterable[pb.Breaker]) -> None:
        """Open the breakers that other worker services have opened."""
        if self._breakers is not None:
            for breaker in breakers:
                self._breakers.opened_elsewhere(breaker.upstream, breaker.retry_after_ms)


def _message_of(breaker: Breaker, breakers: Breakers) -> pb.Breaker:
    return pb.Breaker(
        upstream=breaker.upstream,
        state=_STATES[breaker.state],
        retry_after_ms=breakers.wait_ms(breaker),
        calls=breaker.calls,
        failures=breaker.failures,
    )
