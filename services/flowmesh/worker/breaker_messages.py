"""Circuit breakers as worker services and orchestrators tell each other of them."""

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.executors.breakers import Breaker, Breakers, State

_STATES = {
    State.CLOSED: pb.BREAKER_STATE_CLOSED,
    State.OPEN: pb.BREAKER_STATE_OPEN,
    State.HALF_OPEN: pb.BREAKER_STATE_HALF_OPEN,
}


def message_of(breaker: Breaker, breakers: Breakers) -> pb.Breaker:
    """What is told of one of them."""
    return pb.Breaker(
        upstream=breaker.upstream,
        state=_STATES[breaker.state],
        retry_after_ms=breakers.wait_ms(breaker),
        calls=breaker.calls,
        failures=breaker.failures,
    )
