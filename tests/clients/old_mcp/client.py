"""A client of the official SDK of 2025, `mcp` 1.21: prints what it finds at a server as JSON."""

import asyncio
import json
import sys
from importlib import import_module

import mcp


async def main(url: str) -> None:
    connect = import_module("mcp.client.streamable_http").streamablehttp_client
    async with connect(url) as (reading, writing, _), mcp.ClientSession(reading, writing) as client:
        greeted = await client.initialize()
        tools = await client.list_tools()
        called = await client.call_tool("list_services", {"name": "gateway"})
        resources = await client.list_resources()
        prompts = await client.list_prompts()
    found = {
        "greeted": greeted.model_dump(mode="json"),
        "tools": [each.name for each in tools.tools],
        "called": called.model_dump(mode="json"),
        "resources": [str(each.uri) for each in resources.resources],
        "prompts": [each.name for each in prompts.prompts],
    }
    print(json.dumps(found))


asyncio.run(main(sys.argv[1]))
