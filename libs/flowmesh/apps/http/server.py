"""The listener of a server: uvicorn with httptools and bounded request heads."""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from flowmesh.apps.http.application import HttpApplication
from flowmesh.errors import Invalid, Unavailable
from flowmesh.jsontext.integers import is_whole
from flowmesh.runtime.http.embedded import EmbeddedServer, listen
from flowmesh.runtime.http.protocol import BoundedProtocol

BACKLOG = 2_048
# Interval at which a draining server looks for open connections.
LINGER_POLL_S = 0.02
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """The address and the limits of a server."""

    host: str
    port: int
    idle_s: float = 120.0
    shutdown_s: float = 25.0
    connections_max: int = 10_000
    certificate: Path | None = None
    key: Path | None = None


def parse_address(text: str, *, public: bool) -> tuple[str, int]:
    """Return host and port of `:8080`, `8080` or `host:8080`.

    A missing host is loopback; with `public` FLOWMESH_HOST, or all interfaces. Raises Invalid.
    """
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not is_whole(port) or int(port) > 65_535:
        raise Invalid("ADDRESS_INVALID", f"{text!r} is no address such as :8080 or 127.0.0.1:8080")
    everywhere = os.environ.get("FLOWMESH_HOST") or "0.0.0.0"
    return host or (everywhere if public else LOOPBACK), int(port)


class Listener:
    """Listens on an address and serves an application until it is stopped."""

    def __init__(self, *, name: str, app: HttpApplication, at: Listening) -> None:
        self._name = name
        self._app = app
        self._at = at
        self._socket: socket.socket | None = None
        self._server: EmbeddedServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """The address of the bound socket; the configured one before the start."""
        if self._socket is None:
            return f"{self._at.host}:{self._at.port}"
        host, port = self._socket.getsockname()[:2]
        return f"{host}:{port}"

    def bind(self, given: socket.socket | None = None) -> None:
        """Bind the address, or take a listening socket. Raises Unavailable."""
        if given is not None:
            self._socket = given
            return
        try:
            self._socket = listen(self._at.host, self._at.port)
            # Connections wait in the queue of the socket until the server accepts them.
            self._socket.listen(BACKLOG)
        except OSError as error:
            why = error.strerror or "it is not an address of this machine"
            text = f"{self._name} cannot listen on {self._at.host}:{self._at.port}: {why}"
            raise Unavailable("ADDRESS_UNAVAILABLE", text) from None

    def duplicate(self) -> socket.socket | None:
        """Return a duplicate of the bound socket; None without one."""
        return None if self._socket is None else self._socket.dup()

    async def start(self) -> None:
        """Serve on the bound socket."""
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        tls = self._tls()
        options: dict[str, Any] = {}
        if tls is not None:
            options["ssl_context_factory"] = lambda _config, _default: tls
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=self._at.connections_max,
            timeout_keep_alive=max(1, int(self._at.idle_s)),
            timeout_graceful_shutdown=1,
            **options,
        )
        self._server = EmbeddedServer(config)
        served = self._server.serve([self._socket])
        self._task = asyncio.create_task(served, name=f"http {self._name}")

    async def stop(self, *, linger_s: float = 0.0) -> None:
        """Stop accepting, wait for running requests within the drain time, and close.

        Idle connections stay open for `linger_s`, so that a request that is on its way is answered;
        each answer closes its connection.
        """
        if self._server is None or self._task is None:
            if self._socket is not None:
                self._socket.close()
            return
        for each in getattr(self._server, "servers", ()):
            each.close()
        self._app.close_connections()
        try:
            async with asyncio.timeout(linger_s):
                # uvicorn announces no end of a connection.
                while self._server.server_state.connections:  # noqa: ASYNC110
                    await asyncio.sleep(LINGER_POLL_S)
        except TimeoutError:
            pass
        try:
            async with asyncio.timeout(self._at.shutdown_s):
                await self._app.idle()
        except TimeoutError:
            pass
        self._server.exit()
        await asyncio.gather(self._task, return_exceptions=True)
        self._socket = None

    def _tls(self) -> ssl.SSLContext | None:
        if self._at.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._at.certificate, self._at.key)
        except (OSError, ssl.SSLError):
            text = f"{self._name}: {self._at.certificate} and its key cannot be used together"
            raise Invalid("CERTIFICATE_INVALID", text) from None
        return context
