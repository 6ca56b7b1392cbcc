"""The channel stubs are made of: picks where each call goes, and how it fails.

Every call carries the trace context and the shorter of its timeout and what is left of the call
being served. Unary calls time out after 10 s where nothing else is said; streams do not.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from flowmesh.errors import Unimplemented
from flowmesh.rpc import local, remote
from flowmesh.rpc.handlers import Handlers, Method
from flowmesh.rpc.limits import CHANNEL_OPTIONS, DEFAULT_TIMEOUT_S
from flowmesh.rpc.scope import MetadataItems, timeout_within, with_trace


class LocalTarget:
    """The services of this process."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def method(self, path: str) -> Method:
        found = self._handlers.methods.get(path)
        if found is None:
            raise Unimplemented("UNIMPLEMENTED", f"this process does not serve {path}")
        return found


class RemoteTarget:
    """A service at an address. One per address for the life of the process."""

    def __init__(
        self, address: str, interceptors: tuple[grpc.aio.ClientInterceptor, ...] = ()
    ) -> None:
        self.address = address
        self._channel = grpc.aio.insecure_channel(
            address, options=CHANNEL_OPTIONS, interceptors=list(interceptors)
        )
        self._callables: dict[str, Any] = {}

    def callable(self, kind: str, path: str, serialize: Any, deserialize: Any) -> Any:
        found = self._callables.get(path)
        if found is None:
            make = getattr(self._channel, kind)
            found = self._callables[path] = make(
                path, request_serializer=serialize, response_deserializer=deserialize
            )
        return found

    async def close(self) -> None:
        await self._channel.close()


Target = LocalTarget | RemoteTarget
# The target of a call now; None when there is none yet.
Pick = Callable[[], Target]
# Waits for a target, at most as long as the call may take.
Await = Callable[[float | None], Awaitable[Target]]


class Channel(grpc.aio.Channel):
    """What a stub needs of a channel. `pick` chooses a target for each call."""

    def __init__(self, pick: Pick, wait: Await) -> None:
        self._pick = pick
        self._wait = wait

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        wait = self._wait

        async def call(
            request: Any,
            *,
            timeout: float | None = DEFAULT_TIMEOUT_S,
            metadata: MetadataItems | None = None,
            wait_for_ready: bool | None = None,
            **_unused: object,
        ) -> Any:
            timeout_s = timeout_within(timeout)
            items = with_trace(metadata)
            target = await wait(timeout_s)
            if isinstance(target, LocalTarget):
                return await local.call_unary(target.method(method), request, items, timeout_s)
            callable_ = target.callable(
                "unary_unary", method, request_serializer, response_deserializer
            )
            return await remote.call_unary(callable_, request, items, timeout_s, wait_for_ready)

        return call

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        return self._streaming("unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        return self._streaming("stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        return self._streaming("stream_stream", method, request_serializer, response_deserializer)

    def _streaming(
        self, kind: str, path: str, serialize: Any, deserialize: Any
    ) -> Callable[..., Any]:
        def call(
            requests: Any = None,
            *,
            timeout: float | None = None,
            metadata: MetadataItems | None = None,
            wait_for_ready: bool | None = None,
            **_unused: object,
        ) -> Any:
            timeout_s = timeout_within(timeout)
            items = with_trace(metadata)
            target = self._pick()
            if isinstance(target, LocalTarget):
                return local.LocalStream(target.method(path), requests, items, timeout_s)
            made = target.callable(kind, path, serialize, deserialize)
            return remote.RemoteStream(
                made(requests, timeout=timeout_s, metadata=items, wait_for_ready=wait_for_ready)
                if requests is not None or not kind.startswith("stream")
                else made(timeout=timeout_s, metadata=items, wait_for_ready=wait_for_ready)
            )

        return call

    async def close(self, grace: float | None = None) -> None:
        """Nothing: targets are closed by whoever made them."""

    async def __aenter__(self) -> "Channel":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Returns at once: the state never changes."""

    async def channel_ready(self) -> None:
        """Returns at once."""


def fixed(target: Target) -> Channel:
    """A channel whose calls all go to one target."""

    async def wait(_timeout_s: float | None) -> Target:
        return target

    return Channel(lambda: target, wait)
