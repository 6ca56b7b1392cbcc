"""Events of executions without their values."""

from typing import Any

from google.protobuf.message import Message

from flowmesh.api.common.v1 import failure_pb2, payload_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine.erasure import ERASED

_NULL = payload_pb2.Payload(data=b"null")


def without_values(event: history_event_pb2.HistoryEvent) -> history_event_pb2.HistoryEvent:
    """Return the event without values; the history can still be replayed."""
    bare = history_event_pb2.HistoryEvent()
    bare.CopyFrom(event)
    _strip(bare)
    return bare


def _strip(message: Any) -> None:
    if isinstance(message, execution_pb2.Hold):
        message.key = ""
    for field, value in message.ListFields():
        if field.type == field.TYPE_BYTES:
            message.ClearField(field.name)
        elif isinstance(value, Message):
            _strip_one(value)
        elif field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            if field.message_type is search_pb2.SearchValue.DESCRIPTOR:
                kept = [each.SerializeToString() for each in value if _is_label(each)]
                message.ClearField(field.name)
                getattr(message, field.name).extend(map(search_pb2.SearchValue.FromString, kept))
            else:
                for each in value:
                    _strip_one(each)


def _is_label(value: search_pb2.SearchValue) -> bool:
    return value.name.startswith("label.")


def _strip_one(value: Any) -> None:
    if isinstance(value, payload_pb2.Payload):
        value.CopyFrom(_NULL)
    elif isinstance(value, failure_pb2.Failure):
        value.message = ERASED
        value.ClearField("details")
    else:
        _strip(value)
