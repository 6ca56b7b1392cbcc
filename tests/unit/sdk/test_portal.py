"""Blocking code on a loop of its own."""

import asyncio
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from flowmesh.sdk.client.background_loop import Portal


async def test_who_waits_when_it_is_closed_is_told() -> None:
    """In whatever thread: nobody waits for a loop that has ended."""
    portal = Portal()
    begun = asyncio.Event()

    async def forever() -> None:
        loop.call_soon_threadsafe(begun.set)
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(portal.call, forever())
        await begun.wait()
        await asyncio.to_thread(portal.close)
        with pytest.raises(CancelledError):
            waiting.result(timeout=5)
