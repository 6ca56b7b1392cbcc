"""What a handler says of its work: kept as it was said, whatever it is."""

from typing import Any

import orjson
import pytest

from flowmesh.api.worker.v1 import task_pb2
from flowmesh.sdk.worker.task_log import Notes, noted


class Said:
    """The part of a context that notes are taken from."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes


def told(notes: Notes) -> Any:
    said: Any = Said(notes)
    return orjson.loads(noted(task_pb2.TaskResult(), said).metadata)


@pytest.mark.parametrize(
    "fields",
    [{"name": "\ud800"}, {"count": 2**70}, {"mean": float("nan")}, {"deep": [[]]}],
    ids=["no unicode", "a large integer", "not finite", "a circle"],
)
def test_a_line_with_what_is_no_json_is_told_as_text(fields: dict[str, Any]) -> None:
    """The handler goes on, and so does its worker."""
    if "deep" in fields:
        fields["deep"][0].append(fields["deep"])
    notes = Notes()
    notes.log("info", "half \ud800", fields)
    (line,) = told(notes)["log"]
    assert (line["level"], line["message"]) == ("info", "half ?")
    assert next(iter(fields)) in line["fields"]["told"]


def test_a_line_is_as_it_was_said() -> None:
    """What the handler makes of its values later changes nothing, and breaks nothing."""
    seen: dict[str, Any] = {"ids": [1]}
    notes = Notes()
    notes.log("info", "seen", seen)
    seen["ids"].append(object())
    seen["\ud800"] = 2**70
    assert told(notes)["log"] == [{"level": "info", "message": "seen", "fields": {"ids": [1]}}]


def test_any_figure_is_told() -> None:
    """Under a name that is text; one that is too large for an integer as the nearest number."""
    notes = Notes()
    notes.metric("rows \ud800", 3)
    notes.metric("atoms", 2**70)
    assert told(notes)["metrics"] == {"rows ?": 3, "atoms": 2.0**70}


@pytest.mark.parametrize("values", [[float("nan")], [float("-inf")], [1e308, 1e308]])
def test_a_figure_that_is_not_finite_is_refused(values: list[float]) -> None:
    """By its name; the figure before it stays."""
    notes = Notes()
    *before, last = values
    for value in before:
        notes.metric("mean", value)
    with pytest.raises(ValueError, match="the metric 'mean' becomes"):
        notes.metric("mean", last)
    assert notes.told().get("metrics", {}) == dict.fromkeys(["mean"][: len(before)], 1e308)
