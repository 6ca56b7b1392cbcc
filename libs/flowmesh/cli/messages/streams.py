"""`stream list|show|read|append|tail|delete|retention`, over the event store."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Flag, JsonText, Texts
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import StoredEvent, StreamInfo

DATA_CHARACTERS_MAX = 80
StreamArgument = Annotated[
    str, Parameter(help="Name of the stream, or execution/ID, definition/NAME.")
]
EventType = Annotated[Texts, Parameter(help="Only events of this type; can be repeated.")]


@command
async def list_streams(*, category: str = "", common: Common = COMMON) -> None:
    """List streams of events with their versions.

    Args:
        category: Only streams whose names begin with it and a hyphen.
    """
    async with connected(common) as client:
        found = await collect(client.event_store.streams(category=category), 0)
    output.listing(
        found,
        _info_json,
        lambda each: output.line(f"{each.stream}  version {each.version:,}"),
        none="No streams found.",
    )


@command
async def show(stream: StreamArgument, /, *, common: Common = COMMON) -> int:
    """Show a stream, its versions, its snapshot and its bounds."""
    async with connected(common) as client:
        info = await client.event_store.stream(stream)
    if common.structured:
        output.document(_info_json(info))
        return exit_codes.DONE
    output.line(f"{info.stream}  version {info.version:,}, from {info.first_version:,}")
    output.line(f"  created {output.age(info.created_at)}")
    output.line(f"  changed {output.age(info.changed_at)}")
    if info.snapshot_version:
        output.line(f"  snapshot of version {info.snapshot_version:,}")
    if info.max_events or info.max_age_ms:
        output.line(f"  at most {info.max_events:,} events, {info.max_age_ms:,} ms (0: unlimited)")
    return exit_codes.DONE


@command
async def read(
    stream: StreamArgument,
    /,
    *,
    version: int = 0,
    backwards: Flag = False,
    limit: int = 100,
    common: Common = COMMON,
) -> None:
    """Print the events of a stream.

    Args:
        version: First version; 0 is the first event, or the last one backwards.
        backwards: Begin with the last event.
        limit: Maximum number of events; 0 is all.
    """
    async with connected(common) as client:
        events = client.event_store.read(stream, version=version, backwards=backwards, count=limit)
        async for event in events:
            _print(event, common)


@command
async def append(
    stream: StreamArgument,
    type: Annotated[str, Parameter(help="Type of the event.")],
    data: Annotated[JsonText, Parameter(help="JSON, @file, or - for standard input.")] = "null",
    /,
    *,
    id: str = "",
    expected: str = "any",
    common: Common = COMMON,
) -> None:
    """Append an event to a stream.

    Args:
        id: Id of the event; the same id is stored once.
        expected: Version that the stream must have: a number, any, none or exists.
    """
    from flowmesh.sdk import NewEvent

    event = NewEvent(type, read_value(data, "DATA"), id=id)
    async with connected(common) as client:
        appended = await client.event_store.append(stream, event, expected=_expected(expected))
    document = {"stream": stream} | output.members(
        appended, "version=last_version position duplicate"
    )
    effect = "was stored before as" if appended.duplicate else "is at"
    output.result(document, f"{stream} {effect} version {appended.last_version:,}")


@command
async def tail(
    stream: Annotated[str, Parameter(help="Name of a stream; all streams without one.")] = "",
    /,
    *,
    category: str = "",
    type: EventType = None,
    after: int | None = None,
    common: Common = COMMON,
) -> None:
    """Print events as they are appended, until interrupted.

    Args:
        category: Only streams of this category.
        after: Begin after this position, or this version of a virtual stream.
    """
    async with connected(common) as client:
        events = client.event_store.subscribe(
            stream=stream, category=category, types=type or (), after=after or 0, live=after is None
        )
        async for event in events:
            _print(event, common)


@command
async def delete(
    stream: StreamArgument, /, *, version: int | None = None, common: Common = COMMON
) -> None:
    """Delete the events of a stream for good; its name cannot be used again.

    Args:
        version: Version that the stream must have.
    """
    async with connected(common) as client:
        deleted = await client.event_store.delete(stream, version=version)
    output.result({"stream": stream, "deleted": deleted}, f"{counted(deleted, 'event')} deleted")


@command
async def retention(
    stream: StreamArgument, /, *, max_events: int = 0, max_age: float = 0, common: Common = COMMON
) -> None:
    """Set the bounds of a stream; events beyond them are deleted.

    Args:
        max_events: Number of events that are kept; 0 is unlimited.
        max_age: Age in seconds; 0 is unlimited.
    """
    async with connected(common) as client:
        await client.event_store.set_retention(stream, max_events=max_events, max_age=max_age)
    document = {"stream": stream, "maxEvents": max_events, "maxAge": max_age}
    output.result(document, f"the bounds of {stream} are set")


def event_json(event: "StoredEvent") -> dict[str, Any]:
    return output.members(event)


def event_line(event: "StoredEvent") -> str:
    data = output.compact(event.data)
    if len(data) > DATA_CHARACTERS_MAX:
        data = f"{data[:DATA_CHARACTERS_MAX]}…"
    return f"{event.stream}  {event.version}  {event.type}  {data}"


def _print(event: "StoredEvent", common: Common) -> None:
    if common.structured:
        output.stream_document(event_json(event))
    else:
        output.line(event_line(event))


def _expected(text: str) -> Any:
    if text in ("any", "none", "exists"):
        return text
    if not (text.isascii() and text.isdecimal()):
        raise Refused(
            f"--expected {text!r} is not a version, any, none or exists", code=exit_codes.USAGE
        )
    return int(text)


def _info_json(info: "StreamInfo") -> dict[str, Any]:
    return output.members(info)
