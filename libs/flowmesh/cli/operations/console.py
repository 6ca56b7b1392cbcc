"""`open`: the address of the console, and the console in the browser."""

import asyncio
import webbrowser
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

NO_GATEWAY = "no gateway with an HTTP address is registered"
_REGISTRY = "`flowmesh services` shows the registry"


@command
async def open_console(
    execution: Annotated[ExecutionId, Parameter(help="Id of an execution to show.")] = "",
    /,
    *,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    common: Common = COMMON,
) -> None:
    """Print the address of the console, or of an execution in it, and open it.

    Args:
        browser: Open the address in the browser; `--no-browser` only prints it.
    """
    async with connected(common) as client:
        url = await _page_url(client, execution)
    if common.structured:
        output.document({"url": url})
    else:
        output.line(url)
    if browser and not await asyncio.to_thread(webbrowser.open, url):
        output.problem("flowmesh: no browser was found; open the address by hand")


async def _page_url(client: "Client", execution: str) -> str:
    """Return the address of a page of the console. Raises EXECUTION_NOT_FOUND, Refused."""
    if execution:
        await client.get_execution(execution)
    page = f"/executions/{quote(execution, safe='')}" if execution else ""
    return f"{await gateway_url(client)}/console{page}"


async def gateway_url(client: "Client", hint: str = _REGISTRY) -> str:
    """Return the URL of a gateway in the registry; raise Refused without one."""
    async for gateway in client.services(name="gateway"):
        if place := gateway.metadata.get("http"):
            return f"{gateway.metadata.get('scheme', 'http')}://{place}"
    raise Refused(NO_GATEWAY, hint, exit_codes.UNREACHABLE)
