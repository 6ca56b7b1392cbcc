"""Redis as a child process: in memory, with a unix socket; its data is not durable."""

import asyncio
import contextlib

from flowmesh.embedded import binaries
from flowmesh.embedded.child import Program
from flowmesh.embedded.datadir import DataDir

SOCKET = "redis.sock"
MEMORY_BYTES_MAX = 256 * 1024**2
PROBE_TIMEOUT_S = 1.0


class Redis:
    """The embedded Redis: its address and program."""

    def __init__(self, data_dir: DataDir) -> None:
        self._binary = binaries.redis_server()
        self._folder = data_dir.folder("redis")
        self._log = data_dir.folder("logs", 0o755) / "redis.log"
        self._socket = data_dir.socket_dir(self._folder, SOCKET) / SOCKET
        self.address = f"unix://{self._socket}"

    async def prepare(self) -> None:
        """Do nothing: the settings are arguments, and there is no data."""

    def program(self) -> Program:
        """Return the program of the server."""
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory": str(MEMORY_BYTES_MAX),
            "maxmemory-policy": "noeviction",
            "dir": str(self._folder),
            "loglevel": "warning",
        }
        options = [word for key, value in settings.items() for word in (f"--{key}", value)]
        return Program(
            name="redis",
            argv=(str(self._binary), *options),
            folder=self._folder,
            log=self._log,
            ready=self._is_ready,
            before_start=lambda: self._socket.unlink(missing_ok=True),
        )

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                writer.write(b"PING\r\n")
                line = await reader.readline()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            return False
        return line.startswith(b"+PONG")
