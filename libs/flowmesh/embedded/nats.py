"""NATS with JetStream as a child process: file storage, accounts, one port on loopback."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

from flowmesh.embedded import binaries
from flowmesh.embedded.accounts import ServerAccounts
from flowmesh.embedded.child import Program
from flowmesh.embedded.datadir import DataDir
from flowmesh.embedded.ports import free_port, is_free

MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
MAX_PENDING_BYTES = 64 * 1024 * 1024
# Every stream reserves its own maximum; this must hold all of them.
FILE_STORE_BYTES_MAX = 16 * 1024**4
MEMORY_STORE_BYTES_MAX = 1024**3
PROBE_TIMEOUT_S = 1.0
# The user without restrictions.
ADMIN = "flowmesh"


class Nats:
    """The embedded NATS: its address and program. It reuses the port of the last start."""

    def __init__(self, data_dir: DataDir, accounts: ServerAccounts | None = None) -> None:
        self._binary = binaries.nats_server()
        self._accounts = accounts
        self._folder = data_dir.folder("nats")
        self._log = data_dir.folder("logs", 0o755) / "nats.log"
        self._token = data_dir.secret("nats.token")
        self._port = _port(self._folder)
        self.address = f"nats://{ADMIN}:{self._token}@127.0.0.1:{self._port}"

    async def prepare(self) -> None:
        """Write the configuration file."""
        admin = {"user": ADMIN, "password": self._token}
        config = {
            "listen": f"127.0.0.1:{self._port}",
            "server_name": "flowmesh",
            "authorization": {
                "users": [admin, *(self._accounts.nats_users() if self._accounts else ())]
            },
            "max_payload": MAX_PAYLOAD_BYTES,
            "max_pending": MAX_PENDING_BYTES,
            "jetstream": {
                "store_dir": str(self._folder / "jetstream"),
                "max_file_store": FILE_STORE_BYTES_MAX,
                "max_memory_store": MEMORY_STORE_BYTES_MAX,
            },
        }
        path = self._folder / "nats.conf"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(config, file, indent=1)

    def program(self) -> Program:
        """Return the program of the server."""
        return Program(
            name="nats",
            argv=(str(self._binary), "-c", "nats.conf"),
            folder=self._folder,
            log=self._log,
            ready=self._is_ready,
            before_start=lambda: None,
            death_signal=signal.SIGTERM,
        )

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                line = await reader.readline()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            return False
        return line.startswith(b"INFO ") and json.loads(line[5:]).get("jetstream", False) is True


def _port(folder: Path) -> int:
    """Return the port of the last start if it is free, else a new one, and store it."""
    path = folder / "port"
    previous = 0
    with contextlib.suppress(OSError, ValueError):
        previous = int(path.read_text())
    port = previous if previous and is_free(previous) else free_port()
    path.write_text(f"{port}\n")
    return port
