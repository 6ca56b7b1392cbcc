"""Streaming methods written as coroutines, which read and write through their context.

grpc.aio allows this form beside async generators; `grpc.health.v1.Health/Watch` has it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from flowmesh.rpc.pipe import EOF, Pipe

Behaviour = Callable[..., Any]


class StreamContext:
    """The context of one streaming call; its `read` and `write` also work in process."""

    def __init__(self, context: Any, requests: Any, responses: Pipe) -> None:
        self._context = context
        self._requests = requests
        self._responses = responses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        """The next request; EOF after the last."""
        return await anext(self._requests, EOF)

    async def write(self, message: Any) -> None:
        await self._responses.put(message)


def reading(behaviour: Behaviour) -> Behaviour:
    """A coroutine with one response, whose context reads the stream of requests."""

    async def answer(requests: Any, context: Any) -> Any:
        return await behaviour(requests, StreamContext(context, requests, Pipe()))

    return answer


def yielding(behaviour: Behaviour) -> Behaviour:
    """An async generator of the responses that a coroutine writes to its context."""

    async def respond(request: Any, context: Any) -> AsyncGenerator[Any, None]:
        responses = Pipe()
        call = behaviour(request, StreamContext(context, request, responses))
        running = asyncio.create_task(call)
        running.add_done_callback(lambda _: responses.close())
        try:
            async for response in responses:
                yield response
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return respond
