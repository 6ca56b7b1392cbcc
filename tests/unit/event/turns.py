"""A counter of the turns of other tasks on the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """The number of turns of another task."""

    count = 0


@asynccontextmanager
async def counted() -> AsyncIterator[Turns]:
    """Count turns until the end of the context."""
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
