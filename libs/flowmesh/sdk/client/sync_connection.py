"""The written part of the blocking client: its event loop, opening and closing.

`python -m tools.sync_client` generates the calls (package `sync`) from the async classes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self, TypeVar

from flowmesh import errors
from flowmesh.sdk.client.background_loop import BackgroundLoop
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.transport.credentials import TokenSource
from flowmesh.sdk.transport.endpoint import Tls
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.ids import new_request_id
from flowmesh.sdk.values.sealing import Codec

T = TypeVar("T")


class SyncConnection:
    """An async client on a background loop."""

    def __init__(
        self,
        address: str = "",
        namespace: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        codec: Codec | None = None,
        actor: str = "",
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        self._loop = BackgroundLoop()
        # A channel belongs to the loop on which it is created.
        try:
            self._wrapped = self._loop.invoke(
                Client,
                address,
                namespace,
                token=token,
                api_key=api_key,
                tls=tls,
                codec=codec,
                actor=actor,
                new_id=new_id,
            )
        except errors.FlowmeshError:
            self._loop.close()
            raise

    @classmethod
    def connect(
        cls,
        address: str = "",
        namespace: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        codec: Codec | None = None,
        timeout: float = limits.CONNECT_TIMEOUT_S,
    ) -> Self:
        """Create a client and wait for its server.

        Raises Unavailable if the server does not respond within `timeout` seconds.
        """
        client = cls(address, namespace, token=token, api_key=api_key, tls=tls, codec=codec)
        try:
            client.ready(timeout)
        except errors.FlowmeshError:
            client.close()
            raise
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ready(self, timeout: float = limits.CONNECT_TIMEOUT_S) -> None:
        """Wait for the server; raise Unavailable if it does not respond within `timeout` s."""
        self._loop.call(self._wrapped.ready(timeout))

    def close(self) -> None:
        """Close the connections and cancel open calls; repeated calls have no effect."""
        if self._loop.closed:
            return
        self._loop.call(self._wrapped.close())
        self._loop.close()

    def call(self, function: Callable[[Client], Awaitable[T]]) -> T:
        """Run async code with the async client: `client.call(lambda c: c.run("order"))`."""

        async def called() -> T:
            return await function(self._wrapped)

        return self._loop.call(called())

    def iterate(self, function: Callable[[Client], AsyncIterator[T]]) -> Iterator[T]:
        """Iterate over an async iterator: `client.iterate(lambda c: c.approvals())`."""
        return self._loop.iterate(lambda: function(self._wrapped))
