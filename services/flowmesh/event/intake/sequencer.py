"""Puts the commits of all incarnations in order. Pure: no I/O, no clock.

Each incarnation's commits are processed by position, each once and whole; a lower one is dropped,
one behind a gap is held until the outbox has filled the gap. A commit that took over executions is
held until the positions of their former owners are reached, so that the order of every single
execution is total.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.event.subscriptions.cursors import END, Spot

# What is held while the outbox is asked. Beyond it arrivals are dropped and read from there too.
HELD_BYTES_MAX: Final = 32 * 1024 * 1024
HELD_COUNT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A commit, or a part of one, and where in the stream it was (0: it came from the outbox)."""

    batch: pb.EventBatch
    part: int
    last_part: bool
    stream_sequence: int
    size: int
    # Which stream that counts in: one made anew counts from 1 again.
    stream_made_us: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """The outbox must be asked for this incarnation's positions above `after`."""

    incarnation: int
    after: int


@dataclass(slots=True)
class _Line:
    """One incarnation: processed up to `done`, and what is held of the positions behind it."""

    done: int
    held: dict[tuple[int, int], Arrival] = field(default_factory=dict)
    # Highest position that had to be dropped: only the outbox has what is in between.
    dropped: int = 0
    # The first message of the stream since something is held; 0 where none came.
    held_at: int = 0

    @property
    def head(self) -> list[Arrival]:
        """The parts of the next commit; none unless all are there."""
        parts: list[Arrival] = []
        while (part := self.held.get((self.done + 1, len(parts)))) is not None:
            parts.append(part)
            if part.last_part:
                return parts
        return []

    @property
    def lacks(self) -> bool:
        """Whether something is missing; not where the next commit has only begun to come."""
        begun = {(self.done + 1, part) for part in range(len(self.held))}
        return not self.head and (self.dropped > self.done or self.held.keys() != begun)

    def has_all_of(self, position: int) -> bool:
        """Whether the outbox gave it: parts that come are nothing new then."""
        first = self.held.get((position, 0))
        return first is not None and not first.stream_sequence

    @property
    def first(self) -> int | None:
        """The first position that need not be waited for."""
        behind = self.done if self.head else self.done + 1
        return min((position for position, _ in self.held if position > behind), default=None)


def whole(position: int) -> Spot:
    """Just behind a commit."""
    return position, END, END, END


class Sequencer:
    """Takes arrivals in any order, gives them back in the order in which to process them."""

    def __init__(self, positions: Mapping[int, int]) -> None:
        """`positions` are those already processed; an incarnation not named starts at 0."""
        self._lines = {incarnation: _Line(done) for incarnation, done in positions.items()}
        self._waiting: set[int] = set()
        self._held_bytes = 0
        self._held_count = 0
        self.repeated = 0
        self.skipped = 0

    def done(self, incarnation: int) -> int:
        """The last position that was given back."""
        line = self._lines.get(incarnation)
        return line.done if line else 0

    def spots(self, count: int) -> dict[int, Spot]:
        """Up to where the incarnations were given back, of those that moved last."""
        last = [i for i, line in self._lines.items() if line.done][-count:]
        return {incarnation: whole(self._lines[incarnation].done) for incarnation in last}

    def held_behind(self) -> dict[int, int]:
        """The incarnations of which something is held, and the position behind which that is."""
        return {incarnation: self._lines[incarnation].done for incarnation in self._waiting}

    @property
    def waiting(self) -> bool:
        """Whether something is held that only an outbox may release."""
        return bool(self._waiting)

    def stream_sequence_held(self) -> int | None:
        """Where the stream holds the first of what is held; None when nothing there is."""
        held = (self._lines[incarnation].held_at for incarnation in self._waiting)
        return min((sequence for sequence in held if sequence), default=None)

    def stream_lost(self) -> None:
        """What comes counts from 1 again; nothing of it is passed while something is held."""
        for incarnation in self._waiting:
            self._lines[incarnation].held_at = 1

    def offer(self, arrival: Arrival) -> list[Arrival]:
        """What can be processed now that this has come, in order."""
        batch = arrival.batch
        line = self._line(batch.incarnation)
        key = (batch.position, arrival.part)
        if batch.position <= line.done:
            self.repeated += 1
            return []
        one = key == (line.done + 1, 0) and arrival.last_part
        if one and not self._waiting and self._reached(arrival):
            self._advance(batch)
            return [arrival]
        line.held_at = line.held_at or arrival.stream_sequence
        if key in line.held or line.has_all_of(batch.position):
            self.repeated += 1
            return []
        self._hold(line, key, arrival)
        return self._drain()

    def filled(
        self, need: Need, batches: Iterable[pb.EventBatch], *, last_position: int
    ) -> list[Arrival]:
        """What can be processed now that the outbox has answered `need`, in order.

        The outbox tells the truth: positions up to `last_position` (the last one committed when
        it was asked) that it does not hold any more were served by another event service.
        """
        line = self._line(need.incarnation)
        found: dict[int, list[pb.EventBatch]] = {}
        empty = True
        for batch in batches:
            empty = False
            if batch.position > line.done:
                found.setdefault(batch.position, []).append(batch)
        if found:
            first = line.first
            self._skip_to(line, min(found if first is None else (*found, first)) - 1)
        elif empty:
            self._skip_served(need.incarnation, line, last_position)
        for position in sorted(found):
            self._replace(line, position, found[position])
        if line.held:
            self._waiting.add(need.incarnation)
        return self._drain()

    def needs(self) -> list[Need]:
        """What only the outbox can give: the gaps, and former owners not yet reached."""
        needs: dict[int, Need] = {}
        for incarnation in self._waiting:
            line = self._lines[incarnation]
            if line.lacks:
                needs[incarnation] = Need(incarnation, line.done)
            for former in _after(line):
                if self.done(former.incarnation) < former.position:
                    known = self.done(former.incarnation)
                    needs[former.incarnation] = Need(former.incarnation, known)
        return list(needs.values())

    def _line(self, incarnation: int) -> _Line:
        return self._lines.setdefault(incarnation, _Line(0))

    def _reached(self, arrival: Arrival) -> bool:
        return all(self.done(p.incarnation) >= p.position for p in arrival.batch.after)

    def _advance(self, batch: pb.EventBatch) -> None:
        # Those that moved last stand last.
        line = self._lines[batch.incarnation] = self._lines.pop(batch.incarnation)
        line.done = batch.position

    def _hold(self, line: _Line, key: tuple[int, int], arrival: Arrival) -> None:
        self._waiting.add(arrival.batch.incarnation)
        full = self._held_count >= HELD_COUNT_MAX or self._held_bytes >= HELD_BYTES_MAX
        if full and key[0] != line.done + 1:
            line.dropped = max(line.dropped, key[0])
            return
        line.held[key] = arrival
        self._held_count += 1
        self._held_bytes += arrival.size

    def _release(self, line: _Line, key: tuple[int, int]) -> None:
        self._held_count -= 1
        self._held_bytes -= line.held.pop(key).size

    def _replace(self, line: _Line, position: int, batches: list[pb.EventBatch]) -> None:
        """The outbox's version of a position stands for all parts of it that came or will come."""
        for key in [key for key in line.held if key[0] == position]:
            self._release(line, key)
        for part, batch in enumerate(batches):
            last = part == len(batches) - 1
            line.held[position, part] = Arrival(batch, part, last, 0, batch.ByteSize())
            self._held_count += 1
            self._held_bytes += batch.ByteSize()

    def _skip_served(self, incarnation: int, line: _Line, last_position: int) -> None:
        """Nothing is left above what is done: go on to what is waited for, if it is committed."""
        first = line.first
        if first is not None:
            wanted = first - 1
        else:
            after = (p for waiting in self._waiting for p in _after(self._lines[waiting]))
            wanted = max((p.position for p in after if p.incarnation == incarnation), default=0)
            wanted = max(wanted, line.dropped)
        self._skip_to(line, min(wanted, last_position))

    def _skip_to(self, line: _Line, position: int) -> None:
        if position > line.done:
            self.skipped += position - line.done
            line.done = position
            for key in [key for key in line.held if key[0] <= position]:
                self._release(line, key)

    def _drain(self) -> list[Arrival]:
        ready: list[Arrival] = []
        progress = True
        while progress and self._waiting:
            progress = False
            for incarnation in sorted(self._waiting):
                taken = self._drain_line(self._lines[incarnation], ready)
                progress = progress or taken
                line = self._lines[incarnation]
                if not line.held and line.dropped <= line.done:
                    line.held_at = 0
                    self._waiting.discard(incarnation)
        return ready

    def _drain_line(self, line: _Line, ready: list[Arrival]) -> bool:
        taken = False
        while (head := line.head) and self._reached(head[0]):
            for arrival in head:
                self._release(line, (arrival.batch.position, arrival.part))
            self._advance(head[0].batch)
            ready += head
            taken = True
        return taken


def _after(line: _Line) -> Iterable[pb.Position]:
    head = line.head
    return head[0].batch.after if head else ()
