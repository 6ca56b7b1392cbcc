"""The log of a task: lines and metrics of any value are stored."""

from typing import Any

import orjson
import pytest

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.sdk.worker.task_log import TaskLog, with_task_log


def logged(log: TaskLog) -> Any:
    """The metadata of a result with the log."""
    return orjson.loads(with_task_log(task_pb2.TaskResult(), log).metadata)


@pytest.mark.parametrize(
    "fields",
    [{"name": "\ud800"}, {"count": 2**70}, {"mean": float("nan")}, {"deep": [[]]}],
    ids=["no unicode", "a large integer", "not finite", "a circle"],
)
def test_fields_that_are_not_json_are_logged_as_text(fields: dict[str, Any]) -> None:
    """Neither the handler nor the worker fails."""
    if "deep" in fields:
        fields["deep"][0].append(fields["deep"])
    log = TaskLog()
    log.log("info", "half \ud800", fields)
    (line,) = logged(log)["log"]
    assert (line["level"], line["message"]) == ("info", "half ?")
    assert next(iter(fields)) in line["fields"]["told"]


def test_a_line_is_encoded_when_it_is_logged() -> None:
    """Later changes of the values by the handler have no effect."""
    seen: dict[str, Any] = {"ids": [1]}
    log = TaskLog()
    log.log("info", "seen", seen)
    seen["ids"].append(object())
    seen["\ud800"] = 2**70
    assert logged(log)["log"] == [{"level": "info", "message": "seen", "fields": {"ids": [1]}}]


def test_any_finite_metric_is_logged() -> None:
    """The name becomes valid text; a sum beyond the integer range becomes a float."""
    log = TaskLog()
    log.metric("rows \ud800", 3)
    log.metric("atoms", 2**70)
    assert logged(log)["metrics"] == {"rows ?": 3, "atoms": 2.0**70}


@pytest.mark.parametrize("values", [[float("nan")], [float("-inf")], [1e308, 1e308]])
def test_a_metric_that_is_not_finite_is_refused(values: list[float]) -> None:
    """The error names the metric; the sum before it stays."""
    log = TaskLog()
    *before, last = values
    for value in before:
        log.metric("mean", value)
    with pytest.raises(ValueError, match="the metric 'mean' becomes"):
        log.metric("mean", last)
    assert log.metadata().get("metrics", {}) == dict.fromkeys(["mean"][: len(before)], 1e308)
