"""Search values of executions as stored: a text or a number under a name."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.engine import SearchValue

ERROR_BYTES_MAX = 1_024
"""Length limit of an error's text in bytes: entries of an index are bounded."""

Stored: TypeAlias = tuple[str | None, float | None]
"""A text or a number; both are None once the value is removed."""


def search_rows(
    search: Mapping[str, SearchValue], failure: failure_pb2.Failure | None
) -> dict[str, Stored]:
    """Return the search values of an execution by name, including those of its failure."""
    rows = {name: stored_value(value) for name, value in search.items()}
    if failure is not None:
        name = getattr(failure, "class")
        rows["error.class"] = (truncated(name), None)
        rows["error"] = (truncated(f"{name}: {failure.message}"), None)
    return rows


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
