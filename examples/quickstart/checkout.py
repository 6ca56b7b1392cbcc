"""A workflow in Python from definition to result. Run it beside `flowmesh dev`."""

import asyncio

from flowmesh.sdk import Client, Ref, Retry, Worker, Workflow, task, workflow


@task("charge-card", retry=Retry(attempts=5), timeout="30s")
async def charge(order: dict) -> dict:
    return {"paid": order["amount"], "receipt": f"receipt-{order['id']}"}


@task("pack-box")
async def pack(order: dict) -> dict:
    return {"weight_kg": 2 * order["boxes"]}


@task("ship-box")
async def ship(parcel: dict) -> str:
    return f"{parcel['weight_kg']} kg on their way, {parcel['receipt']}"


@workflow("checkout")
def checkout(flow: Workflow) -> dict[str, Ref]:
    """Charging and packing do not wait for each other; shipping waits for both."""
    paid = flow.task("charge", charge)
    packed = flow.task("pack", pack)
    parcel = {"receipt": paid.output["receipt"], "weight_kg": packed.output["weight_kg"]}
    shipped = flow.task("ship", ship, input=parcel)
    return {"shipped": shipped.output}


async def main() -> None:
    async with Client() as client:
        await client.register(checkout)
        async with Worker(client, checkout.handlers):
            print(await client.run("checkout", {"id": "A-17", "amount": 40, "boxes": 1}))


if __name__ == "__main__":
    asyncio.run(main())
