"""One channel, and calls on it: deadlines, bounded retries, errors as `flowmesh.errors`.

Every call may be repeated: reads are repeatable, and whatever changes something carries a
request_id that stays the same over its retries.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import grpc
import stamina

from flowmesh.errors import FlowmeshError, Overloaded, Unavailable
from flowmesh.rpc import CHANNEL_OPTIONS, error_of
from flowmesh.sdk import limits

Request = TypeVar("Request", contravariant=True)
Response = TypeVar("Response")
Answer = TypeVar("Answer", covariant=True)
Stub = TypeVar("Stub")


class Method(Protocol[Request, Answer]):
    """A unary method of a stub."""

    def __call__(self, request: Request, *, timeout: float) -> Awaitable[Answer]: ...


class Caller:
    """Owns the channel of a client and makes its unary calls."""

    def __init__(self, address: str) -> None:
        self.address = address
        # An address that resolves to several servers spreads calls over those that answer.
        options = [*CHANNEL_OPTIONS, ("grpc.lb_policy_name", "round_robin")]
        self.channel = grpc.aio.insecure_channel(address, options=options)

    async def close(self) -> None:
        await self.channel.close(grace=None)

    async def call(
        self,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout_s: float = limits.CALL_TIMEOUT_S,
    ) -> Response:
        """The answer to `request`; each try gets `timeout_s`."""

        async def once() -> Response:
            return await method(request, timeout=timeout_s)

        return await self.retried(once, budget_s=max(timeout_s, limits.RETRY_BUDGET_S))

    async def retried(
        self,
        once: Callable[[], Awaitable[Response]],
        *,
        budget_s: float = limits.RETRY_BUDGET_S,
    ) -> Response:
        """What `once` answers, tried again while the server says that helps."""
        try:
            return await once()
        except grpc.aio.AioRpcError as error:
            first = error_of(error)
            delay = retry_delay_s(first)
            if not delay:
                raise first from error
        await asyncio.sleep(limits.RETRY_WAIT_INITIAL_S if delay is True else delay)
        async for attempt in stamina.retry_context(
            on=retry_delay_s,
            attempts=limits.RETRY_ATTEMPTS_MAX,
            timeout=budget_s,
            wait_initial=limits.RETRY_WAIT_INITIAL_S,
            wait_max=limits.RETRY_WAIT_MAX_S,
            wait_jitter=limits.RETRY_WAIT_INITIAL_S,
        ):
            with attempt:
                try:
                    return await once()
                except grpc.aio.AioRpcError as error:
                    raise error_of(error) from error
        raise AssertionError("the retry context either returned or raised")


def retry_delay_s(error: Exception) -> bool | float:
    """Whether to try again, and after which delay where the server named one."""
    if not isinstance(error, FlowmeshError):
        return False
    if isinstance(error, Unavailable | Overloaded) and error.retry_after_ms > 0:
        return min(error.retry_after_ms / 1000, limits.RETRY_WAIT_MAX_S)
    return isinstance(error, Unavailable)
