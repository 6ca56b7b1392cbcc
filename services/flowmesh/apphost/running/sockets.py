"""The listening sockets of an application; the processes of its releases share them.

A connection that waits in the queue of a socket is accepted by the next release, so that none is
lost when one release takes over from another.
"""

import socket
from collections.abc import Mapping, Sequence

from flowmesh.apphost.limits import PORT_MIN
from flowmesh.apphost.storage.records import Ports
from flowmesh.apps.release_process.conversation import WantedServer
from flowmesh.errors import Unavailable
from flowmesh.runtime.http.embedded import listen

BACKLOG = 2_048


class Sockets:
    """Sockets by server; `host` is the address on which this installation listens."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._bound: dict[str, socket.socket] = {}
        # The port that the configuration wants, 0 for any.
        self._wanted: dict[str, int] = {}

    def bind(self, servers: Sequence[WantedServer], reserved: Ports) -> dict[str, socket.socket]:
        """Return a socket for each server: bound ones, and new ones. Raises Unavailable.

        Servers that accept any port get their reserved one, if nothing else has it.
        """
        made: dict[str, socket.socket] = {}
        try:
            for each in servers:
                if each.server in self._bound and self._wanted[each.server] == each.port:
                    continue
                found = self._at(each.port or reserved.own.get(each.server, 0))
                made[each.server] = found or self._new(each, reserved)
        except OSError as error:
            self._close(made)
            text = f"{each.server} cannot listen on {self._host}:{each.port}: {error.strerror}"
            raise Unavailable("ADDRESS_UNAVAILABLE", text) from None
        except Unavailable:
            self._close(made)
            raise
        return {each.server: made.get(each.server) or self._bound[each.server] for each in servers}

    def keep(self, servers: Sequence[WantedServer], sockets: Mapping[str, socket.socket]) -> None:
        """Keep the sockets of a release that serves, and close all others."""
        unused = [each for each in self._bound.values() if each not in sockets.values()]
        self._bound = dict(sockets)
        self._wanted = {each.server: each.port for each in servers}
        for each in unused:
            each.close()

    def discard(self, sockets: Mapping[str, socket.socket]) -> None:
        """Close the new sockets of a release that does not serve."""
        self._close(sockets)

    def close(self) -> None:
        self.keep((), {})

    def _close(self, sockets: Mapping[str, socket.socket]) -> None:
        for each in sockets.values():
            if each not in self._bound.values():
                each.close()

    def _at(self, port: int) -> socket.socket | None:
        """Return the socket of another server that has this port now."""
        if not port:
            return None
        bound = self._bound.values()
        return next((each for each in bound if each.getsockname()[1] == port), None)

    def _new(self, server: WantedServer, reserved: Ports) -> socket.socket:
        port = server.port
        if 0 < port < PORT_MIN:
            text = f"{server.server} wants port {port}; hosted applications use {PORT_MIN}"
            raise Unavailable("ADDRESS_UNAVAILABLE", f"{text} and above, or 0 for any")
        if port in reserved.foreign:
            text = f"{server.server} wants port {port}, which is reserved for another application"
            raise Unavailable("ADDRESS_UNAVAILABLE", f"{text}; take another, or 0 for any")
        try:
            made = listen(self._host, port or reserved.own.get(server.server, 0))
        except OSError:
            if port or server.server not in reserved.own:
                raise
            made = self._any(reserved.foreign)
        if not port and made.getsockname()[1] in reserved.foreign:
            made.close()
            made = self._any(reserved.foreign)
        made.listen(BACKLOG)
        return made

    def _any(self, foreign: frozenset[int]) -> socket.socket:
        """Bind a port of nobody. Raises OSError if there is none."""
        refused: list[socket.socket] = []
        try:
            while True:
                made = listen(self._host, 0)
                if made.getsockname()[1] not in foreign:
                    return made
                # It stays bound, so that the next one differs.
                refused.append(made)
        finally:
            for each in refused:
                each.close()


def moved(
    servers: Sequence[WantedServer], sockets: Mapping[str, socket.socket], reserved: Ports
) -> str:
    """Return the servers of any port that did not get their reserved one; "" without any."""
    return "; ".join(
        f"{each.server} has port {port} now: {before} is in use by another program"
        for each in servers
        if not each.port
        and (before := reserved.own.get(each.server)) is not None
        and (port := sockets[each.server].getsockname()[1]) != before
    )


def addresses_of(sockets: Mapping[str, socket.socket]) -> dict[str, str]:
    """Return host:port of each server."""
    return {name: _address(each) for name, each in sockets.items()}


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
