"""Calls over a socket, with domain errors instead of gRPC's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from flowmesh.errors import Unavailable
from flowmesh.rpc.status import error_of

EOF = grpc.aio.EOF


async def call_unary(
    callable_: Any,
    request: Any,
    metadata: Any,
    timeout_s: float | None,
    wait_for_ready: bool | None,
) -> Any:
    """One request, one response."""
    try:
        return await callable_(
            request, timeout=timeout_s, metadata=metadata, wait_for_ready=wait_for_ready
        )
    except grpc.aio.AioRpcError as error:
        raise error_of(error) from None


class RemoteStream:
    """A call that streams at least one way; raises FlowmeshError where grpc.aio raises its own."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __del__(self) -> None:
        # A call that nobody holds any more is over; grpc.aio waits for the cycle collector.
        if not self._call.done():
            self._call.cancel()

    def __await__(self) -> Any:
        return self._result().__await__()

    async def _result(self) -> Any:
        try:
            return await self._call
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not EOF:
            yield message

    async def read(self) -> Any:
        """The next response; EOF after the last; raises what ended the call."""
        try:
            return await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None

    async def write(self, message: Any) -> None:
        """Sends a request; raises what ended the call when it is over."""
        try:
            await self._call.write(message)
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
        except asyncio.InvalidStateError:
            raise Unavailable("SERVICE_UNAVAILABLE", "the stream has ended") from None

    async def done_writing(self) -> None:
        await self._call.done_writing()

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def done(self) -> bool:
        return bool(self._call.done())

    def cancelled(self) -> bool:
        return bool(self._call.cancelled())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    async def wait_for_connection(self) -> None:
        try:
            await self._call.wait_for_connection()
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
