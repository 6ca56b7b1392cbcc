"""What executions are found by, as it is stored: text or a number under a name."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.engine import SearchValue

ERROR_BYTES_MAX = 1_024
"""Of the text of an error; it goes into an index, whose entries are bounded."""

Stored: TypeAlias = tuple[str | None, float | None]
"""Text or number; neither where it is no longer there."""


def searched(
    search: Mapping[str, SearchValue], failure: failure_pb2.Failure | None
) -> dict[str, Stored]:
    """The rows of an execution by name, those of its failure included."""
    rows = {name: stored(value) for name, value in search.items()}
    if failure is not None:
        name = getattr(failure, "class")
        rows["error.class"] = (short(name), None)
        rows["error"] = (short(f"{name}: {failure.message}"), None)
    return rows


def stored(value: SearchValue) -> Stored:
    """A search value as its row has it."""
    if isinstance(value, bool):
        return str(value).lower(), None
    if isinstance(value, int):
        return instant_text(value), None
    return (None, value) if isinstance(value, float) else (value, None)


def instant_text(at_us: int) -> str:
    """A time as text of one width, so that texts are in the order of times."""
    seconds, micros = divmod(at_us, 1_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros, tzinfo=None)
    return at.isoformat(timespec="microseconds") + "Z"


def short(text: str) -> str:
    """The beginning of a text, without what a database does not take."""
    encoded = text.replace("\0", " ").encode("utf-8", "replace")
    return encoded[:ERROR_BYTES_MAX].decode("utf-8", "ignore")
