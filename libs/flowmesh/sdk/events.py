"""Lifecycle events of executions as a subscriber sees them, with the names REST uses."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.sdk.executions import moment, value_of
from flowmesh.sdk.failures import failure_of
from flowmesh.sdk.payloads import Json

END_TYPES = frozenset(
    ("WorkflowCompleted", "WorkflowFailed", "WorkflowCanceled", "WorkflowTerminated")
)


@dataclass(frozen=True, slots=True)
class Event:
    """A fact in an execution's history; `sequence` counts 1, 2, 3 … without gap."""

    type: str
    sequence: int
    execution_id: str
    workflow_id: str
    node: str
    attempt: int
    at: datetime | None
    data: dict[str, Json]
    cursor: str = ""

    @property
    def last(self) -> bool:
        """Whether nothing follows it."""
        return self.type in END_TYPES

    def as_json(self) -> dict[str, Json]:
        """The event as REST shows it."""
        fields: dict[str, Json] = {
            "type": self.type,
            "sequence": self.sequence,
            "executionId": self.execution_id,
            "workflow": self.workflow_id,
            "timestamp": self.at.isoformat() if self.at else None,
            "data": self.data,
        }
        if self.node:
            fields["taskId"] = self.node
        if self.attempt:
            fields["attempt"] = self.attempt
        return fields


def event_of(message: pb.LifecycleEvent, cursor: str = "") -> Event:
    if message.HasField("signal_flow"):
        flow = message.signal_flow
        return Event(
            type="SignalFlow",
            sequence=message.event.sequence,
            execution_id=message.execution_id,
            workflow_id=message.workflow_id,
            node=flow.to_node,
            attempt=0,
            at=moment(message.event.at_us),
            data={"from": flow.from_node, "to": flow.to_node},
            cursor=cursor,
        )
    return history_event_of(
        message.event, message.execution_id, message.workflow_id, cursor=cursor
    )


def history_event_of(
    message: history_event_pb2.HistoryEvent,
    execution_id: str,
    workflow_id: str = "",
    *,
    cursor: str = "",
) -> Event:
    name = message.WhichOneof("event") or ""
    body = getattr(message, name) if name else None
    return Event(
        type="".join(part.capitalize() for part in name.split("_")),
        sequence=message.sequence,
        execution_id=execution_id,
        workflow_id=workflow_id or getattr(body, "workflow_id", ""),
        node=getattr(body, "node", ""),
        attempt=getattr(body, "attempt", 0),
        at=moment(message.at_us),
        data=_data(body) if body is not None else {},
        cursor=cursor,
    )


_OWN_FIELDS = frozenset(("node", "attempt", "namespace"))


def _data(body: Any) -> dict[str, Json]:
    """The fields of the event's body that are set, payloads and failures as values."""
    data: dict[str, Json] = {}
    for descriptor, value in body.ListFields():
        name = descriptor.name
        if name in _OWN_FIELDS:
            continue
        key = descriptor.json_name
        if name in ("input", "output", "payload"):
            data[key] = value_of(value)
        elif name == "failure":
            failure = failure_of(value)
            data["error"] = {"class": failure.error_class, "message": failure.message}
        elif name == "metadata":
            data[key] = json.loads(value)
        else:
            data[key] = _plain(body, descriptor, value)
    return data


def _plain(body: Any, descriptor: Any, value: Any) -> Json:
    if descriptor.enum_type is not None:
        return MessageToDict(body)[descriptor.json_name]
    if name_is_time(descriptor.name):
        at = moment(value)
        return at.isoformat() if at else None
    return value


def name_is_time(name: str) -> bool:
    return name.endswith("_at_us")
