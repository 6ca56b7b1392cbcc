"""A durable handler: code that resumes at its last step after a crash of its worker.

Run it beside `flowmesh dev`: python examples/sdk_durable_handler.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import Client, DurableContext, Retry, Worker


async def reserve(item: str) -> str:
    return f"reserved {item}"


def charge(card: str, amount: int) -> dict[str, Any]:
    """A step can be a plain function, which runs in a thread."""
    return {"card": card, "charged": amount}


async def ship(parcel: dict[str, Any]) -> str:
    return f"{parcel['item']} is on its way"


async def order(ctx: DurableContext, given: dict[str, Any]) -> dict[str, Any]:
    """The results of steps are journaled; a repeated run skips the completed ones."""
    reserved, paid = await asyncio.gather(
        ctx.step("reserve", reserve, given["item"]),
        ctx.step("charge", charge, given["card"], given["amount"], retry=Retry(attempts=3)),
    )
    await ctx.sleep("2s")
    approved = await ctx.wait_signal("approved", timeout="1h")
    shipped = await ctx.call("ship-parcel", {"item": given["item"]})
    return {"reserved": reserved, "paid": paid, "by": approved["by"], "shipped": shipped}


def worker_of(client: Client | str = "") -> Worker:
    worker = Worker(client)
    worker.durable("order-item")(order)
    worker.task("ship-parcel")(ship)
    return worker


async def main(address: str = "") -> Any:
    async with Client(address) as client, worker_of(client):
        handle = await client.start("order-item", {"item": "book", "card": "4242", "amount": 12})
        await handle.signal("approved", {"by": "ada"})
        result = await handle.result(timeout=30)
        print(result)
        return result


if __name__ == "__main__":
    asyncio.run(main())
