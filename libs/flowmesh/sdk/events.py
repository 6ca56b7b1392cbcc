"""Lifecycle events of executions as a subscriber sees them, with the names REST uses."""

from dataclasses import dataclass, field
from datetime import datetime

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.sdk.executions import moment
from flowmesh.sdk.payloads import Json
from flowmesh.views import END_TYPES, SIGNAL_FLOW, event_view


@dataclass(frozen=True, slots=True)
class Event:
    """A fact in an execution's history; `sequence` counts 1, 2, 3 … without gap.

    `data` has the members REST shows; a value above 256 KiB is `{"$payload": …}` in it.
    """

    type: str
    sequence: int
    execution_id: str
    workflow_id: str
    node: str
    attempt: int
    at: datetime | None
    data: dict[str, Json]
    # Resumes a stream over many executions behind this event.
    cursor: str = ""
    _view: dict[str, Json] = field(default_factory=dict, repr=False, compare=False)

    @property
    def last(self) -> bool:
        """Whether nothing follows it."""
        return self.type in END_TYPES

    @property
    def derived(self) -> bool:
        """Whether it is not stored: it has the sequence of the event it was derived from."""
        return self.type == SIGNAL_FLOW

    def as_json(self) -> dict[str, Json]:
        """The event as REST shows it."""
        return self._view


def event_of(message: pb.LifecycleEvent, cursor: str = "") -> Event:
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
    """An event read from the history instead of a stream."""
    return event_of(
        pb.LifecycleEvent(execution_id=execution_id, workflow_id=workflow_id, event=event)
    )
