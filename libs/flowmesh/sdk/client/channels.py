"""One address, and as many connections to it as its calls need.

A server takes a bounded number of calls at a time on each connection; further ones would wait in
this process, unseen, behind those that last long.
"""

from collections.abc import Callable
from typing import Any

import grpc.aio

from flowmesh.rpc import CHANNEL_OPTIONS
from flowmesh.sdk import limits


class _Connection:
    """A channel of its own, its methods, and how many calls are open on it."""

    def __init__(self, address: str) -> None:
        # An address that resolves to several servers spreads calls over those that answer.
        options = [*CHANNEL_OPTIONS, ("grpc.lb_policy_name", "round_robin")]
        self.channel = grpc.aio.insecure_channel(address, options=options)
        self.calls = 0
        self._methods: dict[str, Any] = {}

    def call(self, make: str, path: str, codec: dict[str, Any], *args: Any, **about: Any) -> Any:
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = getattr(self.channel, make)(path, **codec)
        call = method(*args, **about)
        self.calls += 1
        call.add_done_callback(self._over)
        return call

    def _over(self, _call: Any) -> None:
        self.calls -= 1


def _multi_callable(make: str) -> Callable[..., Any]:
    """The channel's method for calls of one kind."""

    def of(channels: "Channels", path: str, **codec: Any) -> Any:
        def call(*args: Any, **about: Any) -> Any:
            return channels.pick().call(make, path, codec, *args, **about)

        return call

    return of


class Channels:
    """What stubs are made of, in place of a channel."""

    unary_unary = _multi_callable("unary_unary")
    unary_stream = _multi_callable("unary_stream")
    stream_unary = _multi_callable("stream_unary")
    stream_stream = _multi_callable("stream_stream")

    def __init__(self, address: str) -> None:
        self._address = address
        self._connections = [_Connection(address)]

    def pick(self) -> _Connection:
        """The first connection with room; else a new one, or that with the fewest calls."""
        for connection in self._connections:
            if connection.calls < limits.CONNECTION_CALLS:
                return connection
        if len(self._connections) < limits.CONNECTIONS_MAX:
            self._connections.append(_Connection(self._address))
            return self._connections[-1]
        return min(self._connections, key=lambda connection: connection.calls)

    async def channel_ready(self) -> None:
        """Returns when the server answers."""
        await self._connections[0].channel.channel_ready()

    async def close(self) -> None:
        """Cancels the calls that are open."""
        for connection in self._connections:
            await connection.channel.close()
