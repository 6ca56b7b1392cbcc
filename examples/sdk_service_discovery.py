"""Communication over service discovery: find healthy services by capability, call each of them.

Run it beside `flowmesh dev`: python examples/sdk_service_discovery.py
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from flowmesh.sdk import Client, Service, ServiceEndpoint, ServiceType, Worker, Workflow

CAPABILITY = "word_count"


async def count_words(request: web.Request) -> web.Response:
    return web.json_response({"words": len((await request.text()).split())})


async def service(name: str, client: Client, stack: AsyncExitStack) -> None:
    """Serve on a free port and stay registered, with heartbeats, until the stack is closed."""
    application = web.Application()
    application.router.add_post("/count", count_words)
    runner = web.AppRunner(application)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = ServiceEndpoint(runner.addresses[0][1])
    await stack.enter_async_context(
        client.registered(Service(name, ServiceType.AGENT, endpoint, [CAPABILITY]))
    )


async def main(address: str = "") -> list[Any]:
    async with Client(address) as client, AsyncExitStack() as stack:
        for name in ("counter-a", "counter-b"):
            await service(name, client, stack)

        async def discover(input: dict[str, Any]) -> list[str]:
            found = client.services(capability=input["capability"], statuses=["HEALTHY"])
            return [f"{instance.endpoint}/count" async for instance in found]

        flow = Workflow("ask-all-counters")
        urls = flow.task("discover", discover, input={"capability": CAPABILITY})
        each = flow.map("each", urls.output)
        call = {"url": each.item, "text": flow.input["text"]}
        each.http("count", "{{input.url}}", method="POST", body="{{input.text}}", input=call)

        await client.register(flow)
        async with Worker(client, flow.handlers):
            counts: list[Any] = await client.run(flow.id, {"text": "from end to end"})
    print(counts)
    return counts


if __name__ == "__main__":
    asyncio.run(main())
