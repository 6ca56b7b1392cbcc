"""Unary calls of a client, with deadlines, bounded retries and translated errors.

Every call can be retried: a read has no effect, and a change carries a request_id that all its
retries share.
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar, cast

import grpc

from flowmesh.errors import FlowmeshError, Overloaded, Unavailable
from flowmesh.rpc import error_of
from flowmesh.rpc.status import Unreachable
from flowmesh.sdk import limits
from flowmesh.sdk.client.channels import Channels

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response")
Answer = TypeVar("Answer", covariant=True)
Stub = TypeVar("Stub")
_log = logging.getLogger("flowmesh.sdk")


class Method(Protocol[Request, Answer]):
    """A unary method of a stub."""

    def __call__(self, request: Request, *, timeout: float) -> Awaitable[Answer]: ...


class Caller:
    """Owns the connections of a client and makes its unary calls."""

    def __init__(self, address: str, *, draw: Callable[[], float] = random.random) -> None:
        self.address = address
        self._draw = draw
        self._channels = Channels(address)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel for stubs, which spreads their calls over several connections."""
        return cast(grpc.aio.Channel, self._channels)

    async def ready(self) -> None:
        """Wait for the server."""
        await self._channels.channel_ready()

    async def close(self) -> None:
        """Close the connections and cancel open calls."""
        await self._channels.close()

    async def call(
        self,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout_s: float = limits.CALL_TIMEOUT_S,
        within_s: float = math.inf,
    ) -> Response:
        """Make a call; each attempt has `timeout_s`, and none starts after `within_s`."""

        async def once() -> Response:
            return await method(request, timeout=timeout_s)

        budget_s = min(max(timeout_s, limits.RETRY_BUDGET_S), within_s)
        return await self.retried(once, budget_s=budget_s)

    async def retried(
        self,
        once: Callable[[], Awaitable[Response]],
        *,
        budget_s: float = limits.RETRY_BUDGET_S,
    ) -> Response:
        """Return the result of `once`, retried on errors that a retry may resolve."""
        loop = asyncio.get_running_loop()
        until = loop.time() + budget_s
        wait_s = limits.RETRY_WAIT_INITIAL_S
        for attempt in range(limits.RETRY_ATTEMPTS_MAX):
            try:
                return await once()
            except grpc.aio.AioRpcError as error:
                failure = with_address(error_of(error), self.address)
            delay_s = retry_delay_s(failure, wait_s)
            if delay_s is None or loop.time() + delay_s > until:
                break
            if attempt == 0 and isinstance(failure, Unreachable):
                _log.warning("%s does not respond; retrying for %.0f s", self.address, budget_s)
            # Add jitter, so that clients that failed together do not retry together.
            await asyncio.sleep(delay_s + wait_s * self._draw())
            wait_s = min(2 * wait_s, limits.RETRY_WAIT_MAX_S)
        raise failure from None


def retry_delay_s(error: FlowmeshError, wait_s: float) -> float | None:
    """Return the delay before a retry: the server's or `wait_s`; None for no retry."""
    if not isinstance(error, Unavailable | Overloaded):
        return None
    if error.retry_after_ms > 0:
        return min(error.retry_after_ms / 1000, limits.RETRY_WAIT_MAX_S)
    return wait_s if isinstance(error, Unavailable) else None


def with_address(error: FlowmeshError, address: str) -> FlowmeshError:
    """Return the error; an unreachable server is named by its address."""
    if not isinstance(error, Unreachable):
        return error
    text = f"no server responds at {address}; `flowmesh dev` starts a suite"
    return Unreachable(error.reason, text, never_sent=error.never_sent)
