"""`variables show` and `variables set`."""

from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, JsonText
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import read_value

if TYPE_CHECKING:
    from flowmesh.sdk import Client


def show_variables(execution: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Show the variables of an execution as they are now.

    Parameters
    ----------
    execution
        Id of the execution.
    """

    async def work(client: "Client") -> int:
        found = (await client.get_execution(execution)).variables
        if common.structured:
            output.document(found)
        else:
            rows = [(name, output.compact(value)) for name, value in found.items()]
            output.columns(("VARIABLE", "VALUE"), rows, none="No variables found.")
        return exit_codes.DONE

    return run(common, work)


def set_variable(
    execution: ExecutionId,
    name: str,
    value: JsonText,
    /,
    *,
    reason: str = "",
    common: Common = COMMON,
) -> int:
    """Give a variable another value, which tasks see that become ready from now on.

    Parameters
    ----------
    execution
        Id of the execution.
    name
        The variable, as the workflow declares it.
    value
        Its value: JSON, @file, or - for standard input.
    reason
        Why; kept in its history.
    """

    def read_and_run() -> int:
        given = read_value(value, "VALUE")

        async def work(client: "Client") -> int:
            sequence = await client.handle(execution).set_variable(name, given, reason=reason)
            if common.structured:
                output.document({"executionId": execution, "name": name, "sequence": sequence})
            else:
                output.line(f"{execution}: {name} = {output.compact(given)}")
            return exit_codes.DONE

        return run(common, work)

    return guarded(common, read_and_run)
