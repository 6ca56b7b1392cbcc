"""`search`, `attributes`, and the counts of `stats --group-by`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import orjson
from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId
from flowmesh.cli.common import COMMON, Common, run
from flowmesh.cli.executions.executions import pairs, table
from flowmesh.cli.executions.shapes import execution_json

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Execution
    from flowmesh.sdk.client.parts.executions import SearchValue

LIMIT = 100


def search(
    filter: str = "", /, *, order_by: str = "", limit: int = LIMIT, common: Common = COMMON
) -> int:
    """List the executions that a filter takes, newest first.

    A filter is such as `status = failed AND label.team = "pay" AND started > "-24h"`; fields are
    id, workflow, version, status, started, ended, duration, requestId, error, error.class,
    label.<name>, attr.<name> and input.<path>.

    Parameters
    ----------
    filter
        Which executions; all if left out.
    order_by
        started, ended, label.<name>, attr.<name> or input.<path>, then asc or desc.
    limit
        At most so many; 0 is all.
    """

    async def work(client: "Client") -> int:
        found: list[Execution] = []
        async for execution in client.list_executions(filter=filter, order_by=order_by):
            found.append(execution)
            if len(found) == limit:
                break
        if common.structured:
            output.document([execution_json(execution, whole=False) for execution in found])
        else:
            table(found)
        return exit_codes.DONE

    return run(common, work)


async def grouped(client: "Client", common: Common, filter: str, group_by: Sequence[str]) -> int:
    """Prints how many executions a filter takes, the largest group first."""
    counted = await client.count_executions(filter, group_by=group_by)
    if common.structured:
        output.document(
            {
                "count": counted.count,
                "groups": [
                    {
                        "values": dict(zip(group_by, group.values, strict=True)),
                        "count": group.count,
                    }
                    for group in counted.groups
                ],
                "groupsCapped": counted.capped,
            }
        )
        return exit_codes.DONE
    rows = [(*(each or "-" for each in group.values), str(group.count)) for group in counted.groups]
    header = (*(name.upper() for name in group_by), "COUNT")
    output.columns(header, [*rows, (*([""] * len(group_by)), str(counted.count))])
    return exit_codes.DONE


def attributes(
    execution: ExecutionId,
    /,
    *values: str,
    remove: Annotated[list[str] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> int:
    """Set search attributes of a running execution that its workflow declares.

    Parameters
    ----------
    execution
        Id of the execution.
    values
        As name=value; a value is JSON, a time as 2026-11-01T08:00:00Z, or text.
    remove
        Name of one to remove; may be repeated.
    """

    async def work(client: "Client") -> int:
        wanted = {name: _value(text) for name, text in pairs(values).items()}
        sequence = await client.set_search_attributes(
            execution, {**wanted, **dict.fromkeys(remove or ())}
        )
        if common.structured:
            output.document({"executionId": execution, "sequence": sequence})
        else:
            output.line(f"{execution}: set by event {sequence}")
        return exit_codes.DONE

    return run(common, work)


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
