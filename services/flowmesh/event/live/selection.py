"""The event filter of a subscriber. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.views import END_TYPES, EVENT_TYPES, SIGNAL_FLOW

_SCHEDULED = "task_scheduled"
_ENDS = frozenset(field for field, name in EVENT_TYPES.items() if name in END_TYPES)


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty members match everything. Types are fields of the oneof of HistoryEvent."""

    workflow_id: str = ""
    execution_id: str = ""
    types: frozenset[str] = frozenset()
    # Derived from TaskScheduled, and sent only if requested by name.
    signal_flow: bool = False
    # The last event of an execution is sent for any types.
    ends: bool = False

    @classmethod
    def of(
        cls, names: Iterable[str], *, workflow_id: str = "", execution_id: str = "", ends: bool
    ) -> "Selection":
        """Make a selection from public type names; unknown names select nothing."""
        wanted = frozenset(names)
        fields = {field for field, name in EVENT_TYPES.items() if name in wanted}
        return cls(
            workflow_id=workflow_id,
            execution_id=execution_id,
            # Only unknown names must not become an empty set, which means "all".
            types=frozenset(fields or wanted),
            signal_flow=SIGNAL_FLOW in wanted,
            ends=ends,
        )

    def wants_row(self, workflow_id: str, execution_id: str) -> bool:
        return (not self.workflow_id or self.workflow_id == workflow_id) and (
            not self.execution_id or self.execution_id == execution_id
        )

    def wants(self, event: history_event_pb2.HistoryEvent) -> bool:
        """Return whether the event, or an event derived from it, is selected."""
        return self.wants_itself(event) or self.derives(event)

    def wants_itself(self, event: history_event_pb2.HistoryEvent) -> bool:
        if not self.types:
            return True
        field = event.WhichOneof("event")
        return field in self.types or (self.ends and field in _ENDS)

    def derives(self, event: history_event_pb2.HistoryEvent) -> bool:
        """Return whether a flow is derived from the event: the first schedule of a node."""
        return (
            self.signal_flow
            and event.WhichOneof("event") == _SCHEDULED
            and event.task_scheduled.attempt <= 1
        )


ALL: Final = Selection()


def is_end(event: history_event_pb2.HistoryEvent) -> bool:
    """Return whether this is the last event of an execution."""
    return event.WhichOneof("event") in _ENDS
