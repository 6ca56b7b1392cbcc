"""Outputs of repeatable steps, which a handler receives before their commit.

The worker sends them in the order in which the handler received them, one message at a time. They
are committed only right after the records that the worker knew, so the journal has the order that
the handler saw; otherwise the handler is run again from its journal.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.sdk.values import limits

RECEIVED_MAX = 64
"""The maximum of received outputs without a commit: so many steps are repeated after a crash."""


class Ahead:
    """The uncommitted outputs of the repeatable steps of a handler.

    `allowed` is True once the owner of the task has said that it checks their place.
    """

    def __init__(self) -> None:
        self.allowed = False
        # Ended and not received yet, by index.
        self.ended: dict[int, JournalRecord] = {}
        self.received: deque[JournalRecord] = deque()
        # Begun since an output was received without a commit.
        self.begun: set[int] = set()
        self._in_flight = 0

    @property
    def receivable(self) -> bool:
        """True if the handler may receive another output."""
        return bool(self.ended) and len(self.received) < RECEIVED_MAX

    @property
    def in_flight(self) -> list[JournalRecord]:
        """The outputs that were sent."""
        return list(islice(self.received, self._in_flight))

    def receive(self) -> JournalRecord:
        """Return the output that ended first."""
        record = self.ended.pop(next(iter(self.ended)))
        self.received.append(record)
        return record

    def confirms(self, record: JournalRecord) -> bool:
        """Return whether a committed record is the output that was received first."""
        first = self.received[0]
        if (record.index, record.output) != (first.index, first.output):
            return False
        self.received.popleft()
        self._in_flight -= 1
        if not self.received:
            self.begun.clear()
        return True

    def send(self) -> list[JournalRecord]:
        """Return the outputs of the next message; none while another is on its way."""
        if self._in_flight:
            return []
        records = list(_in_one_message(self.received))
        self._in_flight = len(records)
        return records

    def drop(self, over: set[int]) -> set[int]:
        """Forget what followed from uncommitted outputs; return the indices of these steps.

        Outputs of steps that were begun before are received again, unless the step is `over`: it
        has an outcome in the journal.
        """
        dropped, self.begun = self.begun, set()
        outputs = (*self.received, *self.ended.values())
        self.ended = {each.index: each for each in outputs if each.index not in dropped | over}
        self.received.clear()
        self._in_flight = 0
        return dropped


def _in_one_message(records: deque[JournalRecord]) -> Iterator[JournalRecord]:
    size = 0
    for number, record in enumerate(records):
        size += record.ByteSize()
        if number and size > limits.FRAME_BYTES_MAX:
            return
        yield record
