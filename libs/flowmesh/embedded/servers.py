"""The embedded servers of one data directory."""

import asyncio
import json
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Protocol, Self

from flowmesh.embedded.accounts import ServerAccounts
from flowmesh.embedded.child import Child, Program
from flowmesh.embedded.datadir import DataDir
from flowmesh.embedded.errors import EmbeddedError
from flowmesh.embedded.leftovers import end_leftovers
from flowmesh.embedded.nats import Nats
from flowmesh.embedded.postgres import Postgres
from flowmesh.embedded.redis import Redis

NAMES = ("postgres", "nats", "redis")
RUNNING_FILE = "servers.json"


class Server(Protocol):
    """A server: its address, preparation and program."""

    address: str

    async def prepare(self) -> None: ...

    def program(self) -> Program: ...


class EmbeddedServers:
    """A context manager that starts the servers concurrently and stops them.

    The attributes `postgres`, `nats` and `redis` are their addresses, empty for a server that is
    not in `only`; their user may do everything, `accounts` have users for single services. Raises
    DataDirLocked if another process uses the data directory.
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        only: Collection[str] = NAMES,
        accounts: ServerAccounts | None = None,
    ) -> None:
        self.data_dir = DataDir(Path(data_dir))
        self.postgres = ""
        self.nats = ""
        self.redis = ""
        self._accounts = accounts
        self._only = tuple(name for name in NAMES if name in only)
        self._children: dict[str, Child] = {}

    async def __aenter__(self) -> Self:
        self.data_dir.acquire()
        try:
            await asyncio.to_thread(self._end_leftovers)
            await self._start_all()
        except BaseException:
            await self._stop_all()
            self.data_dir.release()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_all()
        (self.data_dir.path / RUNNING_FILE).unlink(missing_ok=True)
        self.data_dir.release()

    async def database(self, name: str) -> str:
        """Return the address of a database of PostgreSQL, which is made if it is not there."""
        return await Postgres(self.data_dir).database(name)

    @property
    def identity(self) -> str:
        """The identity of the locked data directory."""
        return self.data_dir.identity

    def pids(self) -> dict[str, int]:
        """Return the pid of each server; 0 while it is down."""
        return {name: child.pid for name, child in self._children.items()}

    def restarts(self, name: str) -> int:
        """Return the number of restarts of a server after crashes."""
        return self._children[name].restarts

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill one server; its supervisor restarts it (see until_ready)."""
        self._children[name].mark_down()
        self._children[name].send(number)

    async def until_ready(self, name: str) -> None:
        """Wait until a server is ready, also after a kill."""
        await self._children[name].until_ready()

    async def stop(self, name: str) -> None:
        """Stop one server until `start`."""
        await self._children[name].stop()

    async def start(self, name: str) -> None:
        """Start a stopped server at its previous address."""
        await self._children[name].start()

    async def _start_all(self) -> None:
        servers: dict[str, Server] = {}
        for name in self._only:
            match name:
                case "postgres":
                    servers[name] = Postgres(self.data_dir)
                case "nats":
                    servers[name] = Nats(self.data_dir, self._accounts)
                case _:
                    servers[name] = Redis(self.data_dir, self._accounts)
            setattr(self, name, servers[name].address)
        starts = (self._start_one(name, server) for name, server in servers.items())
        results = await asyncio.gather(*starts, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _start_one(self, name: str, server: Server) -> None:
        try:
            await server.prepare()
        except PermissionError as error:
            raise EmbeddedError(
                f"no permission for {error.filename}, which another user owns;"
                " start as that user, or choose another folder with --data-dir"
            ) from error
        self._children[name] = Child(server.program(), self._write_running)
        await self._children[name].start()

    async def _stop_all(self) -> None:
        await asyncio.gather(*(child.stop() for child in self._children.values()))

    def _end_leftovers(self) -> None:
        """Stop orphaned servers if the last owner crashed, which leaves the file of pids."""
        if (self.data_dir.path / RUNNING_FILE).exists():
            end_leftovers(self.data_dir.path)

    def _write_running(self) -> None:
        path = self.data_dir.path / RUNNING_FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(self.pids()) + "\n")
        draft.replace(path)
