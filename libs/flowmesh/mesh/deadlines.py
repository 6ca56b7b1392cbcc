"""An interceptor of servers that hands the remaining time of a call on to the calls it makes."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from flowmesh.rpc.scope import enter_call


class DeadlineInterceptor(grpc.aio.ServerInterceptor):
    """`grpc.aio.server(interceptors=[DeadlineInterceptor()])`.

    Calls over channels of the mesh, made in the task that serves a call, then end with that call
    and carry its trace context.
    """

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        if handler.unary_unary is not None:
            return handler._replace(unary_unary=_entered(handler.unary_unary))
        if handler.stream_unary is not None:
            return handler._replace(stream_unary=_entered(handler.stream_unary))
        if handler.unary_stream is not None:
            return handler._replace(unary_stream=_entered_stream(handler.unary_stream))
        return handler._replace(stream_stream=_entered_stream(handler.stream_stream))


def _entered(behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def entered(request: Any, context: Any) -> Any:
        enter_call(context.invocation_metadata(), context.time_remaining())
        return await behaviour(request, context)

    return entered


def _entered_stream(behaviour: Callable[..., Any]) -> Callable[..., Any]:
    async def entered(request: Any, context: Any) -> Any:
        enter_call(context.invocation_metadata(), context.time_remaining())
        found = behaviour(request, context)
        if hasattr(found, "__aiter__"):
            async for message in found:
                yield message
        else:
            await found

    return entered
