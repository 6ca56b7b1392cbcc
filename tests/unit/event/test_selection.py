"""A subscriber gets exactly the selected events."""

import pytest

from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.event.live.selection import Selection, is_end
from flowmesh.views import EVENT_TYPES

SCHEDULED = pb.HistoryEvent(task_scheduled=pb.TaskScheduled(node="a", attempt=1))
AGAIN = pb.HistoryEvent(task_scheduled=pb.TaskScheduled(node="a", attempt=2))
COMPLETED = pb.HistoryEvent(task_completed=pb.TaskCompleted(node="a"))
END = pb.HistoryEvent(workflow_failed=pb.WorkflowFailed())


def test_no_types_are_all_of_them_without_derived_ones() -> None:
    """SignalFlow is sent only if requested."""
    everything = Selection.of([], ends=True)
    assert everything.wants(SCHEDULED)
    assert not everything.derives(SCHEDULED)


def test_named_types_pass_and_the_end_where_it_is_due() -> None:
    """The last event is sent on streams of one execution only."""
    named = Selection.of(["TaskCompleted"], ends=True)
    assert [named.wants(each) for each in (SCHEDULED, COMPLETED, END)] == [False, True, True]
    assert not Selection.of(["TaskCompleted"], ends=False).wants(END)


def test_an_unknown_name_selects_nothing() -> None:
    """It does not select everything."""
    assert not Selection.of(["Unheard"], ends=False).wants(COMPLETED)


def test_a_flow_is_derived_from_the_first_schedule_only() -> None:
    """A retry moves no data; the schedule itself is sent only if requested."""
    flows = Selection.of(["SignalFlow"], ends=False)
    assert (flows.derives(SCHEDULED), flows.derives(AGAIN)) == (True, False)
    assert not flows.wants_itself(SCHEDULED)


@pytest.mark.parametrize("field", list(EVENT_TYPES))
def test_exactly_the_workflow_ends_end_a_stream(field: str) -> None:
    """Completed, failed, canceled, terminated, and continued as a new execution."""
    event = pb.HistoryEvent()
    getattr(event, field).SetInParent()
    ends = ("completed", "failed", "canceled", "terminated", "continued")
    assert is_end(event) == (field in [f"workflow_{end}" for end in ends])


def test_workflow_and_execution_narrow_rows() -> None:
    """Empty fields match all."""
    selection = Selection.of([], workflow_id="w", execution_id="e", ends=False)
    assert selection.wants_row("w", "e")
    assert not selection.wants_row("w", "other")
    assert not selection.wants_row("other", "e")
