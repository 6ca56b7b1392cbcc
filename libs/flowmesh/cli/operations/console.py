"""`open`: the address of the console, and the console in the browser."""

import asyncio
import sys
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.errors import FlowmeshError

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
        if execution:
            await client.get_execution(execution)
        url = await _page_url(client, execution)
    if common.structured:
        output.document({"url": url})
    else:
        output.line(url)
    if browser and not await asyncio.to_thread(webbrowser.open, url):
        output.problem("flowmesh: no browser was found; open the address by hand")


async def _page_url(client: "Client", execution: str) -> str:
    """Return the address of the console, or of an execution in it."""
    page = f"/executions/{quote(execution, safe='')}" if execution else ""
    return f"{await gateway_url(client)}/console{page}"


async def print_page_link(client: "Client", common: Common, execution: str) -> None:
    """Print the address of an execution in the console, on a terminal only.

    Without a gateway in the registry, or without access to it, print nothing.
    """
    if common.structured or not sys.stdout.isatty():
        return
    with suppress(Refused, FlowmeshError):
        output.line(await _page_url(client, execution))


async def gateway_url(client: "Client", hint: str = _REGISTRY) -> str:
    """Return the URL of a gateway in the registry; raise Refused without one."""
    async for gateway in client.services(name="gateway"):
        if place := gateway.metadata.get("http"):
            return f"{gateway.metadata.get('scheme', 'http')}://{place}"
    raise Refused(NO_GATEWAY, hint, exit_codes.UNREACHABLE)
