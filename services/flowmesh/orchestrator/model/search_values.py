"""Search values of executions as stored: a text or a number under a name."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from flowmesh.access.encryption import DataKeys, error_place
from flowmesh.api.common.v1 import failure_pb2
from flowmesh.engine import SearchValue, State
from flowmesh.filters import NEEDS

ERROR_BYTES_MAX = 1_024
"""Length limit of an error's text in bytes: entries of an index are bounded."""

HASHED_FAMILIES = frozenset(("attr", "input"))
"""The families of search values that are values of executions; labels are not."""

Stored: TypeAlias = tuple[str | None, float | None]
"""A text or a number; both are None once the value is removed."""


def search_rows(
    search: Mapping[str, SearchValue], failure: failure_pb2.Failure | None, need: str = ""
) -> dict[str, Stored]:
    """Return the search values of an execution by name, with those of its failure and its need."""
    rows = {name: stored_value(value) for name, value in search.items()}
    if need:
        rows["needs"] = (need, None)
    if failure is not None:
        name = getattr(failure, "class")
        rows["error.class"] = (truncated(name), None)
        rows["error"] = (truncated(f"{name}: {failure.message}"), None)
    return rows


def sealed_value(
    keys: DataKeys, namespace: str, execution_id: str, name: str, value: Stored
) -> Stored:
    """Return a search value as an encrypted namespace stores it.

    The text of a failure is sealed. Attributes and values of inputs are keyed hashes, which only
    equality finds.
    """
    if not keys.covers(namespace) or value == (None, None):
        return value
    if name == "error":
        return keys.seal_text(namespace, value[0] or "", error_place(execution_id)), None
    if name.partition(".")[0] in HASHED_FAMILIES:
        return hashed_text(keys, namespace, name, value), None
    return value


def hashed_text(keys: DataKeys, namespace: str, name: str, value: Stored) -> str:
    text, number = value
    return keys.hashed(namespace, f"{name}\n{number!r}" if text is None else f"{name}\n{text}")


def need_of(state: State) -> str:
    """Return the most urgent of `filters.NEEDS` that an execution waits for; empty for none."""
    if state.ended or not (state.on_hold or state.asking or state.stopped):
        return ""
    waiting = {"hold": state.on_hold, "approval": state.asking, "breakpoint": state.stopped}
    return next((need for need in NEEDS if waiting[need]), "")


def stored_value(value: SearchValue) -> Stored:
    """Return a search value in stored form."""
    if isinstance(value, bool):
        return str(value).lower(), None
    if isinstance(value, int):
        return instant_text(value), None
    return (None, value) if isinstance(value, float) else (value, None)


def instant_text(at_us: int) -> str:
    """Return a time as text of fixed width, so that texts sort in the order of times."""
    seconds, micros = divmod(at_us, 1_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros, tzinfo=None)
    return at.isoformat(timespec="microseconds") + "Z"


def truncated(text: str) -> str:
    """Return a text cut to the limit, without characters that the database rejects."""
    encoded = text.replace("\0", " ").encode("utf-8", "replace")
    return encoded[:ERROR_BYTES_MAX].decode("utf-8", "ignore")
