"""When a broken stream is opened again, and when that is given up."""

import asyncio
from collections.abc import Callable

import grpc

from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.rpc import error_of, stream_retry_s
from flowmesh.sdk import limits

# A server that dies or stops ends its streams with one of these; they say nothing of the caller.
_TRANSIENT = frozenset(
    (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    )
)


class Reconnect:
    """Counts the time since the stream last worked; `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._down_since: float | None = None
        self._opened_at = 0.0
        self._last: FlowmeshError | None = None
        self._transient = True

    def opening(self) -> None:
        """The stream is opened, again perhaps."""
        self._opened_at = self._monotonic()

    def ended(self) -> None:
        """It has ended, however. One that lasted was open, though nothing came on it."""
        if self._monotonic() - self._opened_at > limits.STREAM_LASTED_S:
            self._down_since = None

    def connected(self) -> None:
        self._down_since = None
        self._last = None
        self._transient = True

    def broken(self, error: grpc.aio.AioRpcError) -> None:
        self._last = error_of(error)
        self._transient = error.code() in _TRANSIENT

    @property
    def down_s(self) -> float:
        return 0.0 if self._down_since is None else self._monotonic() - self._down_since

    @property
    def refused(self) -> bool:
        """The server answered, and opening the stream again would get the same answer."""
        return not self._transient

    @property
    def hopeless(self) -> bool:
        """Opening it again cannot help, or did not for too long."""
        return self.refused or self.down_s > limits.RECONNECT_BUDGET_S

    def error(self) -> FlowmeshError:
        if self._last is not None:
            return self._last
        return Unavailable("SERVICE_UNAVAILABLE", "the server closed the stream and stays away")

    async def pause(self) -> None:
        if self._down_since is None:
            self._down_since = self._monotonic()
        await asyncio.sleep(stream_retry_s(self.down_s))
