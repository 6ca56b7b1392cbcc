"""The JetStream stream of lifecycle events: name, limits, state."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.protobuf.message import DecodeError

from flowmesh.access.encryption import MARK, NO_KEYS, DataKeys, events_place
from flowmesh.api.history.v1.history_service_pb2 import EventBatch
from flowmesh.bus import Bus, Message
from flowmesh.bus.bus import FAILURES
from flowmesh.errors import Unavailable, WrongState

MAX_AGE_S: Final = 24 * 3600
MAX_BYTES: Final = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class StreamState:
    """The creation time of the stream, and its messages; empty if first > last."""

    made_us: int
    first: int
    last: int


class EventStream:
    """`FM_EVENTS`, one message per commit on `fm.events.<incarnation>`."""

    def __init__(self, *, bus: Bus, prefix: str, keys: DataKeys = NO_KEYS) -> None:
        self._keys = keys
        self.name = f"{prefix.upper()}_EVENTS"
        self.bus = bus
        self._subject = f"{prefix}.events.>"

    async def ensure(self) -> None:
        """Create the stream if it does not exist; orchestrators do the same. Wait for the keys."""
        await self._keys.known.wait()
        await self.bus.ensure_stream(self.name, [self._subject], MAX_AGE_S, MAX_BYTES)

    async def state(self) -> StreamState:
        """Return the state. Raise Unavailable if NATS or the stream is unavailable."""
        try:
            info = await self.bus.jetstream.stream_info(self.name)
        except FAILURES as error:
            raise Unavailable(
                "SERVICE_UNAVAILABLE", "the event stream is unavailable", retry_after_ms=500
            ) from error
        return StreamState(_microseconds(info.created), info.state.first_seq, info.state.last_seq)

    def batch(self, data: bytes) -> EventBatch:
        """Decode a message. Raise DecodeError if it is malformed or its key is not known here.

        Events whose key was destroyed are left out.
        """
        batch = EventBatch.FromString(data)
        for row in batch.rows:
            if not row.events.startswith(MARK):
                continue
            try:
                row.events = self._keys.open(row.events, events_place(row.execution_id))
            except WrongState as error:
                if not self._keys.is_destroyed(row.namespace):
                    raise DecodeError(error.message) from error
                row.events = b""
        return batch

    def messages(self, start_sequence: int) -> AsyncGenerator[Message, None]:
        """Yield all messages from the sequence on, forever, across reconnects."""
        return self.bus.consume(self.name, start_sequence=max(1, start_sequence))


def _microseconds(made_at: object) -> int:
    moment = made_at if isinstance(made_at, datetime) else datetime.fromisoformat(str(made_at))
    return int(moment.timestamp() * 1_000_000)
