"""`projection list|show|states|delete` and `event-group list|put|delete|parked|replay`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Texts
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.messages.streams import event_json, event_line
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import ProjectionInfo

ProjectionArgument = Annotated[str, Parameter(help="Name of the projection.")]
GroupArgument = Annotated[str, Parameter(help="Name of the group.")]


@command
async def list_projections(*, common: Common = COMMON) -> None:
    """List projections with their checkpoints."""
    async with connected(common) as client:
        found = await client.projections.list()
    output.listing(
        found, _json, lambda each: output.line(_line(each)), none="No projections found."
    )


@command
async def show(projection: ProjectionArgument, /, *, common: Common = COMMON) -> int:
    """Show a projection, its checkpoint and its rebuild."""
    async with connected(common) as client:
        found = await client.projections.get(projection)
    output.result(_json(found), _line(found))
    return exit_codes.DONE


@command
async def states(
    projection: ProjectionArgument,
    keys: Annotated[Texts, Parameter(help="Keys to print; all without one.")] = None,
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Print states of a projection by key."""
    async with connected(common) as client:
        found = await client.projections.states(projection, tuple(keys or ()))
    if common.structured:
        output.document(found)
        return
    if not found:
        output.nothing("No states found.")
    for key, state in found.items():
        output.line(f"{key}  {output.compact(state)}")


@command
async def delete(projection: ProjectionArgument, /, *, common: Common = COMMON) -> None:
    """Delete a projection with its states."""
    async with connected(common) as client:
        await client.projections.delete(projection)
    output.result({"projection": projection, "deleted": True}, f"{projection} is deleted")


@command
async def list_groups(*, common: Common = COMMON) -> None:
    """List groups of consumers of events."""
    async with connected(common) as client:
        found = await client.event_groups.list()
    output.listing(
        found,
        lambda each: output.members(each, "group=name checkpoint in_flight parked"),
        lambda each: output.line(
            f"{each.name}  at position {each.checkpoint:,}, {each.in_flight:,} in flight,"
            f" {each.parked:,} parked"
        ),
        none="No groups found.",
    )


@command
async def put_group(
    group: GroupArgument,
    /,
    *,
    stream: str = "",
    category: str = "",
    type: Annotated[Texts, Parameter(help="Only events of this type; can be repeated.")] = None,
    start_after: int = 0,
    lease: float = 0,
    attempts: int = 0,
    common: Common = COMMON,
) -> None:
    """Create a group of consumers of events, or change its settings.

    Args:
        stream: Only events of this stream.
        category: Only events of streams of this category.
        start_after: Position after which a new group begins.
        lease: Seconds in which a delivery must be settled; 0 is 30.
        attempts: Deliveries of an event before it is parked; 0 is 5.
    """
    async with connected(common) as client:
        created = await client.event_groups.put(
            group,
            stream=stream,
            category=category,
            types=type or (),
            start_after=start_after,
            lease=lease,
            max_attempts=attempts,
        )
    effect = "is created" if created else "has these settings"
    output.result({"group": group, "created": created}, f"{group} {effect}")


@command
async def delete_group(group: GroupArgument, /, *, common: Common = COMMON) -> None:
    """Delete a group of consumers of events."""
    async with connected(common) as client:
        await client.event_groups.delete(group)
    output.result({"group": group, "deleted": True}, f"{group} is deleted")


@command
async def parked(group: GroupArgument, /, *, common: Common = COMMON) -> None:
    """List the parked events of a group with their errors."""
    async with connected(common) as client:
        found = await client.event_groups.parked(group)
    if common.structured:
        output.document(
            [
                event_json(each.event) | {"attempts": each.attempts, "error": each.error}
                for each in found
            ]
        )
        return
    if not found:
        output.nothing("No parked events found.")
    for each in found:
        output.line(f"{each.event.position}  {event_line(each.event)}")
        output.line(f"  after {counted(each.attempts, 'attempt')}: {each.error}")


@command
async def replay(
    group: GroupArgument,
    positions: Annotated[
        list[int] | None, Parameter(help="Positions of events; all parked ones without one.")
    ] = None,
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Deliver parked events again."""
    async with connected(common) as client:
        replayed = await client.event_groups.replay_parked(group, tuple(positions or ()))
    output.result({"group": group, "replayed": replayed}, f"{counted(replayed, 'event')} replayed")


def _json(projection: "ProjectionInfo") -> dict[str, Any]:
    return output.members(projection, "projection=name generation checkpoint head *")


def _line(projection: "ProjectionInfo") -> str:
    text = f"{projection.name}  at position {projection.checkpoint:,} of {projection.head:,}"
    if projection.shadow_generation:
        text += f", rebuild at {projection.shadow_checkpoint:,}"
    return text
