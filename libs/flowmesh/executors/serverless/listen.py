"""The events that a `listen` of Serverless Workflow has consumed.

A strategy of the configuration is `{"kind", "count", "matches"}`; `matches` has been evaluated over
the event: `{"ok", "keys"}` for each filter. A key has the correlation `value` of the event, and
whether it is the expected one.
"""

from typing import Final

import orjson

from flowmesh.contract.json_value import Json

PROBLEM_CHARACTERS_MAX: Final = 500


class ConsumedEvents:
    """The consumed events, the filters that have matched, and the correlation keys."""

    def __init__(self, events: list[Json], had: dict[str, list[int]], keys: dict[str, str]) -> None:
        self.events = events
        self.complete = False
        # The last failure of a filter, for people: such an event is not consumed.
        self.problem = ""
        self._had = had
        self._keys = keys

    @classmethod
    def of(cls, stored: dict[str, Json] | None) -> "ConsumedEvents":
        """Restore the events from `to_json`; none before the first event."""
        stored = stored or {}
        had = {name: list(filters) for name, filters in stored.get("had", {}).items()}
        consumed = cls(list(stored.get("events", ())), had, dict(stored.get("keys", {})))
        consumed.problem = stored.get("problem", "")
        return consumed

    def to_json(self) -> dict[str, Json]:
        stored = {"events": self.events, "had": self._had, "keys": self._keys}
        return stored | ({"problem": self.problem} if self.problem else {})

    def take(self, wanted: dict[str, Json], matches: list[Json], read: Json) -> bool:
        """Consume an event that a filter matches. Return whether the `listen` is complete."""
        index = self._match("to", wanted, matches)
        if index is None:
            return False
        self.events.append(read)
        self.complete = self._is_complete("to", wanted)
        return True

    def ends_with(self, until: dict[str, Json], matches: list[Json]) -> bool:
        """Return whether the event ends the `listen`; it is not consumed."""
        return self._match("until", until, matches) is not None and self._is_complete(
            "until", until
        )

    def _is_complete(self, name: str, wanted: dict[str, Json]) -> bool:
        return bool(wanted["kind"] != "all" or len(self._had[name]) == wanted["count"])

    def _match(self, name: str, wanted: dict[str, Json], matches: list[Json]) -> int | None:
        """Return the first filter that matches; with `all`, each filter matches one event."""
        had = self._had.setdefault(name, [])
        if not wanted["count"]:
            return 0
        for index, found in enumerate(matches):
            if wanted["kind"] == "all" and index in had:
                continue
            if "problem" in found:
                self.problem = f"{name}[{index}]: {found['problem'][:PROBLEM_CHARACTERS_MAX]}"
            if found["ok"] and self._agrees(found["keys"]):
                had.append(index)
                return index
        return None

    def _agrees(self, keys: dict[str, Json]) -> bool:
        """Return whether all keys are expected or equal earlier ones; store new keys."""
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
