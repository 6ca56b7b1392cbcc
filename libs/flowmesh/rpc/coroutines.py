"""Adapters for streaming methods that are coroutines and read and write through their context.

grpc.aio supports this form besides async generators; `grpc.health.v1.Health/Watch` uses it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from flowmesh.rpc.pipe import EOF, Pipe

Behaviour = Callable[..., Any]


class StreamContext:
    """The context of a streaming call, with `read` and `write` also for in-process calls."""

    def __init__(self, context: Any, requests: Any, responses: Pipe) -> None:
        self._context = context
        self._requests = requests
        self._responses = responses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        """Return the next request; EOF after the last one."""
        return await anext(self._requests, EOF)

    async def write(self, message: Any) -> None:
        await self._responses.put(message)


def as_stream_unary(behaviour: Behaviour) -> Behaviour:
    """Adapt a coroutine that reads its requests from the context and returns the response."""

    async def answer(requests: Any, context: Any) -> Any:
        return await behaviour(requests, StreamContext(context, requests, Pipe()))

    return answer


def as_generator(behaviour: Behaviour) -> Behaviour:
    """Adapt a coroutine that writes its responses to the context to an async generator."""

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
