"""What a `listen` of Serverless Workflow has taken of the events that reached it.

A strategy of the configuration is `{"kind", "count", "matches"}`; `matches` has been evaluated over
the event: `{"ok", "keys"}` for each filter, where a key has the `value` that the event correlates
by, and whether it is the one that is expected.
"""

from typing import Any

import orjson

Json = Any


class Heard:
    """Events taken so far, the filters that have theirs, and the keys that events agree on."""

    def __init__(self, events: list[Json], had: dict[str, list[int]], keys: dict[str, str]) -> None:
        self.events = events
        self.complete = False
        self._had = had
        self._keys = keys

    @classmethod
    def of(cls, told: dict[str, Json] | None) -> "Heard":
        """As it was told to the next wait; empty at the first event."""
        told = told or {}
        had = {name: list(filters) for name, filters in told.get("had", {}).items()}
        return cls(list(told.get("events", ())), had, dict(told.get("keys", {})))

    def told(self) -> dict[str, Json]:
        return {"events": self.events, "had": self._had, "keys": self._keys}

    def take(self, wanted: dict[str, Json], matches: list[Json], read: Json) -> bool:
        """Keeps an event that a filter takes, as it is read; `complete` says whether it ends."""
        index = self._match("to", wanted, matches)
        if index is None:
            return False
        self.events.append(read)
        self.complete = self._is_complete("to", wanted)
        return True

    def ends_with(self, until: dict[str, Json], matches: list[Json]) -> bool:
        """Whether this event completes those that end a `listen`; it is not taken."""
        return self._match("until", until, matches) is not None and self._is_complete(
            "until", until
        )

    def _is_complete(self, name: str, wanted: dict[str, Json]) -> bool:
        return bool(wanted["kind"] != "all" or len(self._had[name]) == wanted["count"])

    def _match(self, name: str, wanted: dict[str, Json], matches: list[Json]) -> int | None:
        """The first filter that takes the event; with `all` each takes one."""
        had = self._had.setdefault(name, [])
        if not wanted["count"]:
            return 0
        for index, found in enumerate(matches):
            if wanted["kind"] == "all" and index in had:
                continue
            if found["ok"] and self._agrees(found["keys"]):
                had.append(index)
                return index
        return None

    def _agrees(self, keys: dict[str, Json]) -> bool:
        """Whether all keys are as expected, or as those of the events before; notes new ones."""
        if not all(key["ok"] for key in keys.values()):
            return False
        loose = {
            name: orjson.dumps(key["value"], option=orjson.OPT_SORT_KEYS).decode()
            for name, key in keys.items()
            if not key["fixed"]
        }
        if any(self._keys.get(name, text) != text for name, text in loose.items()):
            return False
        self._keys |= loose
        return True
