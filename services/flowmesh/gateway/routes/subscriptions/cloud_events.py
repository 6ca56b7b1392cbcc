"""CloudEvents 1.0 in HTTP requests: structured, binary and batched.

Sources: the JSON event format and the HTTP protocol binding of CloudEvents, version 1.0.2.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.errors import Invalid, TooLarge, UnsupportedMediaType, Violation
from flowmesh.gateway.http.instants import us_of
from flowmesh.jsontext import dump_json, parse_json
from flowmesh.standards.events import ATTRIBUTES, violated_requirement
from flowmesh.standards.extensions import extension_values, extensions_of

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
BATCH_MAX: Final = 100
_PREFIX: Final = "ce-"
_REQUIRED: Final = ("specversion", "id", "source", "type")


def structured_event(value: Any, path: str = "") -> pb.Event:
    """Return an event of its JSON format. Raises EVENT_INVALID."""
    if not isinstance(value, dict):
        raise _invalid(path or "body", "must be an event, which is a JSON object")
    event = dict(value)
    if "data_base64" in event:
        raise _invalid(_at(path, "data_base64"), "is not accepted; send JSON in `data`")
    for name in _REQUIRED:
        if name not in event:
            raise _invalid(_at(path, name), "is missing; CloudEvents 1.0 requires it")
    for name, given in event.items():
        if name in ATTRIBUTES and (wanted := violated_requirement(name, given)):
            raise _invalid(_at(path, name), f"must be {wanted}")
    content = str(event.get("datacontenttype", "application/json"))
    if not is_json(content):
        raise _invalid(_at(path, "datacontenttype"), "must be a type of JSON")
    if "dataschema" in event:
        raise _invalid(_at(path, "dataschema"), "is not kept; send it as an extension attribute")
    return pb.Event(
        id=event["id"],
        source=event["source"],
        type=event["type"],
        subject=event.get("subject", ""),
        time_us=us_of(_at(path, "time"), event["time"]) if "time" in event else 0,
        data=payload_pb2.Payload(data=dump_json(event.get("data"))),
        extensions=extensions_of(extension_values(event)),
    )


def binary_event(headers: Iterable[tuple[str, str]], body: bytes) -> pb.Event:
    """Return an event whose attributes are headers and whose data is the body."""
    event: dict[str, Any] = {}
    for name, value in headers:
        if name == "content-type" and not is_json(value):
            raise UnsupportedMediaType(
                "CONTENT_TYPE_UNSUPPORTED", f"The data of an event is JSON, not {value[:80]!r}."
            )
        if not name.startswith(_PREFIX):
            continue
        attribute = name.removeprefix(_PREFIX)
        if attribute in event:
            raise _invalid(name, "is given more than once")
        if attribute == "data":
            raise _invalid(name, "is no attribute; the body holds the data")
        event[attribute] = _decoded(name, value.strip())
    if body.strip():
        event["data"] = parse_json(body)
    return structured_event(event)


def batched_events(value: Any) -> list[pb.Event]:
    """Return the events of a batch. Raises EVENT_INVALID with the place of the first problem."""
    if not isinstance(value, list):
        raise _invalid("body", "must be a JSON array of events")
    if len(value) > BATCH_MAX:
        text = f"The batch has {len(value):,} events; at most {BATCH_MAX} are allowed."
        raise TooLarge("PAYLOAD_TOO_LARGE", text)
    return [structured_event(each, f"[{index}]") for index, each in enumerate(value)]


def is_binary(headers: Mapping[str, str]) -> bool:
    """Return whether the attributes of an event are in the headers."""
    return any(name.startswith(_PREFIX) for name in headers)


def is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _decoded(name: str, value: str) -> str:
    try:
        return unquote(value, encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        raise _invalid(name, "must be percent-encoded UTF-8") from None


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "EVENT_INVALID")
    return Invalid("EVENT_INVALID", f"{field}: {what}.", violations=(violation,))
