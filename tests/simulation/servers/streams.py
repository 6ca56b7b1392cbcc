"""Simulated streams with the methods that gRPC's have, for the SDK."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from flowmesh.errors import FlowmeshError
from flowmesh.rpc import error_of


class Channel:
    """As much of a channel as a session or a worker needs: its stream."""

    def __init__(self, opened: Callable[[], Stream]) -> None:
        self._opened = opened

    def stream_stream(self, *_: Any, **__: Any) -> Callable[[], Stream]:
        return self._opened

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Do nothing: neither side uses these calls."""

    unary_unary = unary_stream = stream_unary = _nothing


class Caller:
    """As much of the SDK's caller as a session or a worker needs: its channel, no credential."""

    def __init__(self, channel: Channel, address: str = "") -> None:
        self.channel, self.address = channel, address

    async def authorize(self) -> None:
        """Do nothing: there is no credential to renew."""

    async def reauthorized(self, _error: FlowmeshError) -> bool:
        return False

    def followed(self, _error: FlowmeshError) -> bool:
        """Return False: there are no cells."""
        return False

    def explained(self, error: grpc.aio.AioRpcError) -> FlowmeshError:
        return error_of(error)


class Stream:
    """A stream both ways with the methods that gRPC's have."""

    def __init__(self, method: Callable[[Any], Any]) -> None:
        self._frames: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._call = method(self._requests())
        self._responses = aiter(self._call)

    async def _requests(self) -> AsyncIterator[Any]:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._frames:
                yield self._frames.popleft()

    async def write(self, frame: Any) -> None:
        self._frames.append(frame)
        self._wake.set()

    async def read(self) -> Any:
        try:
            return await anext(self._responses)
        except StopAsyncIteration:
            return grpc.aio.EOF
        except FlowmeshError as error:
            code, metadata = grpc.StatusCode[error.grpc_code], grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(code, metadata, metadata) from error

    def cancel(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._call.cancel()
