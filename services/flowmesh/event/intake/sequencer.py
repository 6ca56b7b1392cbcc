"""Ordering of the commits of all incarnations. Pure: no I/O, no clock.

The commits of an incarnation are processed in the order of their positions, each exactly once
and as a whole: a repeated one is dropped; one after a gap is held until the outbox has filled
the gap. A commit that took over executions is held until the positions of their former owners
are reached. So the events of each execution are totally ordered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.event.live.arrival import Arrival
from flowmesh.event.live.cursors import END, Spot

# Limits of held commits. Beyond them commits are dropped and later read from the outbox.
HELD_BYTES_MAX: Final = 32 * 1024 * 1024
HELD_COUNT_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap in the positions of an incarnation, to be read from an outbox after `after`."""

    incarnation: int
    after: int


@dataclass(slots=True)
class _IncarnationQueue:
    """The commits of an incarnation: processed up to `done`, later ones held."""

    done: int
    held: dict[tuple[int, int], Arrival] = field(default_factory=dict)
    # Highest dropped position: the positions up to it must be read from the outbox.
    dropped: int = 0
    # The first stream message since something is held; 0 if there is none.
    held_at: int = 0

    @property
    def head(self) -> list[Arrival]:
        """The parts of the next commit; empty unless all are present."""
        parts: list[Arrival] = []
        while (part := self.held.get((self.done + 1, len(parts)))) is not None:
            parts.append(part)
            if part.last_part:
                return parts
        return []

    @property
    def lacks(self) -> bool:
        """True if commits are missing, other than outstanding parts of the next commit."""
        started = {(self.done + 1, part) for part in range(len(self.held))}
        return not self.head and (self.dropped > self.done or self.held.keys() != started)

    def has_all_of(self, position: int) -> bool:
        """Return whether the outbox provided the whole position; further parts are repeats then."""
        first = self.held.get((position, 0))
        return first is not None and not first.stream_sequence

    @property
    def first(self) -> int | None:
        """The first held position that is after a gap."""
        behind = self.done if self.head else self.done + 1
        return min((position for position, _ in self.held if position > behind), default=None)


def end_of_commit(position: int) -> Spot:
    """The spot directly after a commit."""
    return position, END, END, END


class Sequencer:
    """Accepts commits in any order and returns them in the order of processing."""

    def __init__(self, positions: Mapping[int, int]) -> None:
        """`positions` are already processed; an incarnation without one starts at 0."""
        self._lines = {
            incarnation: _IncarnationQueue(done) for incarnation, done in positions.items()
        }
        self._waiting: set[int] = set()
        self._held_bytes = 0
        self._held_count = 0
        self.repeated = 0
        self.skipped = 0

    def done(self, incarnation: int) -> int:
        """Return the last processed position."""
        line = self._lines.get(incarnation)
        return line.done if line else 0

    def spots(self, count: int) -> dict[int, Spot]:
        """Return the spots of the `count` incarnations that advanced last."""
        last = [i for i, line in self._lines.items() if line.done][-count:]
        return {incarnation: end_of_commit(self._lines[incarnation].done) for incarnation in last}

    def held_behind(self) -> dict[int, int]:
        """Return the incarnations with held commits, and the position after which they are held."""
        return {incarnation: self._lines[incarnation].done for incarnation in self._waiting}

    @property
    def waiting(self) -> bool:
        """True if commits are held until an outbox provides the missing ones."""
        return bool(self._waiting)

    def stream_sequence_held(self) -> int | None:
        """Return the first stream message that is held, or None."""
        held = (self._lines[incarnation].held_at for incarnation in self._waiting)
        return min((sequence for sequence in held if sequence), default=None)

    def stream_lost(self) -> None:
        """Reset held positions: the new stream counts from 1."""
        for incarnation in self._waiting:
            self._lines[incarnation].held_at = 1

    def offer(self, arrival: Arrival) -> list[Arrival]:
        """Add a commit. Return the commits that can now be processed, in order."""
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
        self, gap: Gap, batches: Iterable[pb.EventBatch], *, last_position: int
    ) -> list[Arrival]:
        """Add the response of the outbox for `gap`. Return the commits that can now be processed.

        The outbox is authoritative: positions up to `last_position` (its last commit at the time of
        the read) that it no longer holds were delivered by another event service.
        """
        line = self._line(gap.incarnation)
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
            self._skip_served(gap.incarnation, line, last_position)
        for position in sorted(found):
            self._replace(line, position, found[position])
        if line.held:
            self._waiting.add(gap.incarnation)
        return self._drain()

    def gaps(self) -> list[Gap]:
        """Return the gaps of all incarnations, and former owners whose position is not reached."""
        gaps: dict[int, Gap] = {}
        for incarnation in self._waiting:
            line = self._lines[incarnation]
            if line.lacks:
                gaps[incarnation] = Gap(incarnation, line.done)
            for former in _after(line):
                if self.done(former.incarnation) < former.position:
                    known = self.done(former.incarnation)
                    gaps[former.incarnation] = Gap(former.incarnation, known)
        return list(gaps.values())

    def _line(self, incarnation: int) -> _IncarnationQueue:
        return self._lines.setdefault(incarnation, _IncarnationQueue(0))

    def _reached(self, arrival: Arrival) -> bool:
        return all(self.done(p.incarnation) >= p.position for p in arrival.batch.after)

    def _advance(self, batch: pb.EventBatch) -> None:
        # Keeps the incarnations in the order of their last advance.
        line = self._lines[batch.incarnation] = self._lines.pop(batch.incarnation)
        line.done = batch.position

    def _hold(self, line: _IncarnationQueue, key: tuple[int, int], arrival: Arrival) -> None:
        self._waiting.add(arrival.batch.incarnation)
        full = self._held_count >= HELD_COUNT_MAX or self._held_bytes >= HELD_BYTES_MAX
        if full and key[0] != line.done + 1:
            line.dropped = max(line.dropped, key[0])
            return
        line.held[key] = arrival
        self._held_count += 1
        self._held_bytes += arrival.size

    def _release(self, line: _IncarnationQueue, key: tuple[int, int]) -> None:
        self._held_count -= 1
        self._held_bytes -= line.held.pop(key).size

    def _replace(
        self, line: _IncarnationQueue, position: int, batches: list[pb.EventBatch]
    ) -> None:
        """Replace all parts of a position by the version of the outbox."""
        for key in [key for key in line.held if key[0] == position]:
            self._release(line, key)
        for part, batch in enumerate(batches):
            last = part == len(batches) - 1
            line.held[position, part] = Arrival(batch, part, last, 0, batch.ByteSize())
            self._held_count += 1
            self._held_bytes += batch.ByteSize()

    def _skip_served(self, incarnation: int, line: _IncarnationQueue, last_position: int) -> None:
        """Skip positions that the outbox no longer holds, up to the next held one if committed."""
        first = line.first
        if first is not None:
            wanted = first - 1
        else:
            after = (p for waiting in self._waiting for p in _after(self._lines[waiting]))
            wanted = max((p.position for p in after if p.incarnation == incarnation), default=0)
            wanted = max(wanted, line.dropped)
        self._skip_to(line, min(wanted, last_position))

    def _skip_to(self, line: _IncarnationQueue, position: int) -> None:
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

    def _drain_line(self, line: _IncarnationQueue, ready: list[Arrival]) -> bool:
        taken = False
        while (head := line.head) and self._reached(head[0]):
            for arrival in head:
                self._release(line, (arrival.batch.position, arrival.part))
            self._advance(head[0].batch)
            ready += head
            taken = True
        return taken


def _after(line: _IncarnationQueue) -> Iterable[pb.Position]:
    head = line.head
    return head[0].batch.after if head else ()
