"""What a handler says of its work besides the output: lines and figures, kept with the node."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.jsontext.integers import INTEGER_MAX, INTEGER_MIN
from flowmesh.sdk import limits
from flowmesh.sdk.payloads import Json, check_finite

if TYPE_CHECKING:
    from flowmesh.sdk.worker.context import TaskContext

LEVELS = ("debug", "info", "warning", "error")


class Notes:
    """Few and short; what is over a bound is counted and left out."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._metrics: dict[str, float] = {}
        self._left = limits.NOTES_BYTES_MAX
        self._dropped = 0

    def log(self, level: str, message: str, fields: dict[str, Json]) -> None:
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
        line: dict[str, Json] = {
            "level": level,
            "message": _unicode(message[: limits.NOTE_CHARS_MAX]),
        }
        if fields:
            line["fields"] = fields
        # As it is now: what the handler does with the values later is not what it said.
        text = _dumped(line)
        self._add(len(text), lambda: self._lines.append(text))

    def metric(self, name: str, value: float) -> None:
        """Adds to the figure of that name; raises ValueError for one that is not finite."""
        name = _unicode(name)
        total = self._metrics.get(name, 0) + value
        if not INTEGER_MIN <= total <= INTEGER_MAX:
            total = float(total)
        if not math.isfinite(total):
            raise ValueError(f"the metric {name!r} becomes {total}, which is not a finite number")
        size = 0 if name in self._metrics else len(name) + 24
        self._add(size, lambda: self._metrics.__setitem__(name, total))

    def _add(self, size: int, keep: Callable[[], None]) -> None:
        if size > self._left:
            self._dropped += 1
            return
        self._left -= size
        keep()

    def told(self) -> dict[str, Json]:
        told: dict[str, Json] = {}
        if self._lines:
            told["log"] = [orjson.Fragment(line) for line in self._lines]
        if self._metrics:
            told["metrics"] = self._metrics
        return told | ({"dropped": self._dropped} if self._dropped else {})


def _unicode(text: str) -> str:
    """The text, with a mark for each character that is none."""
    return text.encode("utf-8", "replace").decode()


def _dumped(line: dict[str, Json]) -> bytes:
    """A line as JSON, its fields as one text where they are not: nothing said ends a handler."""
    try:
        text = orjson.dumps(line, default=str)
        check_finite(text, line)
        return text
    except (TypeError, ValueError):
        told = ascii(line["fields"])[: limits.NOTE_CHARS_MAX]
        return orjson.dumps({**line, "fields": {"told": told}})


def noted(result: task_pb2.TaskResult, context: "TaskContext | None") -> task_pb2.TaskResult:
    """The result with what its handler noted: as metadata, or among the details of a failure."""
    notes = None if context is None else context.notes
    if notes is None:
        return result
    told = notes.told()
    if result.HasField("failure"):
        details = orjson.loads(result.failure.details or b"{}")
        if isinstance(details, dict):
            result.failure.details = orjson.dumps(told | details, default=str)
    else:
        result.metadata = orjson.dumps(told, default=str)
    return result
