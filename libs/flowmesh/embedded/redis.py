"""Redis as a child process: in memory, with a unix socket and a password; not durable."""

import asyncio
import contextlib
import os

from flowmesh.embedded import binaries
from flowmesh.embedded.accounts import ServerAccounts
from flowmesh.embedded.child import Program
from flowmesh.embedded.datadir import DataDir

SOCKET = "redis.sock"
CONFIGURATION = "redis.conf"
MEMORY_BYTES_MAX = 256 * 1024**2
PROBE_TIMEOUT_S = 1.0


class Redis:
    """The embedded Redis: its address and program."""

    def __init__(self, data_dir: DataDir, accounts: ServerAccounts | None = None) -> None:
        self._binary = binaries.redis_server()
        self._accounts = accounts
        self._folder = data_dir.folder("redis")
        self._log = data_dir.folder("logs", 0o755) / "redis.log"
        self._socket = data_dir.socket_dir(self._folder, SOCKET) / SOCKET
        self._password = data_dir.secret("redis.password")
        self.address = f"unix://:{self._password}@{self._socket}"

    async def prepare(self) -> None:
        """Write the configuration file; arguments would show the password to other users."""
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
            "requirepass": self._password,
        }
        path = self._folder / CONFIGURATION
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f'{key} "{value}"\n' for key, value in settings.items())
            file.writelines(
                f"{line}\n" for line in (self._accounts.redis_users() if self._accounts else ())
            )

    def program(self) -> Program:
        """Return the program of the server."""
        return Program(
            name="redis",
            argv=(str(self._binary), CONFIGURATION),
            folder=self._folder,
            log=self._log,
            ready=self._is_ready,
            before_start=lambda: self._socket.unlink(missing_ok=True),
        )

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
                await reader.readline()
                line = await reader.readline()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            return False
        return line.startswith(b"+PONG")
