"""Several connections to one address, opened as its calls need them.

A server accepts a bounded number of concurrent calls per connection. Further calls would wait in
this process behind long ones. When the files of its certificates change, new calls take new
connections, and the former ones close with their last call.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from flowmesh.errors import Invalid
from flowmesh.rpc import CHANNEL_OPTIONS
from flowmesh.sdk.transport.credentials import Credential
from flowmesh.sdk.transport.endpoint import Endpoint
from flowmesh.sdk.values import limits

_log = logging.getLogger("flowmesh.sdk")
_OTHER_LOOP = (
    "this client is in use by another event loop, which still runs; create a client per event loop,"
    " or use `Client.sync()` in threads"
)


class _Connection:
    """A gRPC channel with its methods and its number of open calls."""

    def __init__(self, endpoint: Endpoint, credential: Credential | None) -> None:
        # Spread calls over all servers that the address resolves to.
        options = [*CHANNEL_OPTIONS, ("grpc.lb_policy_name", "round_robin")]
        self.channel = endpoint.channel(options, with_credential=credential is not None)
        self.calls = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._credential = credential
        self._methods: dict[str, Any] = {}

    def call(self, make: str, path: str, codec: dict[str, Any], *args: Any, **options: Any) -> Any:
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = getattr(self.channel, make)(path, **codec)
        if self._credential is not None:
            options["metadata"] = (*options.get("metadata", ()), *self._credential.metadata)
        call = method(*args, **options)
        self.calls += 1
        self._idle.clear()
        call.add_done_callback(self._call_ended)
        return call

    async def close_idle(self) -> None:
        """Close the channel after its last call."""
        await self._idle.wait()
        await self.channel.close()

    def _call_ended(self, _call: Any) -> None:
        self.calls -= 1
        if not self.calls:
            self._idle.set()


def _multi_callable(make: str) -> Callable[..., Any]:
    """Return the channel method that creates callables of one kind."""

    def of(channels: "Channels", path: str, **codec: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            return channels.pick().call(make, path, codec, *args, **options)

        return call

    return of


class Channels:
    """A channel for stubs that spreads calls over connections."""

    unary_unary = _multi_callable("unary_unary")
    unary_stream = _multi_callable("unary_stream")
    stream_unary = _multi_callable("stream_unary")
    stream_stream = _multi_callable("stream_stream")

    def __init__(self, endpoint: Endpoint, credential: Credential | None = None) -> None:
        self._endpoint, self._credential = endpoint, credential
        # Opened by the first call: a connection belongs to the event loop that runs then.
        self._connections: list[_Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # Former connections, by the tasks that close them.
        self._former: dict[asyncio.Task[None], _Connection] = {}
        self._checked = time.monotonic()

    def pick(self) -> _Connection:
        """Return the first connection with capacity, a new one, or the least used one."""
        self._check_loop()
        if self._endpoint.tls is not None:
            self._renew_certificates()
        for connection in self._connections:
            if connection.calls < limits.CONNECTION_CALLS:
                return connection
        if len(self._connections) < limits.CONNECTIONS_MAX:
            self._connections.append(_Connection(self._endpoint, self._credential))
            return self._connections[-1]
        return min(self._connections, key=lambda connection: connection.calls)

    async def channel_ready(self) -> None:
        """Wait for the server."""
        await self.pick().channel.channel_ready()

    async def close(self) -> None:
        """Close the connections and cancel open calls."""
        for connection in [*self._connections, *self._former.values()]:
            await connection.channel.close()
        for task in list(self._former):
            task.cancel()

    def _check_loop(self) -> None:
        """Take the running event loop; raise Invalid if the connections belong to another."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise Invalid("REQUEST_INVALID", _OTHER_LOOP)
        # Connections of an ended `asyncio.run` cannot be used, nor closed, by another.
        self._loop, self._connections = loop, []
        self._former.clear()

    def _renew_certificates(self) -> None:
        """Replace the connections if the files of the certificates have changed."""
        now = time.monotonic()
        if now - self._checked < limits.CERTIFICATES_CHECKED_S:
            return
        self._checked = now
        try:
            renewed = self._endpoint.renewed()
        except Invalid as error:
            _log.warning("the former certificates stay in use: %s", error.message)
            return
        if renewed is not None:
            self.move(renewed)

    def move(self, endpoint: Endpoint) -> None:
        """Make new calls to an endpoint; the former connections close with their last call."""
        former, self._endpoint = self._connections, endpoint
        self._connections = [_Connection(endpoint, self._credential)]
        for connection in former:
            task = asyncio.create_task(connection.close_idle())
            self._former[task] = connection
            task.add_done_callback(self._former.pop)
