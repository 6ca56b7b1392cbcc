"""The log of a task: lines and metrics of its handler, stored with the node."""

import math
from collections.abc import Callable

import orjson

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract.json_value import Json
from flowmesh.jsontext.integers import INTEGER_MAX, INTEGER_MIN
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import check_finite

LEVELS = ("debug", "info", "warning", "error")


class TaskLog:
    """Lines and metrics of one attempt; entries over the size limit are counted and dropped."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._metrics: dict[str, float] = {}
        self._free_bytes = limits.TASK_LOG_BYTES_MAX
        self._dropped = 0

    def log(self, level: str, message: str, fields: dict[str, Json]) -> None:
        """Add a line; raises ValueError for an unknown level."""
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
        line: dict[str, Json] = {
            "level": level,
            "message": _unicode(message[: limits.TASK_LOG_LINE_CHARS_MAX]),
        }
        if fields:
            line["fields"] = fields
        # Encode now, as the handler may change the values later.
        text = _encoded(line)
        self._add(len(text), lambda: self._lines.append(text))

    def metric(self, name: str, value: float) -> None:
        """Add to the metric of that name; raises ValueError if the sum is not finite."""
        name = _unicode(name)
        total = self._metrics.get(name, 0) + value
        if not INTEGER_MIN <= total <= INTEGER_MAX:
            total = float(total)
        if not math.isfinite(total):
            raise ValueError(f"the metric {name!r} becomes {total}, which is not a finite number")
        size = 0 if name in self._metrics else len(name) + 24
        self._add(size, lambda: self._metrics.__setitem__(name, total))

    def _add(self, size: int, store: Callable[[], None]) -> None:
        if size > self._free_bytes:
            self._dropped += 1
            return
        self._free_bytes -= size
        store()

    def metadata(self) -> dict[str, Json]:
        """Return the lines, the metrics and the number of dropped entries, without empty ones."""
        metadata: dict[str, Json] = {}
        if self._lines:
            metadata["log"] = [orjson.Fragment(line) for line in self._lines]
        if self._metrics:
            metadata["metrics"] = self._metrics
        return metadata | ({"dropped": self._dropped} if self._dropped else {})


def _unicode(text: str) -> str:
    """Replace each character that is not valid Unicode."""
    return text.encode("utf-8", "replace").decode()


def _encoded(line: dict[str, Json]) -> bytes:
    """Encode a line as JSON; fields that are not JSON become one text, so that logging never fails
    a task.
    """
    try:
        text = orjson.dumps(line, default=str)
        check_finite(text, line)
        return text
    except (TypeError, ValueError):
        fields = ascii(line["fields"])[: limits.TASK_LOG_LINE_CHARS_MAX]
        return orjson.dumps({**line, "fields": {"told": fields}})


def with_task_log(result: task_pb2.TaskResult, log: TaskLog | None) -> task_pb2.TaskResult:
    """Add the task log to a result: to its metadata, or to the details of its failure."""
    if log is None:
        return result
    metadata = log.metadata()
    if result.HasField("failure"):
        details = orjson.loads(result.failure.details or b"{}")
        if isinstance(details, dict):
            result.failure.details = orjson.dumps(metadata | details, default=str)
    else:
        result.metadata = orjson.dumps(metadata, default=str)
    return result
