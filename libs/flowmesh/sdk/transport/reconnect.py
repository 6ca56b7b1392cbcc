"""The policy that reopens a broken stream or fails it for good."""

import asyncio
from collections.abc import Callable

import grpc

from flowmesh.errors import FlowmeshError, Invalid, Unavailable
from flowmesh.rpc import stream_retry_s
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.values import limits

# A server that dies or stops ends its streams with one of these statuses.
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
    """Tracks the time since the stream last worked; `monotonic` returns seconds."""

    def __init__(self, caller: Caller, monotonic: Callable[[], float]) -> None:
        self._caller = caller
        self._monotonic = monotonic
        self._down_since: float | None = None
        self._opened_at = 0.0
        self._last: FlowmeshError | None = None
        self._transient = True
        # The last end was that of another cell, which was followed.
        self._has_followed = False

    async def opening(self) -> None:
        """Record the start of an attempt to open the stream; renew an expired access token."""
        self._opened_at = self._monotonic()
        await self._caller.authorize()

    def ended(self) -> None:
        """Record the end of the stream; a long-lived one counts as connected without a message."""
        if self._monotonic() - self._opened_at > limits.STREAM_LASTED_S:
            self._down_since = None

    def connected(self) -> None:
        """Record a received message."""
        self._down_since = None
        self._last = None
        self._transient = True
        self._has_followed = False

    async def broken(self, error: grpc.aio.AioRpcError) -> None:
        """Record the error that ended the stream; renew an access token that it is about.

        A stream that another cell serves is opened there once.
        """
        self._last = self._caller.explained(error)
        self._transient = error.code() in _TRANSIENT and self._last.reason != "TLS_FAILED"
        if await self._caller.reauthorized(self._last):
            self._transient = True
        try:
            self._has_followed = not self._has_followed and self._caller.followed(self._last)
            self._transient |= self._has_followed
        except Invalid as unsafe:
            self._last = unsafe

    @property
    def down_s(self) -> float:
        """The seconds since the stream broke; 0 while it works."""
        return 0.0 if self._down_since is None else self._monotonic() - self._down_since

    @property
    def refused(self) -> bool:
        """True if the server refused the stream and would refuse it again."""
        return not self._transient

    @property
    def hopeless(self) -> bool:
        """True if the stream was refused, or could not be reopened for too long."""
        return self.refused or self.down_s > limits.RECONNECT_BUDGET_S

    def error(self) -> FlowmeshError:
        """Return the error for callers after the stream is given up."""
        if self._last is not None:
            return self._last
        return Unavailable(
            "SERVICE_UNAVAILABLE", "the server closed the stream and does not respond"
        )

    async def pause(self) -> None:
        """Wait before the next attempt."""
        if self._down_since is None:
            self._down_since = self._monotonic()
        await asyncio.sleep(stream_retry_s(self.down_s))
