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

from flowmesh.api.identity.v1.auth_service_pb2 import ListSigningKeysRequest, RefreshRequest
from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceStub
from flowmesh.errors import FlowmeshError, Misdirected, Unauthenticated, WrongState
from flowmesh.rpc import error_of
from flowmesh.rpc.status import Unreachable
from flowmesh.sdk.transport.channels import Channels
from flowmesh.sdk.transport.credentials import Tokens, TokenSource, credential_of
from flowmesh.sdk.transport.endpoint import Endpoint, Tls
from flowmesh.sdk.transport.retries import RetryBudget, retry_delay_s
from flowmesh.sdk.values import limits

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

    def __init__(
        self,
        address: str,
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint = Endpoint.of(address, tls)
        self.address = address
        self._draw = draw
        self._credential = credential_of(token, api_key, self._refresh)
        if self._credential is not None:
            endpoint.check_credential(self._credential.source)
        self._channels = Channels(endpoint, self._credential)
        self._budget = RetryBudget()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel for stubs, which spreads their calls over several connections."""
        return cast(grpc.aio.Channel, self._channels)

    @property
    def has_credential(self) -> bool:
        """True if calls carry a token or an API key."""
        return self._credential is not None

    async def ready(self) -> None:
        """Wait for the server."""
        await self._channels.channel_ready()

    async def check_tls(self) -> None:
        """Raise TLS_FAILED if the server is reached and the TLS handshake with it fails."""
        try:
            await AuthServiceStub(self.channel).ListSigningKeys(
                ListSigningKeysRequest(), timeout=limits.TLS_CHECK_TIMEOUT_S
            )
        except grpc.aio.AioRpcError as error:
            failure = self.explained(error)
            if failure.reason == "TLS_FAILED":
                raise failure from None

    async def close(self) -> None:
        """Close the connections and cancel open calls."""
        await self._channels.close()

    async def authorize(self) -> None:
        """Renew the access token if it is about to expire; before each call and stream."""
        if self._credential is not None:
            await self._credential.ensure()

    async def headers(self) -> dict[str, str]:
        """Return the credential as headers of an HTTP request."""
        await self.authorize()
        return dict(self._credential.metadata) if self._credential is not None else {}

    async def reauthorized(self, error: FlowmeshError) -> bool:
        """Renew an access token that the server refused; True if the call may be repeated."""
        if self._credential is None or not isinstance(error, Unauthenticated):
            return False
        return await self._credential.rejected()

    def followed(self, error: FlowmeshError) -> bool:
        """Make all calls from now on to the cell that an error names; False if it names none.

        Raises ENDPOINT_INVALID and PLAINTEXT_REFUSED for an address that is less safe.
        """
        if not isinstance(error, Misdirected) or not error.address:
            return False
        if error.address == self.address:
            # A call at the same time has moved this client already.
            return True
        endpoint = self.endpoint.elsewhere(error.address)
        if self._credential is not None:
            endpoint.check_credential(self._credential.source)
        self.endpoint, self.address = endpoint, error.address
        self._channels.move(endpoint)
        return True

    def explained(self, error: grpc.aio.AioRpcError) -> FlowmeshError:
        """Return the domain error, with the address or the credential that it is about."""
        found = error_of(error)
        if isinstance(found, Unauthenticated):
            return self._unauthenticated(found)
        if not isinstance(found, Unreachable):
            return found
        if cause := _without_tls(error.details() or "", self.address):
            return WrongState("TLS_FAILED", cause)
        text = f"no server responds at {self.address}; `flowmesh dev` starts a suite"
        return Unreachable(found.reason, text, never_sent=found.never_sent)

    def _unauthenticated(self, error: Unauthenticated) -> Unauthenticated:
        if self._credential is not None:
            text = f"the server refused {self._credential.source}: {error.message}"
        elif error.reason == "CREDENTIALS_REQUIRED":
            text = (
                f"{self.address} requires a credential; set FLOWMESH_API_KEY or FLOWMESH_TOKEN, or"
                " pass `api_key` or `token`"
            )
        else:
            return error
        return Unauthenticated(error.reason, text)

    async def _refresh(self, refresh_token: str) -> Tokens:
        request = RefreshRequest(refresh_token=refresh_token)
        answer = await AuthServiceStub(self.channel).Refresh(request, timeout=limits.CALL_TIMEOUT_S)
        return Tokens.received(answer.tokens.access_token, answer.tokens.refresh_token)

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

        total_s = min(max(timeout_s, limits.RETRY_TOTAL_S), within_s)
        return await self.retried(once, total_s=total_s)

    async def retried(
        self,
        once: Callable[[], Awaitable[Response]],
        *,
        total_s: float = limits.RETRY_TOTAL_S,
    ) -> Response:
        """Return the result of `once`, retried on errors that a retry may resolve."""
        loop = asyncio.get_running_loop()
        until = loop.time() + total_s
        wait_s = limits.RETRY_WAIT_INITIAL_S
        has_followed = False
        for attempt in range(limits.RETRY_ATTEMPTS_MAX):
            try:
                await self.authorize()
                result = await once()
                self._budget.succeeded()
                return result
            except grpc.aio.AioRpcError as error:
                failure = self.explained(error)
            if await self.reauthorized(failure):
                continue
            if not has_followed and self.followed(failure):
                has_followed = True
                continue
            delay_s = retry_delay_s(failure, wait_s)
            if delay_s is None or loop.time() + delay_s > until:
                break
            if not self._budget.permits(failure):
                break
            if attempt == 0 and isinstance(failure, Unreachable):
                _log.warning("%s does not respond; retrying for %.0f s", self.address, total_s)
            # Add jitter, so that clients that failed together do not retry together.
            await asyncio.sleep(delay_s + wait_s * self._draw())
            wait_s = min(2 * wait_s, limits.RETRY_WAIT_MAX_S)
        raise failure from None


def _without_tls(details: str, address: str) -> str:
    """Return the cause of a failed handshake; empty if it did not fail."""
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return (
            f"the certificate of {address} is not signed by a trusted authority, or is for another"
            " name; FLOWMESH_CA names the file of an authority to trust"
        )
    if "Ssl handshake failed" in details or "SSL_ERROR" in details:
        return f"{address} does not speak TLS, or refuses the certificate of this client"
    return ""
