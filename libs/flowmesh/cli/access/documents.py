"""Messages of the identity service as documents and cells of tables."""

import re
from typing import Any

from google.protobuf.message import Message

from flowmesh.cli import output
from flowmesh.records import moment

_TIME = re.compile("(^|_)at_us$")


def document_of(message: Message) -> dict[str, Any]:
    """Return a message with the field names and times of JSON."""
    return {
        _json_name(field.name): _value(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.message_type or field.is_repeated or message.HasField(field.name)
    }


def age_of(time_us: int) -> str:
    """Return the age of a time for a table; `-` for none."""
    return output.age(moment(time_us))


def _value(field: Any, value: Any) -> Any:
    if field.message_type and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_single(field, each) for each in value]
    return _single(field, value)


def _single(field: Any, value: Any) -> Any:
    if field.message_type:
        return document_of(value)
    if field.enum_type:
        prefix = field.enum_type.values[0].name.removesuffix("UNSPECIFIED")
        name = field.enum_type.values_by_number[value].name.removeprefix(prefix)
        return "installation" if name == "UNSPECIFIED" else name.lower()
    if _TIME.search(field.name):
        return output.iso(moment(value))
    return value


def _json_name(name: str) -> str:
    return output.camel(name.removesuffix("_us") if _TIME.search(name) else name)
