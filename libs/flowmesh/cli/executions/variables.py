"""`variables show` and `variables set`."""

from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument, HistoryReason, JsonText
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.definitions.sources import read_value

if TYPE_CHECKING:
    from flowmesh.sdk import Client


@command
async def show_variables(execution: ExecutionArgument, /, *, common: Common = COMMON) -> None:
    """Show the current variables of an execution."""
    async with connected(common) as client:
        found = (await client.get_execution(execution)).variables
        if common.structured:
            output.document(found)
        else:
            rows = [(name, output.compact(value)) for name, value in found.items()]
            output.columns(("VARIABLE", "VALUE"), rows, none="No variables found.")


@command
def set_variable(
    execution: ExecutionArgument,
    name: str,
    value: JsonText,
    /,
    *,
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Set a variable; tasks that become ready later use the new value.

    Args:
        name: Name of a variable that the workflow declares.
        value: JSON, @file, or - for standard input.
    """

    new_value = read_value(value, "VALUE")

    async def set_value(client: "Client") -> int:
        sequence = await client.handle(execution).set_variable(name, new_value, reason=reason)
        output.result(
            {"executionId": execution, "name": name, "sequence": sequence},
            f"{execution}: {name} = {output.compact(new_value)}",
        )
        return exit_codes.DONE

    return run(common, set_value)
