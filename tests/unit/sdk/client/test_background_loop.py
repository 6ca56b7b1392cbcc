"""The event loop on which blocking code runs async code."""

import asyncio
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from flowmesh.sdk.client.background_loop import BackgroundLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def test_closing_the_loop_ends_calls_of_other_threads() -> None:
    """A thread that waits for a call gets a CancelledError."""
    background = BackgroundLoop()
    started = asyncio.Event()

    async def forever() -> None:
        loop.call_soon_threadsafe(started.set)
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(background.call, forever())
        await started.wait()
        await asyncio.to_thread(background.close)
        with pytest.raises(CancelledError):
            waiting.result(timeout=5)


def test_an_async_context_manager_is_entered_and_left() -> None:
    """Its value is given to the block; an error of the block reaches it and the caller."""
    seen: list[str] = []

    @asynccontextmanager
    async def managed() -> "AsyncIterator[int]":
        try:
            yield 1
        except ValueError as error:
            seen.append(str(error))
            raise
        finally:
            seen.append("left")

    background = BackgroundLoop()
    with background.enter(managed()) as value:
        assert value == 1
    assert seen == ["left"]
    with pytest.raises(ValueError, match="broken"), background.enter(managed()):
        raise ValueError("broken")
    assert seen == ["left", "broken", "left"]
    background.close()
