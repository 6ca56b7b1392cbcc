"""A worker with a chain of steps, as a process that tests kill; it writes down what it does."""

import sys
from pathlib import Path

from flowmesh.sdk import DurableContext, Worker

COUNT = 1_500
EVERY = 10
"""One step of so many is not repeatable."""


def main(address: str, effects: str) -> None:
    worker = Worker(address)
    written = Path(effects)

    def write(number: int) -> None:
        with written.open("a") as file:
            file.write(f"{number}\n")

    async def effect(number: int, before: int) -> int:
        write(number)
        return before + number

    @worker.durable("long-chain")
    async def chain(ctx: DurableContext, start: int) -> int:
        total = start
        for number in range(COUNT):
            repeatable = bool(number % EVERY)
            total = await ctx.step(f"add {total}", effect, number, total, repeatable=repeatable)
        return total

    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
