"""A worker with a durable handler, as a process that tests kill; it writes down what it does."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from flowmesh.sdk import DurableContext, Worker, step_key


def main(address: str, effects: str, *hanging: str) -> None:
    """`hanging` are the steps that never end in this process."""
    worker = Worker(address, worker_id=f"charging-{'-'.join(hanging) or 'well'}")
    written = Path(effects)

    def write(line: str) -> None:
        with written.open("a") as file:
            file.write(f"{line}\n")

    async def effect(name: str) -> str:
        write(f"{name} {step_key()}")
        if name in hanging:
            await asyncio.Event().wait()
        return f"{name} done"

    @worker.durable("charge-and-ship")
    async def charge_and_ship(ctx: DurableContext, order: dict[str, Any]) -> Any:
        done = [await ctx.step("reserve", effect, "reserve")]
        done += await asyncio.gather(
            ctx.step("charge", effect, "charge"), ctx.step("mail", effect, "mail")
        )
        await ctx.sleep(0.2)
        done.append(await ctx.step("ship", effect, "ship"))
        approved = await ctx.wait_signal("approved", timeout="1m")
        done.append(await ctx.step("close", effect, "close"))
        return [order["id"], done, approved]

    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
