"""`signal-by-key`: a signal to the executions that wait for it with a key."""

from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import JsonText, RequestId
from flowmesh.cli.common import COMMON, Common, command, run
from flowmesh.cli.definitions.sources import read_value

if TYPE_CHECKING:
    from flowmesh.sdk import Client


@command
def signal_by_key(
    name: str,
    key: str,
    /,
    *,
    payload: JsonText = "null",
    ttl: float = 0,
    request_id: RequestId = "",
    common: Common = COMMON,
) -> int:
    """Send a signal to all executions that wait for it with this key.

    Args:
        name: Name of the signal.
        key: Key of the wait, such as an order number.
        payload: JSON, @file, or - for standard input.
        ttl: Seconds to keep the signal for the first execution that waits for it; 0 rejects it if
            none waits now.
    """

    value = read_value(payload, "--payload")

    async def send(client: "Client") -> int:
        events = await client.signal_by_key(name, key, value, ttl=ttl, request_id=request_id)
        if common.structured:
            found = [{"executionId": one, "sequence": number} for one, number in events.items()]
            output.document({"signal": name, "key": key, "executions": found})
            return exit_codes.DONE
        if not events:
            output.line(f"{name} is kept for {ttl:g} s")
        for execution, sequence in events.items():
            output.line(f"{execution}: {name} is event {sequence}")
        return exit_codes.DONE

    return run(common, send)
