"""Which events a subscriber wants. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.views import END_TYPES, EVENT_TYPES, SIGNAL_FLOW

_SCHEDULED = "task_scheduled"
_ENDS = frozenset(field for field, name in EVENT_TYPES.items() if name in END_TYPES)


@dataclass(frozen=True, slots=True)
class Selection:
    """Empty members let everything pass. Types are fields of HistoryEvent's oneof."""

    workflow_id: str = ""
    execution_id: str = ""
    types: frozenset[str] = frozenset()
    # Derived from TaskScheduled, and sent only when asked for by name.
    signal_flow: bool = False
    # The last event of an execution comes whatever types are asked for.
    ends: bool = False

    @classmethod
    def of(
        cls, names: Iterable[str], *, workflow_id: str = "", execution_id: str = "", ends: bool
    ) -> "Selection":
        """From public type names; ones that no event has select nothing."""
        wanted = frozenset(names)
        fields = {field for field, name in EVENT_TYPES.items() if name in wanted}
        return cls(
            workflow_id=workflow_id,
            execution_id=execution_id,
            # A name nobody knows must not turn into "all".
            types=frozenset(fields or wanted),
            signal_flow=SIGNAL_FLOW in wanted,
            ends=ends,
        )

    def wants_row(self, workflow_id: str, execution_id: str) -> bool:
        return (not self.workflow_id or self.workflow_id == workflow_id) and (
            not self.execution_id or self.execution_id == execution_id
        )

    def wants(self, event: history_event_pb2.HistoryEvent) -> bool:
        """Whether the event, or what is derived from it, is to be sent."""
        return self.wants_itself(event) or self.derives(event)

    def wants_itself(self, event: history_event_pb2.HistoryEvent) -> bool:
        if not self.types:
            return True
        field = event.WhichOneof("event")
        return field in self.types or (self.ends and field in _ENDS)

    def derives(self, event: history_event_pb2.HistoryEvent) -> bool:
        """Whether the event stands for data that flowed to a node: its first schedule."""
        return (
            self.signal_flow
            and event.WhichOneof("event") == _SCHEDULED
            and event.task_scheduled.attempt <= 1
        )


def is_end(event: history_event_pb2.HistoryEvent) -> bool:
    """Whether this is an execution's last event."""
    return event.WhichOneof("event") in _ENDS
