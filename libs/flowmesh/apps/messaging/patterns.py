"""Patterns of events in a window: counts, sequences, and absences."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from flowmesh.apps.messaging.messages import fits
from flowmesh.contract.json_value import Json

Condition = Literal["count", "sequence", "all", "absence"]

EVENTS_MAX = 10_000
KEYS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a type, at a time in seconds."""

    type: str
    value: Json
    at: float
    key: str = ""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern. A `key` is the field that separates events."""

    id: str
    types: Sequence[str]
    window_s: float
    condition: Condition = "count"
    occurs_min: int = 1
    key: str = ""

    def takes(self, kind: str) -> bool:
        return any(fits(each, kind) for each in self.types)


@dataclass(frozen=True, slots=True)
class Match:
    """A pattern that holds, with its events."""

    pattern: str
    key: str
    events: Sequence[Event]

    def document(self) -> dict[str, Json]:
        events = [{"type": e.type, "data": e.value, "at": e.at} for e in self.events]
        return {"patternId": self.pattern, "key": self.key, "count": len(events), "events": events}


@dataclass(frozen=True, slots=True)
class _Window:
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))


class PatternMatcher:
    """One pattern over its windows; a match empties the window that it was found in."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def feed(self, event: Event) -> Match | None:
        """Take an event; return the match that it completes."""
        pattern = self.pattern
        if not pattern.takes(event.type):
            return None
        window = self._windows.setdefault(event.key, _Window())
        self._windows.move_to_end(event.key)
        if len(self._windows) > KEYS_MAX:
            self._windows.popitem(last=False)
        while window.events and event.at - window.events[0].at > pattern.window_s:
            window.events.popleft()
        if pattern.condition == "absence":
            self._absence(window, event)
            return None
        window.events.append(event)
        found = self._found(list(window.events))
        if found is None:
            return None
        window.events.clear()
        return Match(pattern.id, event.key, found)

    def tick(self, now: float) -> list[Match]:
        """Return the absences: the first type came, and no other within the window."""
        if self.pattern.condition != "absence":
            return []
        matches = []
        for key, window in list(self._windows.items()):
            if window.events and now - window.events[0].at >= self.pattern.window_s:
                matches.append(Match(self.pattern.id, key, list(window.events)))
                del self._windows[key]
        return matches

    def _absence(self, window: _Window, event: Event) -> None:
        """Note the first type; any other ends its wait."""
        if fits(self.pattern.types[0], event.type):
            if not window.events:
                window.events.append(event)
        else:
            window.events.clear()

    def _found(self, events: list[Event]) -> list[Event] | None:
        pattern = self.pattern
        if pattern.condition == "count":
            return events if len(events) >= pattern.occurs_min else None
        if pattern.condition == "all":
            present = all(any(fits(t, e.type) for e in events) for t in pattern.types)
            return events if present and len(events) >= pattern.occurs_min else None
        wanted, found = 0, []
        for each in events:
            if fits(pattern.types[wanted], each.type):
                found.append(each)
                wanted += 1
                if wanted == len(pattern.types):
                    return found
        return None
