"""Decisions about appends: versions, positions, conflicts, repeats. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import FlowmeshError, Violation, WrongState
from flowmesh.eventstore import limits
from flowmesh.eventstore.checks import category_of


@dataclass(frozen=True, slots=True)
class Place:
    """A stored event without its content."""

    position: int
    version: int
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    """An event to store."""

    position: int
    stream: str
    version: int
    category: str
    id: str
    type: str
    data: bytes
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """The last version of a stream, and the bounds of its new positions."""

    category: str
    version: int
    first: int
    last: int


@dataclass(slots=True)
class Known:
    """The stored part of the streams of a batch, with the additions of the batch."""

    versions: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    # Version and position by stream and id.
    events: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def add_stream(self, stream: str, version: int, *, deleted: bool) -> None:
        self.versions[stream] = version
        if deleted:
            self.deleted.add(stream)

    def add_event(self, stream: str, id: str, version: int, position: int) -> None:
        self.events[stream, id] = (version, position)


@dataclass(slots=True)
class Appended:
    """The outcomes of a batch in its order, and the events to store."""

    outcomes: list[pb.AppendEventsResponse | FlowmeshError] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def streams(self) -> dict[str, Span]:
        """Return the streams that get events."""
        found: dict[str, Span] = {}
        for each in self.events:
            first = found[each.stream].first if each.stream in found else each.position
            found[each.stream] = Span(each.category, each.version, first, each.position)
        return found


def decide(requests: list[pb.AppendEventsRequest], known: Known, head: int) -> Appended:
    """Decide about appends to one namespace, one after the other. `known` is changed."""
    appended = Appended()
    for request in requests:
        try:
            repeated = _repeated(request, known)
            if repeated is not None:
                appended.outcomes.append(repeated)
                continue
            _check_expected(request, known)
        except FlowmeshError as error:
            appended.outcomes.append(error)
            continue
        first = known.versions.get(request.stream, 0) + 1
        rows = list(_rows(request, first, head + len(appended.events) + 1))
        appended.events += rows
        known.versions[request.stream] = rows[-1].version
        for row in rows:
            known.add_event(row.stream, row.id, row.version, row.position)
        appended.outcomes.append(
            pb.AppendEventsResponse(
                first_version=first, last_version=rows[-1].version, position=rows[-1].position
            )
        )
    return appended


def chosen_page(places: list[Place], count: int) -> list[Place]:
    """Return the first places that make a page: bounded by number and by bytes, at least one."""
    page: list[Place] = []
    size = 0
    for place in places[:count]:
        size += place.size
        if page and size > limits.PAGE_BYTES_MAX:
            break
        page.append(place)
    return page


def _rows(request: pb.AppendEventsRequest, version: int, position: int) -> Iterator[Row]:
    category = category_of(request.stream)
    for number, event in enumerate(request.events):
        yield Row(
            position=position + number,
            stream=request.stream,
            version=version + number,
            category=category,
            id=event.event_id,
            type=event.type,
            data=event.data or b"null",
            metadata=event.metadata or b"{}",
        )


def _repeated(request: pb.AppendEventsRequest, known: Known) -> pb.AppendEventsResponse | None:
    """Return the former answer if all events are stored. Raises WrongState for some."""
    stored = [known.events.get((request.stream, each.event_id)) for each in request.events]
    found = [each for each in stored if each is not None]
    if not found:
        return None
    versions = [version for version, _ in found]
    whole = len(found) == len(stored) and versions == list(
        range(versions[0], versions[0] + len(versions))
    )
    if not whole:
        known_id = next(
            each.event_id for each, place in zip(request.events, stored, strict=True) if place
        )
        raise WrongState(
            "EVENT_EXISTS",
            f"{request.stream}: the event {known_id!r} is stored, but not together with the other"
            " events of the request; append new events under new ids",
        )
    return pb.AppendEventsResponse(
        first_version=versions[0],
        last_version=versions[-1],
        position=found[-1][1],
        duplicate=True,
    )


def _check_expected(request: pb.AppendEventsRequest, known: Known) -> None:
    if request.stream in known.deleted:
        raise WrongState(
            "STREAM_DELETED", f"the stream {request.stream!r} is deleted; use another name"
        )
    current = known.versions.get(request.stream, 0)
    match request.WhichOneof("expected"):
        case "version":
            wrong, wanted = current != request.version, f"version {request.version}"
        case "no_stream":
            wrong, wanted = request.no_stream and current != 0, "no stream"
        case "exists":
            wrong, wanted = request.exists and current == 0, "an existing stream"
        case _:
            return
    if wrong:
        raise version_conflict(request.stream, wanted, current)


def version_conflict(stream: str, wanted: str, current: int) -> WrongState:
    text = f"{stream}: expected {wanted}, and the stream is at version {current}"
    violation = Violation("expected", f"the current version is {current}", "VERSION_CONFLICT")
    return WrongState("VERSION_CONFLICT", text, violations=(violation,))


def repeated_id(events: list[stored_event_pb2.NewEvent]) -> str | None:
    """Return an id that two of the events have, or None."""
    seen: set[str] = set()
    for each in events:
        if each.event_id in seen:
            return each.event_id
        seen.add(each.event_id)
    return None
