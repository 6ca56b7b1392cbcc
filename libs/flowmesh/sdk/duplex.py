"""Talking on a bidirectional stream: one reader, one writer, and both end together."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc


class StreamBroken(Exception):
    """The stream was given up on this side, so it is opened again."""


async def converse(
    stream: Any,
    receive: Callable[[Any], bool],
    *helpers: Coroutine[Any, Any, None],
) -> None:
    """Hands every message to `receive` until it answers False or the peer ends the stream.

    `helpers` write; when one fails the stream is canceled. Raises AioRpcError as the peer's
    status says, StreamBroken when this side canceled it.
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
        raise StreamBroken from None  # grpc.aio says so when the call was canceled locally
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        stream.cancel()
        for outcome in outcomes:
            _raise_defect(outcome)


def _raise_defect(outcome: BaseException | None) -> None:
    """What a writer meets when the stream breaks is the reader's to tell; the rest is a defect."""
    expected = (asyncio.CancelledError, asyncio.InvalidStateError, grpc.aio.AioRpcError)
    if outcome is not None and not isinstance(outcome, expected):
        raise outcome
