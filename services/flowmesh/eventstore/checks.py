"""Checks of requests: names, events, filters, bounds."""

from typing import Final

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as groups_pb
from flowmesh.api.eventstore.v1 import stored_event_pb2 as pb
from flowmesh.errors import Invalid, NotFound, TooLarge, Violation, WrongState
from flowmesh.eventstore import limits
from flowmesh.jsontext import parse_json
from flowmesh.rpc import valid_id

VIRTUAL: Final = ("execution", "definition")
_INVALID: Final = "EVENT_STORE_INVALID"


def category_of(stream: str) -> str:
    """Return the name up to its first `-`."""
    return stream.partition("-")[0]


def virtual_of(stream: str) -> tuple[str, str] | None:
    """Return kind and name of a virtual stream, or None. Raises Invalid for a malformed name."""
    kind, slash, name = stream.partition("/")
    if not slash:
        return None
    if kind not in VIRTUAL:
        raise invalid(
            "stream", f"a virtual stream is execution/<id> or definition/<name>: {kind!r}"
        )
    return kind, valid_id(name, "stream")


def written_stream(stream: str) -> str:
    """Return the name of a stream that is to be changed. Raises Invalid or WrongState."""
    if virtual_of(stream):
        raise WrongState("STREAM_VIRTUAL", f"{stream} is virtual: it is read, and never changed.")
    return valid_id(stream, "stream")


def stream_missing(stream: str) -> NotFound:
    return NotFound("STREAM_NOT_FOUND", f"there is no stream {stream!r}")


def check_event(event: pb.NewEvent, place: str) -> None:
    """Raise Invalid or TooLarge for an event that cannot be appended."""
    if event.event_id:
        valid_id(event.event_id, f"{place}.event_id")
    check_text(event.type, f"{place}.type")
    check_json(event.data, f"{place}.data", limits.EVENT_BYTES_MAX)
    if event.metadata:
        check_json(event.metadata, f"{place}.metadata", limits.METADATA_BYTES_MAX)
        if not isinstance(parse_json(event.metadata, f"{place}.metadata"), dict):
            raise invalid(f"{place}.metadata", "must be a JSON object")


def check_text(value: str, field: str) -> None:
    """Raise Invalid for a text that is empty, too long, or has control characters."""
    if not value or len(value) > limits.TEXT_CHARACTERS_MAX:
        raise invalid(field, f"must have 1 to {limits.TEXT_CHARACTERS_MAX} characters")
    if "\0" in value or not value.isprintable():
        raise invalid(field, "must have printable characters only")


def check_json(value: bytes, field: str, bytes_max: int) -> None:
    """Raise Invalid or TooLarge for bytes that are not JSON of at most this size."""
    if len(value) > bytes_max:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"{field}: has {len(value):,} bytes; at most {bytes_max:,} are allowed",
        )
    if value:
        parse_json(value, field)


def checked_filter(given: pb.EventFilter, *, virtual: bool = False) -> pb.EventFilter:
    """Return a checked filter. Raises Invalid."""
    if given.stream:
        if not (virtual and virtual_of(given.stream)):
            written_stream(given.stream)
        if given.category:
            raise invalid("filter.category", "give either a stream or a category")
    if given.category:
        valid_id(given.category, "filter.category")
        if "-" in given.category:
            raise invalid("filter.category", "a category has no `-`")
    if len(given.types) > limits.TYPES_MAX:
        raise invalid("filter.types", f"has more than {limits.TYPES_MAX} entries")
    for number, each in enumerate(given.types):
        check_text(each, f"filter.types[{number}]")
    return given


def checked_group(given: groups_pb.EventGroup) -> groups_pb.EventGroup:
    """Return a checked group with its defaults. Raises Invalid."""
    valid_id(given.event_group, "group.event_group")
    group = groups_pb.EventGroup(
        event_group=given.event_group,
        filter=checked_filter(given.filter),
        start_after=given.start_after,
        lease_ms=given.lease_ms or limits.LEASE_DEFAULT_MS,
        max_attempts=given.max_attempts or limits.ATTEMPTS_DEFAULT,
        retry_delay_ms=given.retry_delay_ms
        if given.HasField("retry_delay_ms")
        else limits.RETRY_DELAY_DEFAULT_MS,
    )
    check_range(group.start_after, "group.start_after", 0, limits.LAST_VERSION)
    check_range(group.lease_ms, "group.lease_ms", limits.LEASE_MIN_MS, limits.LEASE_MAX_MS)
    check_range(group.max_attempts, "group.max_attempts", 1, limits.ATTEMPTS_MAX)
    check_range(group.retry_delay_ms, "group.retry_delay_ms", 0, limits.RETRY_DELAY_MAX_MS)
    return group


def check_range(value: int, field: str, least: int, most: int) -> int:
    """Return the value. Raises Invalid outside the range."""
    if not least <= value <= most:
        raise invalid(field, f"{value} must be from {least:,} to {most:,}")
    return value


def check_room(what: str, count: int, most: int) -> None:
    """Raise TooLarge if a namespace has as many of them as allowed."""
    if count >= most:
        raise TooLarge("EVENT_STORE_TOO_LARGE", f"a namespace has at most {most:,} {what}")


def page_size(given: int, default: int = limits.PAGE_DEFAULT, most: int = limits.PAGE_MAX) -> int:
    return min(given or default, most)


def invalid(field: str, what: str) -> Invalid:
    return Invalid(_INVALID, f"{field}: {what}.", violations=(Violation(field, what, _INVALID),))
