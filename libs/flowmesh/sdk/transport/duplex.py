"""A bidirectional stream with a reader and writers that end together."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc


class StreamBroken(Exception):
    """This side canceled the stream in order to reopen it."""


async def converse(
    stream: Any,
    receive: Callable[[Any], bool],
    *helpers: Coroutine[Any, Any, None],
) -> None:
    """Pass every message to `receive` until it returns False or the peer ends the stream.

    `helpers` write; the failure of one cancels the stream. Raises AioRpcError with the status of
    the peer, or StreamBroken if this side canceled the stream.
    """
    tasks = [asyncio.create_task(helper) for helper in helpers]
    for task in tasks:
        task.add_done_callback(lambda _: stream.cancel())
    try:
        while True:
            message = await stream.read()
            if message is grpc.aio.EOF or not receive(message):
                return
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
        raise StreamBroken from None  # grpc.aio raises CancelledError for a locally canceled call
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        stream.cancel()
        for outcome in outcomes:
            _raise_defect(outcome)


def _raise_defect(outcome: BaseException | None) -> None:
    """Raise the error of a writer, unless it follows from the break that the reader reports."""
    expected = (asyncio.CancelledError, asyncio.InvalidStateError, grpc.aio.AioRpcError)
    if outcome is not None and not isinstance(outcome, expected):
        raise outcome
