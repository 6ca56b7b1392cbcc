"""The state that all parts of a client share: the caller, the namespace, ids, payloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from flowmesh import errors
from flowmesh.sdk.transport.calls import Caller, Method, Request, Response
from flowmesh.sdk.transport.credentials import TokenSource
from flowmesh.sdk.transport.endpoint import Tls
from flowmesh.sdk.transport.environment import actor_or_default, located, namespace_or_default
from flowmesh.sdk.transport.payload_store import PayloadStore
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.sealing import Codec


class Connection:
    """The connections to one address, with the namespace and actor of requests."""

    def __init__(
        self,
        address: str,
        namespace: str,
        *,
        token: TokenSource | None,
        api_key: str,
        tls: Tls | bool | None,
        actor: str,
        new_id: Callable[[], str],
        codec: Codec | None = None,
    ) -> None:
        self.address, tls = located(address, tls)
        self.actor = actor_or_default(actor)
        self.new_id = new_id
        self.caller = Caller(self.address, token=token, api_key=api_key, tls=tls)
        has_credential = self.caller.has_credential
        self.namespace = namespace_or_default(namespace, has_credential=has_credential)
        self.payloads = PayloadStore(self.caller, self.namespace, codec)

    async def ready(self, timeout: float) -> None:
        """Wait for the server; raise Unavailable if it does not respond within `timeout` s."""
        try:
            async with asyncio.timeout(timeout):
                await self.caller.ready()
        except TimeoutError as error:
            await self.caller.check_tls()
            raise errors.Unavailable(
                "SERVICE_UNAVAILABLE",
                f"no server responds at {self.address} within {timeout:g} s;"
                " `flowmesh dev` starts a suite",
            ) from error

    async def close(self) -> None:
        """Close the connections and cancel open calls."""
        await self.caller.close()

    async def call(
        self,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout_s: float = limits.CALL_TIMEOUT_S,
    ) -> Response:
        """Make a call in the namespace of the client."""
        message: Any = request
        message.namespace = self.namespace
        response = await self.caller.call(method, request, timeout_s=timeout_s)
        return self.payloads.opened(response)

    async def change(
        self, method: Method[Request, Response], request: Request, request_id: str = ""
    ) -> Response:
        """Make a call that changes something once per request id, by the actor of the client."""
        message: Any = request
        message.actor, message.request_id = self.actor, request_id or self.new_id()
        return await self.call(method, request)

    async def pages(
        self,
        method: Callable[..., Any],
        request: Any,
        items: str,
        on_warning: Callable[[str], object] | None = None,
    ) -> AsyncIterator[Any]:
        """Iterate over the items of a paged list, requesting page after page.

        With `on_warning`, the responses have `warnings`, and each is passed to it.
        """
        while True:
            response = await self.call(method, request)
            if on_warning is not None:
                for warning in response.warnings:
                    on_warning(warning)
            for item in getattr(response, items):
                yield item
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token
