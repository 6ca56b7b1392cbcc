"""Lifecycle events of executions, with the names of REST."""

from dataclasses import dataclass, field
from datetime import datetime

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.contract.json_value import Json
from flowmesh.records import moment
from flowmesh.views import END_TYPES, SIGNAL_FLOW, event_view


@dataclass(frozen=True, slots=True)
class Event:
    """An event of an execution's history; `sequence` counts from 1 without gap.

    `data` has the same members as in REST; a value above 256 KiB is `{"$payload": …}`.
    """

    type: str
    sequence: int
    execution_id: str
    workflow_id: str
    node: str
    attempt: int
    at: datetime | None
    data: dict[str, Json]
    # The cursor that resumes a stream over all executions after this event.
    cursor: str = ""
    _view: dict[str, Json] = field(default_factory=dict, repr=False, compare=False)

    @property
    def last(self) -> bool:
        """True for the last event of an execution."""
        return self.type in END_TYPES

    @property
    def derived(self) -> bool:
        """True if it is not stored; it has the sequence of the event from which it is derived."""
        return self.type == SIGNAL_FLOW

    def as_json(self) -> dict[str, Json]:
        """Return the event in the form of REST."""
        return self._view


def event_of(message: pb.LifecycleEvent, cursor: str = "") -> Event:
    """Convert an event of a stream."""
    view = event_view(message)
    return Event(
        type=view["type"],
        sequence=view["sequence"],
        execution_id=message.execution_id,
        workflow_id=message.workflow_id,
        node=view.get("taskId", ""),
        attempt=view.get("attempt", 0),
        at=moment(message.event.at_us),
        data=view["data"],
        cursor=cursor,
        _view=view,
    )


def history_event_of(
    event: history_event_pb2.HistoryEvent, execution_id: str, workflow_id: str
) -> Event:
    """Convert an event of the history."""
    return event_of(
        pb.LifecycleEvent(execution_id=execution_id, workflow_id=workflow_id, event=event)
    )
