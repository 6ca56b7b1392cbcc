"""A cluster on servers of its own, a proxy before each, failpoints in every process."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.ports import free_ports
from flowmesh.embedded.servers import NAMES
from flowmesh.testing.cluster import Cluster, Member
from flowmesh.testing.polling import done, until
from tests.drills.breaking import ready
from tests.faults.harness.protocols import (
    NatsLines,
    PostgresClient,
    PostgresServer,
    note_statements,
)
from tests.faults.harness.proxy import Proxy

POINTS_FILE = "failpoints"
SERVER_VARIABLES = ("FLOWMESH_POSTGRES", "FLOWMESH_NATS", "FLOWMESH_REDIS")
POSTGRES_SOCKET = ".s.PGSQL.5432"
HIT_WITHIN_S = 30.0
RESTARTED_WITHIN_S = 40.0
START_WITHIN_S = 40.0
MEMBERS = (
    "gateway",
    "registry",
    "definition",
    "event",
    "orchestrator-1",
    "orchestrator-2",
    "worker-1",
    "worker-2",
)


class Rig(Cluster):
    """`servers` can be killed, stopped and started; `database`, `bus` and `cache` are proxies.

    A server whose address is given, without proxies, is not among them.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        proxied: bool = True,
        postgres: str = "",
        nats: str = "",
    ) -> None:
        super().__init__(
            folder / "data",
            *arguments,
            environment={"FLOWMESH_FAILPOINTS": f"@{POINTS_FILE}", **(environment or {})},
        )
        self._folder = folder
        self._proxied = proxied
        self._given = {"postgres": postgres, "nats": nats}
        own = [name for name in NAMES if not self._given.get(name)]
        self._stack = AsyncExitStack()
        self.servers = EmbeddedServers(folder / "servers", only=own)

    async def start(self) -> None:
        """Starts the servers and proxies once, then the cluster."""
        if not self.pids:
            await self._stack.enter_async_context(self.servers)
            await self._point_at_servers()
        await super().start()

    async def stop(self) -> int:
        try:
            return await super().stop()
        finally:
            await self._stack.aclose()

    @property
    def postgres(self) -> str:
        """The database itself, behind the proxy."""
        return self._given["postgres"] or self.servers.postgres

    @property
    def pids(self) -> dict[str, int]:
        return self.servers.pids()

    async def _point_at_servers(self) -> None:
        """Says where the servers are: behind proxies, or themselves where load is measured."""
        servers = self.servers
        addresses = (self.postgres, self._given["nats"] or servers.nats, servers.redis)
        if self._proxied:
            addresses = await self._proxies()
        self._environment |= dict(zip(SERVER_VARIABLES, addresses, strict=True))

    async def _proxies(self) -> tuple[str, str, str]:
        servers, enter = self.servers, self._stack.enter_async_context
        sockets = self._folder / "p"
        sockets.mkdir()
        address = urlsplit(servers.postgres)
        host = parse_qs(address.query)["host"][0]
        self.database = await enter(
            Proxy(
                f"{host}/{POSTGRES_SOCKET}",
                path=sockets / POSTGRES_SOCKET,
                up=PostgresClient,
                down=PostgresServer,
                notes=note_statements,
            )
        )
        nats = urlsplit(servers.nats)
        assert nats.port is not None
        self.bus = await enter(Proxy(("127.0.0.1", nats.port), down=NatsLines))
        redis = urlsplit(servers.redis)
        self.cache = await enter(Proxy(redis.path, path=sockets / "redis.sock"))
        user = f"{address.scheme}://{address.username}:{address.password}@{address.path}"
        return (
            f"{user}?host={quote(str(sockets))}&port=5432",
            f"nats://{nats.username}:{nats.password}@127.0.0.1:{self.bus.port}",
            f"unix://:{redis.password}@{sockets}/redis.sock",
        )

    @asynccontextmanager
    async def extra(
        self, service: str, *, proxied: Proxy | None = None, **environment: str
    ) -> AsyncIterator[Member]:
        """One more process of a service; with a proxy, others reach it only through that."""
        port = free_ports(2) if proxied is None else proxied.target_port
        folder = self._folder / f"{service}-extra"
        folder.mkdir(exist_ok=True)
        own = {
            **self._environment,
            **environment,
            "FLOWMESH_REGISTRY": self.member("registry").grpc,
            "FLOWMESH_GRPC_PORT": str(port),
            "FLOWMESH_HTTP_PORT": str(port + 1),
            "FLOWMESH_DATA_DIR": str(folder),
            "FLOWMESH_EGRESS": "open",
            "FLOWMESH_LOG_LEVEL": "warning",
        }
        if proxied is not None:
            own["FLOWMESH_ADVERTISE"] = f"127.0.0.1:{proxied.port}"
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "flowmesh.suite", "serve", service),
                cwd=folder,
                stdout=log,
                stderr=log,
                env=own,
            )
        http = f"http://127.0.0.1:{port + 1}"
        try:
            await until(f"another {service}", lambda: ready(http), within_s=START_WITHIN_S)
            yield Member(f"{service}-extra", service, process.pid, f"127.0.0.1:{port}", http)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    def logged(self, service: str) -> str:
        """What the processes of a service have written so far."""
        files = (self.data_dir / "logs").glob(f"{service}*.log")
        return "".join(file.read_text(errors="replace") for file in sorted(files))

    # --- failpoints ---

    def folder_of(self, name: str) -> Path:
        """The working directory of a member."""
        return self.data_dir / "processes" / name

    def arm(self, name: str, text: str, *, at_start: bool = False) -> None:
        """Has a member break at points, from now on or from its next start on."""
        folder = self.folder_of(name)
        (folder / f"{POINTS_FILE}.hit").unlink(missing_ok=True)
        (folder / POINTS_FILE).write_text(text)
        if not at_start:
            self.send(name, signal.SIGUSR2)

    async def hit(self, name: str, within_s: float = HIT_WITHIN_S) -> float:
        """Returns when a member has come to its failpoint: when that was, in seconds."""
        file = self.folder_of(name) / f"{POINTS_FILE}.hit"
        await done(f"{name} at its failpoint", file.exists, within_s=within_s)
        return file.stat().st_mtime

    async def replaced(self, name: str, pid: int) -> None:
        """Returns when another process runs in place of the one that was killed."""

        def other() -> bool:
            return self.member(name).pid not in (0, pid)

        await done(f"{name} started again", other, within_s=RESTARTED_WITHIN_S)
