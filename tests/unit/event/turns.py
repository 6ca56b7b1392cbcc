"""Whether work leaves others on the same loop their turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """How many turns somebody else has had."""

    count = 0


@asynccontextmanager
async def counted() -> AsyncIterator[Turns]:
    """Counts them from its first one on, as long as this lasts."""
    turns = Turns()

    async def other() -> None:
        while True:
            turns.count += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    try:
        yield turns
    finally:
        beside.cancel()
