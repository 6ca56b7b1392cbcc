"""Stored events, applied without a message for each of them.

A replay mostly reads fields, and a field of a message costs more than twice as much as one decoded
from the bytes. The three most frequent kinds of events are decoded here. Other kinds, and events
with unknown fields, are parsed as messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.events.apply import apply, task_completed, task_scheduled, task_started
from flowmesh.engine.state.state import State

_event = history.HistoryEvent.FromString
_payload = payload_pb2.Payload.FromString
_NEGATIVE: Final = 1 << 63
# Tags: field number and wire type, 0 for a number and 2 for bytes.
_EVENTS: Final = 1 << 3 | 2
_SEQUENCE: Final = 1 << 3
_AT: Final = 2 << 3
_SCHEDULED: Final = 20 << 3 | 2
_STARTED: Final = 21 << 3 | 2
_COMPLETED: Final = 22 << 3 | 2
# Fields of all three kinds, of task_started, and of task_completed.
_NODE: Final = 1 << 3 | 2
_ATTEMPT: Final = 2 << 3
_WORKER: Final = 3 << 3 | 2
_DELIVERY: Final = 4 << 3
_STARTED_AT: Final = 5 << 3
_OUTPUT: Final = 3 << 3 | 2
_METADATA: Final = 4 << 3 | 2
_TIMED_OUT: Final = 5 << 3


class Recorded:
    """The events of one execution after sequence `after`, concatenated as in its rows."""

    __slots__ = ("_bounds", "_data", "_messages")

    def __init__(self, data: bytes, after: int = 0) -> None:
        # Start and end of each event, alternating.
        self._data, self._bounds = data, _bounds_of(data)
        self._messages: list[history.HistoryEvent] | None = None
        known = after + 1 - self.event(0).sequence if after and self._bounds else 0
        if known > 0:
            self._data = data[self._bounds[min(2 * known, len(self._bounds)) - 1] :]
            self._bounds = _bounds_of(self._data)

    @staticmethod
    def of(events: Iterable[history.HistoryEvent]) -> Recorded:
        """Encode events."""
        return Recorded(history.HistoryEvents(events=events).SerializeToString())

    def __len__(self) -> int:
        return len(self._bounds) // 2

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._data)

    @property
    def last_sequence(self) -> int:
        """The sequence of the last event; 0 without events."""
        return self.event(len(self) - 1).sequence if self._bounds else 0

    def event(self, place: int) -> history.HistoryEvent:
        """Return an event as a message; `place` counts from 0."""
        return _event(self._data[self._bounds[2 * place] : self._bounds[2 * place + 1]])

    def messages(self) -> list[history.HistoryEvent]:
        """Return all events as messages."""
        if self._messages is None:
            self._messages = list(history.HistoryEvents.FromString(self._data).events)
        return self._messages

    def and_then(self, later: Recorded) -> Recorded:
        """Return these events followed by later ones."""
        both, before = Recorded(b""), len(self._data)
        both._data = self._data + later._data
        both._bounds = [*self._bounds, *(before + each for each in later._bounds)]
        return both

    def count_until(self, at_us: int) -> int:
        """Return the number of events at or before a time."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.event(middle).at_us <= at_us:
                low = middle + 1
            else:
                high = middle
        return low

    def replay(self, state: State, first: int, end: int) -> None:
        """Advance a state by the events in the range [first, end)."""
        if not _FINDS:
            for event in self.messages()[first:end]:
                apply(state, event)
            return
        data, bounds = self._data, self._bounds
        for place in range(first, end):
            apply_stored(state, data, bounds[2 * place], bounds[2 * place + 1])


def apply_stored(state: State, data: bytes, begin: int, end: int) -> None:
    """Advance the state by one encoded event, which must be the next in sequence."""
    at = begin
    sequence = at_us = kind = inner = inner_end = 0
    while at < end:
        tag, at = _number(data, at)
        value, at = _number(data, at)
        if tag == _SEQUENCE:
            sequence = value
        elif tag == _AT:
            at_us = value
        elif kind == 0 and tag in (_COMPLETED, _STARTED, _SCHEDULED):
            kind, inner = tag, at
            inner_end = at = at + value
        else:
            kind = 0
            break
    is_next = sequence == state.sequence + 1 and at == end and at_us < _NEGATIVE
    if not (is_next and kind and _applied(state, kind, data, inner, inner_end, at_us)):
        apply(state, _event(data[begin:end]))


def _applied(state: State, kind: int, data: bytes, at: int, end: int, at_us: int) -> bool:
    """Apply the event if all its fields are known. Return whether it was applied."""
    node_id = worker_id = ""
    attempt = delivery = started_at_us = timed_out = 0
    output: payload_pb2.Payload | None = None
    metadata = b""
    while at < end:
        tag, at = _number(data, at)
        value, at = _number(data, at)
        if tag == _NODE:
            node_id = data[at : at + value].decode()
            at += value
        elif tag == _ATTEMPT:
            attempt = value
        elif kind == _STARTED and tag == _WORKER:
            worker_id = data[at : at + value].decode()
            at += value
        elif kind == _STARTED and tag == _DELIVERY:
            delivery = value
        elif kind == _STARTED and tag == _STARTED_AT and value < _NEGATIVE:
            started_at_us = value
        elif kind == _COMPLETED and tag == _OUTPUT and output is None:
            output = _payload(data[at : at + value])
            at += value
        elif kind == _COMPLETED and tag == _METADATA:
            metadata = data[at : at + value]
            at += value
        elif kind == _COMPLETED and tag == _TIMED_OUT:
            timed_out = value
        else:
            return False
    if at != end:
        return False
    state.sequence += 1
    if kind == _SCHEDULED:
        task_scheduled(state, node_id, attempt, at_us)
    elif kind == _STARTED:
        task_started(state, node_id, delivery, worker_id, started_at_us, at_us)
    else:
        output = output if output is not None else payload_pb2.Payload()
        task_completed(state, node_id, output, metadata, bool(timed_out), at_us)
    return True


def _bounds_of(data: bytes) -> list[int]:
    """Return start and end of each event in a row, alternating.

    Raises ValueError, or IndexError for a row cut off within a number.
    """
    bounds: list[int] = []
    at, end = 0, len(data)
    while at < end:
        if data[at] != _EVENTS:
            raise ValueError(f"no event begins at byte {at} of a row of history")
        length, at = _number(data, at + 1)
        bounds.append(at)
        at += length
        bounds.append(at)
    if at != end:
        raise ValueError("a row of history is cut off")
    return bounds


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Decode a varint. Return it with the position after it."""
    byte = data[at]
    at += 1
    if byte < 128:
        return byte, at
    value, shift = byte & 127, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


# Decoding here is faster than messages only when compiled. Compiled functions have no byte code.
_FINDS: Final = not hasattr(_number, "__code__")
