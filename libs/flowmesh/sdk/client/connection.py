"""What every part of the client shares: the connections, the namespace, ids, payloads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

from flowmesh import errors
from flowmesh.sdk import limits
from flowmesh.sdk.client.calls import Caller
from flowmesh.sdk.environment import actor_or_default, address_or_default, namespace_or_default
from flowmesh.sdk.ids import new_request_id
from flowmesh.sdk.payloads import PayloadStore


class Connection:
    """One address, kept for the life of the client.

    Without an address FLOWMESH_ADDRESS says it, and 127.0.0.1:7450 where that is not set; without
    a namespace FLOWMESH_NAMESPACE and `default`. `actor`, or FLOWMESH_ACTOR, is who asks: kept with
    what is changed.
    """

    def __init__(
        self,
        address: str = "",
        namespace: str = "",
        *,
        actor: str = "",
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        self.address = address_or_default(address)
        self.namespace = namespace_or_default(namespace)
        self.actor = actor_or_default(actor)
        self.new_id = new_id
        self.caller = Caller(self.address)
        self.payloads = PayloadStore(self.caller, self.namespace)

    @classmethod
    async def connect(
        cls,
        address: str = "",
        namespace: str = "",
        *,
        timeout: float = limits.CONNECT_TIMEOUT_S,
    ) -> Self:
        """A client whose server answers; Unavailable if it does not within `timeout` seconds."""
        client = cls(address, namespace)
        try:
            await client.ready(timeout)
        except errors.Unavailable:
            await client.close()
            raise
        return client

    async def ready(self, timeout: float = limits.CONNECT_TIMEOUT_S) -> None:
        """Returns when the server answers; Unavailable if it does not within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self.caller.ready()
        except TimeoutError as error:
            raise errors.Unavailable(
                "SERVICE_UNAVAILABLE",
                f"nothing answers at {self.address} within {timeout:g} s;"
                " `flowmesh dev` starts a suite",
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.caller.close()

    async def pages(
        self, method: Callable[..., Any], request: Any, items: str
    ) -> AsyncIterator[Any]:
        """Every item of a paged list; asks for the next page when the last one is used up."""
        while True:
            response = await self.caller.call(method, request)
            for item in getattr(response, items):
                yield item
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token
