"""The wall of a process whose whole configuration is a user's: each of its connections is checked.

Drivers of databases and brokers open their sockets themselves, and some connect to addresses that
a server names to them. So the check is where all of them pass: at `connect` of the interpreter's
sockets, with the numeric address of the socket. Event loops of uvloop connect below the
interpreter, so theirs is made to use its sockets. Code that opens sockets in another language
(gRPC) gets addresses that `connector` has checked and pinned.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

from flowmesh.egress.errors import EgressBlocked
from flowmesh.egress.policy import Policy

_SENDING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})


class Wall:
    """Admits connections to the addresses of a policy, and to no Unix socket.

    `blocked` counts refused connections; drivers hide the reason of a failed one.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.blocked = 0

    def build(self) -> None:
        """Check all connections of this process from now on; nothing removes the check."""
        sys.addaudithook(self._audit)

    def loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """Return the factory of checked event loops; None for that of the interpreter."""
        try:
            import uvloop
        except ImportError:
            return None

        class Loop(_Checked, uvloop.Loop):  # type: ignore[misc]
            pass

        return Loop

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _SENDING:
            self._check(*arguments)

    def _check(self, used: socket.socket, address: Any) -> None:
        # `sendmsg` on a connected socket names no address.
        if address is None:
            return
        # A name is no address: the socket would resolve it after this check.
        if used.family in _INTERNET and self._policy.admits(str(address[0])):
            return
        self.blocked += 1
        raise EgressBlocked


class _Checked(asyncio.AbstractEventLoop):
    """An event loop that connects by sockets of the interpreter, which the wall checks."""

    async def create_connection(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        ssl: Any = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: Any = None,
        server_hostname: Any = None,
        **options: Any,
    ) -> Any:
        if sock is None:
            found = await self.getaddrinfo(
                host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
            )
            sock = await self._connected(found, local_addr)
            if ssl and server_hostname is None:
                server_hostname = host
        return await super().create_connection(
            protocol_factory, sock=sock, ssl=ssl, server_hostname=server_hostname, **options
        )

    async def create_unix_connection(
        self, protocol_factory: Any, path: Any = None, *, sock: Any = None, **options: Any
    ) -> Any:
        if sock is None:
            raise EgressBlocked
        return await super().create_unix_connection(protocol_factory, sock=sock, **options)

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Any, **options: Any
    ) -> Any:
        raise EgressBlocked

    async def _connected(self, found: list[Any], local_addr: Any) -> socket.socket:
        """Return a socket that is connected to the first address that answers."""
        errors: list[OSError] = []
        for family, kind, protocol, _, address in found:
            made = socket.socket(family, kind, protocol)
            try:
                made.setblocking(False)
                if local_addr is not None:
                    made.bind(local_addr)
                await self.sock_connect(made, address)
            except OSError as error:
                made.close()
                errors.append(error)
            except BaseException:
                made.close()
                raise
            else:
                return made
        raise errors[0] if errors else OSError("the host name has no address")
