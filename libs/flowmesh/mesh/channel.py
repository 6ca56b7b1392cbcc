"""A gRPC channel to a service by name: each call goes to an instance that the balancer chooses.

A unary call is repeated on another instance if that is safe: it was never sent, its method only
reads, or its request has a `request_id`. The budget of retries bounds them. Each call has what is
left of the deadline of the call that the task serves, and 10 s without one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import grpc
import grpc.aio

from flowmesh.errors import Unavailable
from flowmesh.mesh.instances import Instances
from flowmesh.mesh.limits import DEFAULT_TIMEOUT_S, TRIES_MAX
from flowmesh.rpc.channel import READS
from flowmesh.rpc.instances.balancing import Backend, RetryBudget
from flowmesh.rpc.scope import MetadataItems, timeout_within, with_trace
from flowmesh.rpc.status import NEVER_SENT

ATTEMPT = "fm-attempt"
# The outcomes that count against an instance, and those that are errors of a service.
_FAILED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_ERRORS = _FAILED | {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
Count = Callable[[str, float, bool], None]


class MeshChannel(grpc.aio.Channel):
    """A channel for stubs; raises `grpc.aio.AioRpcError` as every other channel does."""

    def __init__(
        self,
        instances: Instances,
        *,
        count: Count,
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self.instances = instances
        self.budget = RetryBudget()
        self._count = count
        self._release = release
        self._ending: set[asyncio.Task[None]] = set()

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        def call(
            request: Any,
            *,
            timeout: float | None = None,
            metadata: MetadataItems | None = None,
            **_options: object,
        ) -> MeshCall:
            left = timeout_within(DEFAULT_TIMEOUT_S if timeout is None else timeout)
            made = _Unary(self, method, request_serializer, response_deserializer)
            return MeshCall(made.run(request, left or 0.0, with_trace(metadata)))

        return call

    def unary_stream(self, method: str, *codecs: Any, **options: Any) -> Any:
        return self._stream("unary_stream", method, *codecs, **options)

    def stream_unary(self, method: str, *codecs: Any, **options: Any) -> Any:
        return self._stream("stream_unary", method, *codecs, **options)

    def stream_stream(self, method: str, *codecs: Any, **options: Any) -> Any:
        return self._stream("stream_stream", method, *codecs, **options)

    def _stream(
        self,
        kind: str,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,
    ) -> Any:
        def call(
            requests: Any = None,
            *,
            timeout: float | None = None,
            metadata: MetadataItems | None = None,
            **options: Any,
        ) -> Any:
            backend = self.instances.balancer.pick()
            if backend is None:
                raise _absent(self.instances.service)
            connection = self.instances.connection(backend)
            made = connection.callable(kind, method, request_serializer, response_deserializer)
            given = () if requests is None and kind.startswith("stream") else (requests,)
            began = self.begun(backend)
            stream = made(
                *given, timeout=timeout_within(timeout), metadata=with_trace(metadata), **options
            )
            stream.add_done_callback(lambda ended: self._follow_end(backend, began, ended))
            return stream

        return call

    def begun(self, backend: Backend) -> float:
        """Record the start of a call."""
        return self.instances.balancer.begin(backend)

    def ended(self, backend: Backend, began: float, code: grpc.StatusCode | None) -> None:
        """Record the end of a call; None for one that was canceled."""
        failed = None if code is None else code in _FAILED
        self.instances.balancer.end(backend, began, failed=failed)
        if failed is not None:
            self.budget.record(failed=failed)

    def counted(self, seconds: float, code: grpc.StatusCode) -> None:
        """Count a call of a stub for the topology."""
        self._count(self.instances.service, seconds, code in _ERRORS)

    def _follow_end(self, backend: Backend, began: float, stream: Any) -> None:
        if stream.cancelled():
            self.ended(backend, began, None)
            return
        task = asyncio.ensure_future(self._stream_ended(backend, began, stream))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _stream_ended(self, backend: Backend, began: float, stream: Any) -> None:
        code = await stream.code()
        self.ended(backend, began, code)
        self.counted(time.monotonic() - began, code)

    async def close(self, grace: float | None = None) -> None:
        """Leave the service; a channel of `mesh.channel` also leaves the registry."""
        await self._release()

    async def __aenter__(self) -> "MeshChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return READY while there are instances."""
        has_any = bool(self.instances.balancer.backends)
        return grpc.ChannelConnectivity.READY if has_any else grpc.ChannelConnectivity.IDLE

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return when the state differs from the given one."""
        while self.get_state() is last_observed_state:
            await self.instances.until_changed()

    async def channel_ready(self) -> None:
        """Return when there is an instance."""
        await self.wait_for_state_change(grpc.ChannelConnectivity.IDLE)


class MeshCall:
    """A unary call, as stubs return it: awaitable, with its status and metadata."""

    def __init__(self, work: Any) -> None:
        self._task: asyncio.Task[tuple[Any, Any]] = asyncio.ensure_future(work)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._response().__await__()

    async def _response(self) -> Any:
        return (await self._task)[0]

    def cancel(self) -> bool:
        return self._task.cancel()

    def cancelled(self) -> bool:
        return self._task.cancelled()

    def done(self) -> bool:
        return self._task.done()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._task.add_done_callback(lambda _: callback(self))

    async def code(self) -> grpc.StatusCode:
        error = await self._failure()
        return error.code() if error else grpc.StatusCode.OK

    async def details(self) -> str:
        error = await self._failure()
        return (error.details() or "") if error else ""

    async def initial_metadata(self) -> Any:
        error = await self._failure()
        return error.initial_metadata() if error else await (await self._task)[1].initial_metadata()

    async def trailing_metadata(self) -> Any:
        error = await self._failure()
        if error:
            return error.trailing_metadata()
        return await (await self._task)[1].trailing_metadata()

    async def _failure(self) -> grpc.aio.AioRpcError | None:
        await asyncio.wait([self._task])
        if self._task.cancelled():
            raise asyncio.CancelledError
        error = self._task.exception()
        if error is not None and not isinstance(error, grpc.aio.AioRpcError):
            raise error
        return error


class _Unary:
    """A unary call with its repeats on other instances."""

    def __init__(self, channel: MeshChannel, method: str, serialize: Any, parse: Any) -> None:
        self._channel = channel
        self._method = method
        self._serialize = serialize
        self._parse = parse

    async def run(
        self, request: Any, timeout_s: float, items: tuple[tuple[str, str | bytes], ...]
    ) -> tuple[Any, Any]:
        """Return the response and the call that it is of."""
        began = time.monotonic()
        until = began + timeout_s
        tried: list[str] = []
        failure: grpc.aio.AioRpcError | None = None
        while True:
            left = until - time.monotonic()
            try:
                backend = await self._channel.instances.pick(tried, left)
            except Unavailable:
                failure = failure or _absent(self._channel.instances.service)
                break
            tried.append(backend.place.id)
            sent = items if len(tried) == 1 else (*items, (ATTEMPT, str(len(tried))))
            try:
                answer = await self._try(backend, request, left, sent)
            except grpc.aio.AioRpcError as error:
                failure = error
                if not self._may_repeat(request, error, len(tried)):
                    break
            else:
                self._channel.counted(time.monotonic() - began, grpc.StatusCode.OK)
                return answer
        self._channel.counted(time.monotonic() - began, failure.code())
        raise failure

    async def _try(
        self, backend: Backend, request: Any, timeout_s: float, metadata: Any
    ) -> tuple[Any, Any]:
        channel = self._channel
        connection = channel.instances.connection(backend)
        made = connection.callable("unary_unary", self._method, self._serialize, self._parse)
        began = channel.begun(backend)
        code: grpc.StatusCode | None = None
        try:
            call = made(request, timeout=timeout_s, metadata=metadata)
            response = await call
            code = grpc.StatusCode.OK
            return response, call
        except grpc.aio.AioRpcError as error:
            code = error.code()
            raise
        finally:
            channel.ended(backend, began, code)

    def _may_repeat(self, request: Any, error: grpc.aio.AioRpcError, tries: int) -> bool:
        if error.code() is not grpc.StatusCode.UNAVAILABLE or tries >= TRIES_MAX:
            return False
        if not self._channel.budget.permits:
            return False
        if (error.details() or "").startswith(NEVER_SENT):
            return True
        name = self._method.rpartition("/")[2]
        return bool(getattr(request, "request_id", "")) or name.startswith(READS)


def _absent(service: str) -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    text = f"no instance of {service} is registered"
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, details=text)
