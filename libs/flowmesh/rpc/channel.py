"""The channel for stubs: selects a target for each call and translates failures.

A unary call whose address does not respond is sent to another instance if that is safe: it was
never sent, it only reads, or its request_id makes it idempotent. All calls have the trace context
and the shorter of their own timeout and the remaining time of the call being served. The default
timeout is 10 s for unary calls; streams have none.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from flowmesh.errors import FlowmeshError, Unimplemented
from flowmesh.rpc import local
from flowmesh.rpc.handlers import Handlers, Method
from flowmesh.rpc.limits import DEFAULT_TIMEOUT_S, TARGETS_TRIED_MAX
from flowmesh.rpc.remote import RemoteStream, RemoteTarget
from flowmesh.rpc.scope import MetadataItems, timeout_within, with_trace
from flowmesh.rpc.status import Unreachable

# The name prefixes of methods that only read.
READS = ("Get", "List", "Wait", "Validate", "Analyze")


class LocalTarget:
    """The services of this process."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def method(self, path: str) -> Method:
        found = self._handlers.methods.get(path)
        if found is None:
            raise Unimplemented("UNIMPLEMENTED", f"this process does not serve {path}")
        return found


Target = LocalTarget | RemoteTarget
# Returns the target of a call; raises Unavailable if there is none.
Pick = Callable[[], Target]
# Waits for a target, at most for the timeout of the call.
Await = Callable[[float | None], Awaitable[Target]]


def _streaming(kind: str) -> Callable[..., Any]:
    """Return the method of a channel for calls that stream in at least one direction."""

    def make(
        channel: "Channel",
        path: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
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
            target = channel.pick()
            if isinstance(target, LocalTarget):
                return local.LocalStream(target.method(path), requests, items, timeout_s)
            made = target.callable(kind, path, request_serializer, response_deserializer)
            # If the caller writes the requests later, the argument must be omitted.
            given = () if requests is None and kind.startswith("stream") else (requests,)
            return RemoteStream(
                target,
                made(
                    *given,
                    timeout=timeout_s,
                    metadata=target.signed(path, items),
                    wait_for_ready=wait_for_ready,
                ),
            )

        return call

    return make


class Channel(grpc.aio.Channel):
    """The part of a gRPC channel that stubs use. `pick` selects a target for each call."""

    def __init__(self, pick: Pick, wait: Await) -> None:
        self.pick = pick
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
            tried: Target | None = None
            for _ in range(TARGETS_TRIED_MAX):
                target = await wait(timeout_s)
                if isinstance(target, LocalTarget):
                    return await local.call_unary(target.method(method), request, items, timeout_s)
                made = target.callable(
                    "unary_unary", method, request_serializer, response_deserializer
                )
                try:
                    return await made(
                        request,
                        timeout=timeout_s,
                        metadata=target.signed(method, items),
                        wait_for_ready=wait_for_ready,
                    )
                except grpc.aio.AioRpcError as error:
                    failure = target.translated(error)
                if not _is_retry_safe(method, request, failure) or target is tried:
                    break
                tried = target
            try:
                raise failure
            finally:
                del failure  # its traceback references this frame and the request

        return call

    unary_stream: Any = _streaming("unary_stream")
    stream_unary: Any = _streaming("stream_unary")
    stream_stream: Any = _streaming("stream_stream")

    async def close(self, grace: float | None = None) -> None:
        """Do nothing: the creator of a target closes it."""

    async def __aenter__(self) -> "Channel":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing."""

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return at once: the state never changes."""

    async def channel_ready(self) -> None:
        """Return at once."""


def _is_retry_safe(method: str, request: Any, failure: FlowmeshError) -> bool:
    """Return whether the call may be sent to another instance."""
    if not isinstance(failure, Unreachable):
        return False
    name = method.rpartition("/")[2]
    return failure.never_sent or bool(getattr(request, "request_id", "")) or name.startswith(READS)


def channel_to(target: Target) -> Channel:
    """Return a channel whose calls all go to one target."""

    async def wait(_timeout_s: float | None) -> Target:
        return target

    return Channel(lambda: target, wait)
