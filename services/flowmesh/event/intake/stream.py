"""The JetStream stream of lifecycle events: its name, its limits, its state."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flowmesh.bus import Bus, Message
from flowmesh.bus.bus import FAILURES
from flowmesh.errors import Unavailable

MAX_AGE_S: Final = 24 * 3600
MAX_BYTES: Final = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class StreamState:
    """When the stream was made, and which messages it holds; empty when first > last."""

    made_us: int
    first: int
    last: int


class EventStream:
    """`FM_EVENTS`, one message per commit on `fm.events.<incarnation>`."""

    def __init__(self, *, bus: Bus, prefix: str) -> None:
        self.name = f"{prefix.upper()}_EVENTS"
        self.bus = bus
        self._subject = f"{prefix}.events.>"

    async def ensure(self) -> None:
        """Makes the stream where it is not there; orchestrators do the same."""
        await self.bus.ensure_stream(self.name, [self._subject], MAX_AGE_S, MAX_BYTES)

    async def state(self) -> StreamState:
        """Raises Unavailable while NATS is away or the stream is not there."""
        try:
            info = await self.bus.jetstream.stream_info(self.name)
        except FAILURES as error:
            raise Unavailable(
                "SERVICE_UNAVAILABLE", "the event stream does not answer", retry_after_ms=500
            ) from error
        return StreamState(_microseconds(info.created), info.state.first_seq, info.state.last_seq)

    def messages(self, start_sequence: int) -> AsyncGenerator[Message, None]:
        """All messages from the sequence on, for ever, across reconnects."""
        return self.bus.consume(self.name, start_sequence=max(1, start_sequence))


def _microseconds(made_at: object) -> int:
    moment = made_at if isinstance(made_at, datetime) else datetime.fromisoformat(str(made_at))
    return int(moment.timestamp() * 1_000_000)
