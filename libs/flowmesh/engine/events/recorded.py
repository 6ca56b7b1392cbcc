"""Events as they are stored, applied without a message for each of them.

A replay does little but read fields, and to read one of a message takes more than twice as long as
to find it among the bytes. Of the three kinds that are most of a history the fields are found here;
of all others, and where one of them has a field that is not known here, a message is made.
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
# Tags: the number of a field and how it is written, 0 for a number and 2 for bytes.
_EVENTS: Final = 1 << 3 | 2
_SEQUENCE: Final = 1 << 3
_AT: Final = 2 << 3
_SCHEDULED: Final = 20 << 3 | 2
_STARTED: Final = 21 << 3 | 2
_COMPLETED: Final = 22 << 3 | 2
# Fields of all three of them, of what started, and of what completed.
_NODE: Final = 1 << 3 | 2
_ATTEMPT: Final = 2 << 3
_WORKER: Final = 3 << 3 | 2
_DELIVERY: Final = 4 << 3
_STARTED_AT: Final = 5 << 3
_OUTPUT: Final = 3 << 3 | 2
_METADATA: Final = 4 << 3 | 2
_TIMED_OUT: Final = 5 << 3


class Recorded:
    """Events of one execution behind `after`, one behind the other, as its rows have them."""

    __slots__ = ("_bounds", "_data", "_messages")

    def __init__(self, data: bytes, after: int = 0) -> None:
        # Where each begins and ends, in turns.
        self._data, self._bounds = data, _bounds_of(data)
        self._messages: list[history.HistoryEvent] | None = None
        known = after + 1 - self.event(0).sequence if after and self._bounds else 0
        if known > 0:
            self._data = data[self._bounds[min(2 * known, len(self._bounds)) - 1] :]
            self._bounds = _bounds_of(self._data)

    @staticmethod
    def of(events: Iterable[history.HistoryEvent]) -> Recorded:
        """Those that are messages already."""
        return Recorded(history.HistoryEvents(events=events).SerializeToString())

    def __len__(self) -> int:
        return len(self._bounds) // 2

    @property
    def size(self) -> int:
        """Their bytes."""
        return len(self._data)

    @property
    def last_sequence(self) -> int:
        """That of the last event; 0 without one."""
        return self.event(len(self) - 1).sequence if self._bounds else 0

    def event(self, place: int) -> history.HistoryEvent:
        """The message of one, counted from 0."""
        return _event(self._data[self._bounds[2 * place] : self._bounds[2 * place + 1]])

    def messages(self) -> list[history.HistoryEvent]:
        """Those of all of them."""
        if self._messages is None:
            self._messages = list(history.HistoryEvents.FromString(self._data).events)
        return self._messages

    def and_then(self, later: Recorded) -> Recorded:
        """These, and the ones behind them."""
        both, before = Recorded(b""), len(self._data)
        both._data = self._data + later._data
        both._bounds = [*self._bounds, *(before + each for each in later._bounds)]
        return both

    def count_until(self, at_us: int) -> int:
        """How many were not later than a time."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.event(middle).at_us <= at_us:
                low = middle + 1
            else:
                high = middle
        return low

    def replay(self, state: State, first: int, end: int) -> None:
        """Advances a state by the events from one place to before another."""
        if not _FINDS:
            for event in self.messages()[first:end]:
                apply(state, event)
            return
        data, bounds = self._data, self._bounds
        for place in range(first, end):
            apply_stored(state, data, bounds[2 * place], bounds[2 * place + 1])


def apply_stored(state: State, data: bytes, begin: int, end: int) -> None:
    """Advances the state by the event that these bytes are, which must be the next in sequence."""
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
    """Whether all fields of the event were known; nothing is changed where one is not."""
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
    """Where the events of a message of many begin and end, in turns.

    Raises ValueError, and IndexError for one that is cut off within a number.
    """
    bounds: list[int] = []
    at, end = 0, len(data)
    while at < end:
        if data[at] != _EVENTS:
            raise ValueError(f"what begins at byte {at} of a row of history is no event")
        length, at = _number(data, at + 1)
        bounds.append(at)
        at += length
        bounds.append(at)
    if at != end:
        raise ValueError("a row of history is cut off")
    return bounds


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of as many bytes as it takes, seven bits in each, and where it ends."""
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


# What finds fields among bytes is slower than messages are unless it is compiled, which is what
# functions without byte code are.
_FINDS: Final = not hasattr(_number, "__code__")
