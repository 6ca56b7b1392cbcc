"""`signal-by-key`: a signal for whoever waits for it with a key."""

from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import JsonText
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import read_value

if TYPE_CHECKING:
    from flowmesh.sdk import Client


def signal_by_key(
    name: str,
    key: str,
    /,
    *,
    payload: JsonText = "null",
    request_id: str = "",
    common: Common = COMMON,
) -> int:
    """Send a signal to every execution that waits for it with this key.

    Parameters
    ----------
    name
        Name of the signal: the event of the wait.
    key
        What they wait with, such as the number of an order.
    payload
        JSON, @file, or - for standard input.
    request_id
        Again with the same one sends nothing.
    """

    async def work(client: "Client") -> int:
        told = await client.signal_by_key(name, key, value, request_id=request_id)
        if common.structured:
            found = [{"executionId": one, "sequence": number} for one, number in told.items()]
            output.document({"signal": name, "key": key, "executions": found})
        for execution, sequence in () if common.structured else told.items():
            output.line(f"{execution}: {name} is event {sequence}")
        return exit_codes.DONE

    value = None

    def read_and_run() -> int:
        nonlocal value
        value = read_value(payload, "--payload")
        return run(common, work)

    return guarded(common, read_and_run)
