"""Times of changes by a clock that is not set, as this instance saw them.

The database has times of its own clock. Where that clock or the one of this machine is set, the
age of a change would jump: all agents would have been silent for an hour at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from flowmesh.fleet import limits
from flowmesh.fleet.storage.records import AgentRow, Key, SpecRow
from flowmesh.runtime import Clock

# Their ages count from the first sight of this instance, those of the others from their columns.
_FROM_SIGHT = ("created_at_us", "beat_at_us", "drain_at_us")
_COLUMNS = (*_FROM_SIGHT, "ready_at_us", "ended_at_us")


def steady(clock: Clock) -> Callable[[], int]:
    """Return a clock in µs that begins with the time of day and is not set afterwards."""
    begun_us, begun_ms = clock.now_us(), clock.monotonic_ms()
    return lambda: begun_us + round((clock.monotonic_ms() - begun_ms) * 1_000)


class Sightings:
    """Remembers when each time of a row was first seen, and the agents that ended lately."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._rows: dict[str, tuple[AgentRow, AgentRow]] = {}
        self._ended: dict[str, AgentRow] = {}
        self._changed: dict[Key, tuple[int, int]] = {}
        self._first = True

    def begin(self) -> None:
        """Count silence from now on: agents could not be heard before."""
        for row, dated in self._rows.values():
            self._rows[row.id] = replace(row, beat_at_us=0), dated
        self._first = True

    def dated(
        self, specs: Sequence[SpecRow], rows: Sequence[AgentRow]
    ) -> tuple[list[SpecRow], list[AgentRow]]:
        """Return specs and agents with times of this clock, those that ended lately last."""
        now = self._now_us()
        found = [self._spec(each, now) for each in specs]
        self._changed = {each.key: self._changed[each.key] for each in specs}
        present: list[AgentRow] = []
        before, self._rows = self._rows, {}
        for row in rows:
            if row.id in self._ended:
                continue
            dated = self._agent(row, before.get(row.id), now)
            if row.ended_at_us:
                self._ended[row.id] = dated
            else:
                self._rows[row.id] = row, dated
                present.append(dated)
        self._first = False
        since = now - limits.CRASH_WINDOW_MS * 1_000
        listed = {each.id for each in rows}
        self._ended = {
            each.id: each
            for each in self._ended.values()
            if each.ended_at_us > since or each.id in listed
        }
        ended = (each for each in self._ended.values() if each.ended_at_us > since)
        return found, [*present, *ended]

    def _spec(self, spec: SpecRow, now: int) -> SpecRow:
        at, seen = self._changed.get(spec.key, (0, 0))
        if at != spec.changed_at_us:
            at, seen = spec.changed_at_us, self._sight(spec.changed_at_us, now)
            self._changed[spec.key] = at, seen
        return replace(spec, changed_at_us=seen)

    def _agent(self, row: AgentRow, before: tuple[AgentRow, AgentRow] | None, now: int) -> AgentRow:
        times = {}
        for name in _COLUMNS:
            at: int = getattr(row, name)
            if before is not None and at == getattr(before[0], name):
                times[name] = getattr(before[1], name)
            elif at:
                times[name] = now if name in _FROM_SIGHT else self._sight(at, now)
        return replace(row, **times)

    def _sight(self, at: int, now: int) -> int:
        """Return the time of a change that is new to this instance."""
        return min(at, now) if self._first else now
