"""Connections of a connector: opened once for each credential, and anew after a failure."""

from typing import Any

import pytest

from flowmesh.plugins import limits
from flowmesh.plugins.connections import Connections
from flowmesh.sdk import NonRetryable


class Server:
    """Connections that were opened and closed, by their credential."""

    def __init__(self) -> None:
        self.opened, self.closed = list[str](), list[str]()
        self.connections = Connections(self.open, self.close)

    async def open(self, credential: str) -> str:
        self.opened.append(credential)
        return credential

    def close(self, connection: str) -> None:
        self.closed.append(connection)


def echo(connection: str, input: dict[str, Any]) -> Any:
    if problem := input.get("problem"):
        raise problem
    return [connection, input]


async def test_a_connection_serves_many_calls() -> None:
    """The credential of a task chooses the connection, and its handler does not get it."""
    server = Server()
    call = server.connections.handler(echo)
    for _ in range(2):
        assert await call({"credential": "key", "a": 1}) == ["key", {"a": 1}]
    assert await call({"a": 1}) == ["", {"a": 1}]
    assert server.opened == ["key", ""]


async def test_a_connection_that_failed_is_closed() -> None:
    """The next call opens another one; a task that cannot succeed leaves it open."""
    server = Server()
    call = server.connections.handler(echo)
    with pytest.raises(NonRetryable):
        await call({"problem": NonRetryable("no such key")})
    assert server.closed == []
    with pytest.raises(ConnectionError):
        await call({"problem": ConnectionError("reset")})
    await call({})
    assert (server.opened, server.closed) == (["", ""], [""])


async def test_connections_are_bounded() -> None:
    """The one that was used least recently is closed."""
    server = Server()
    call = server.connections.handler(echo)
    for n in range(limits.CONNECTIONS_MAX):
        await call({"credential": str(n)})
    await call({"credential": "0"})
    await call({"credential": "one more"})
    assert server.closed == ["1"]
