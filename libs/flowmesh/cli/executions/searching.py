"""`search`, `attributes`, and the groups of `stats --group-by`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument, ListLimit, Texts
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.cli.executions.executions import parse_pairs, table

if TYPE_CHECKING:
    from flowmesh.sdk import Client
    from flowmesh.sdk.client.parts.executions import SearchValue

LIMIT = 100


@command
async def search(
    filter: str = "", /, *, order_by: str = "", limit: ListLimit = LIMIT, common: Common = COMMON
) -> None:
    """List the executions that match a filter, newest first.

    Example of a filter: `status = failed AND label.team = "pay" AND started > "-24h"`. Fields:
    id, workflow, version, status, started, ended, duration, requestId, error, error.class,
    label.<name>, attr.<name> and input.<path>.

    Args:
        filter: Filter; all executions by default.
        order_by: started, ended, label.<name>, attr.<name> or input.<path>, followed by asc or
            desc.
    """
    async with connected(common) as client:
        matching = client.list_executions(
            filter=filter, order_by=order_by, on_warning=output.warning
        )
        table(await collect(matching, limit))


async def show_groups(
    client: "Client", common: Common, filter: str, group_by: Sequence[str]
) -> int:
    """Print the number of executions that match a filter by groups, the largest first."""
    counted = await client.count_executions(filter, group_by=group_by)
    for warning in counted.warnings:
        output.warning(warning)
    if common.structured:
        output.document(
            {
                "count": counted.count,
                "groups": [
                    {"values": dict(zip(group_by, group.values, strict=True)), "count": group.count}
                    for group in counted.groups
                ],
                "groupsCapped": counted.capped,
                "warnings": counted.warnings,
            }
        )
        return exit_codes.DONE
    rows = [(*(each or "-" for each in group.values), str(group.count)) for group in counted.groups]
    header = (*(name.upper() for name in group_by), "COUNT")
    output.columns(header, [*rows, (*([""] * len(group_by)), str(counted.count))])
    return exit_codes.DONE


@command
async def attributes(
    execution: ExecutionArgument, /, *values: str, remove: Texts = None, common: Common = COMMON
) -> None:
    """Set search attributes of a running execution; its workflow must declare them.

    Args:
        values: name=value; the value is JSON, a time such as 2026-11-01T08:00:00Z, or text.
        remove: Name of an attribute to remove; can be repeated.
    """
    async with connected(common) as client:
        changes = {name: _value(text) for name, text in parse_pairs(values).items()}
        sequence = await client.set_search_attributes(
            execution, {**changes, **dict.fromkeys(remove or ())}
        )
        output.result(
            {"executionId": execution, "sequence": sequence},
            f"{execution}: set by event {sequence}",
        )


def _value(text: str) -> "SearchValue":
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = text
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value) if "T" in value else value
        except ValueError:
            return value
    return value if isinstance(value, bool | int | float) else text
