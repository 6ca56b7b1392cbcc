"""Calls over a socket that raise domain errors."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import grpc
import grpc.aio

from flowmesh.access.principal import Principal, current
from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.rpc.limits import CHANNEL_OPTIONS
from flowmesh.rpc.scope import MetadataItems
from flowmesh.rpc.status import STREAM_ENDED, Unreachable, error_of

EOF = grpc.aio.EOF
# Returns the metadata that prove the sender of a call of a gRPC service for a principal.
Identify = Callable[[Principal | None, str], tuple[tuple[str, str], ...]]


class Security(Protocol):
    """Credentials of a process for its calls to others."""

    @property
    def generation(self) -> int:
        """Count the credentials; a channel of older ones is replaced."""
        ...

    def address(self, address: str) -> str:
        """Return the address to connect to for `host:port`."""
        ...

    def credentials(self) -> grpc.ChannelCredentials:
        """Return the present credentials."""
        ...


# The time for which an address without response is used last.
AVOID_S = 2.0


class RemoteTarget:
    """The services at an address; one per address for the life of the process."""

    def __init__(
        self,
        address: str,
        interceptors: tuple[grpc.aio.ClientInterceptor, ...] = (),
        identify: Identify | None = None,
        security: Security | None = None,
    ) -> None:
        self.address = address
        self._interceptors = list(interceptors)
        self._identify = identify
        self._security = security
        self._generation = security.generation if security else 0
        self._channel = self._opened()
        # That of the credentials before; calls that have begun there end there.
        self._older: grpc.aio.Channel | None = None
        self._callables: dict[tuple[str, bool], Any] = {}
        self._avoid_until = 0.0

    def signed(self, path: str, items: tuple[tuple[str, str | bytes], ...]) -> MetadataItems:
        """Return the metadata of a call with the proof of its sender."""
        if self._identify is None:
            return items
        return (*items, *self._identify(current(), path[1 : path.rindex("/")]))

    @property
    def answers(self) -> bool:
        """False for a time after a call without response."""
        return self._avoid_until == 0.0 or time.monotonic() > self._avoid_until

    def callable(self, kind: str, path: str, serialize: Any, deserialize: Any) -> Any:
        """Return the callable of the channel for a method, with messages or with bytes."""
        if self._security is not None and self._security.generation != self._generation:
            self._renew(self._security)
        key = (path, serialize is None)
        found = self._callables.get(key)
        if found is None:
            make = getattr(self._channel, kind)
            found = self._callables[key] = make(
                path, request_serializer=serialize, response_deserializer=deserialize
            )
        return found

    def translated(self, error: grpc.aio.AioRpcError) -> FlowmeshError:
        """Return the domain error; record an address without response."""
        found = error_of(error)
        if isinstance(found, Unreachable):
            self._avoid_until = time.monotonic() + AVOID_S
        return found

    def _opened(self) -> grpc.aio.Channel:
        if self._security is None:
            return grpc.aio.insecure_channel(
                self.address, options=CHANNEL_OPTIONS, interceptors=self._interceptors
            )
        return grpc.aio.secure_channel(
            self._security.address(self.address),
            self._security.credentials(),
            options=CHANNEL_OPTIONS,
            interceptors=self._interceptors,
        )

    def _renew(self, security: Security) -> None:
        """Open a channel with the present credentials; calls of the older channel run on."""
        self._generation = security.generation
        self._older, self._channel = self._channel, self._opened()
        self._callables.clear()

    async def close(self, grace_s: float | None = None) -> None:
        """Cancel open calls after the grace period."""
        channels = [self._channel, *([self._older] if self._older else [])]
        await asyncio.gather(*(channel.close(grace_s) for channel in channels))


class RemoteStream:
    """A call that streams in at least one direction; raises FlowmeshError."""

    def __init__(self, target: RemoteTarget, call: Any) -> None:
        self._target = target
        self._call = call

    def __del__(self) -> None:
        # Cancel a call without references; grpc.aio waits for a garbage collection.
        if not self._call.done():
            self._call.cancel()

    def __await__(self) -> Any:
        return self._result().__await__()

    async def _result(self) -> Any:
        try:
            return await self._call
        except grpc.aio.AioRpcError as error:
            raise self._target.translated(error) from None

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not EOF:
            yield message

    async def read(self) -> Any:
        """Return the next response, EOF after the last one; raise the failure of the call."""
        try:
            return await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise self._target.translated(error) from None

    async def write(self, message: Any) -> None:
        """Send a request; raise the failure of the call if it has ended."""
        try:
            await self._call.write(message)
        except grpc.aio.AioRpcError as error:
            raise self._target.translated(error) from None
        except asyncio.InvalidStateError:
            raise Unavailable("SERVICE_UNAVAILABLE", STREAM_ENDED) from None

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
            raise self._target.translated(error) from None
