"""`flowmesh cluster`: the layout of production on one machine, one process per service."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.ports import free_port
from flowmesh.runtime import Settings
from flowmesh.suite.accounts import ACCOUNTS, Accounts
from flowmesh.suite.certificates import SuiteCertificates
from flowmesh.suite.files import data_folder, print_line, write_private
from flowmesh.suite.ports import check_port
from flowmesh.suite.processes import Member, Processes, socket_folder

CLUSTER_FILE = "cluster.json"
SERVERS = ("postgres", "nats", "redis")
# The order of draining: services that accept work, then those that run and store it, then those
# that these depend on.
STOP_ORDER = (
    ("fleet",),
    ("gateway", "worker", "apphost"),
    ("orchestrator",),
    ("event", "registry", "definition", "identity"),
)


def layout(settings: Settings, *, orchestrators: int, workers: int) -> list[Member]:
    """The processes in the order of their ports; the gateway has the first HTTP port."""
    names = [("gateway", "gateway"), ("registry", "registry"), ("definition", "definition")]
    names += [("event", "event")]
    names += [(f"orchestrator-{n}", "orchestrator") for n in range(1, orchestrators + 1)]
    names += [(f"worker-{n}", "worker") for n in range(1, workers + 1)]
    names += [("identity", "identity"), ("apphost", "apphost"), ("fleet", "fleet")]
    return [
        Member(
            name,
            service,
            settings.grpc_port + at if settings.grpc_port else free_port(),
            settings.http_port + at if settings.http_port else free_port(),
        )
        for at, (name, service) in enumerate(names)
    ]


async def run_cluster(settings: Settings, *, orchestrators: int, workers: int) -> None:
    """Run the cluster until a signal. Raises ServerFailed if a process does not start."""
    members = layout(settings, orchestrators=orchestrators, workers=workers)
    certificates = None
    if settings.certs:
        certificates = SuiteCertificates(Path(settings.certs), settings)
        members = certificates.of_members(members)
    for member in members:
        check_port("HTTP", settings.host, member.http_port)
        check_port("gRPC", settings.host, member.grpc_port)
    folder = data_folder(settings)
    async with AsyncExitStack() as stack:
        wanted = [name for name in SERVERS if not getattr(settings, name)]
        accounts = Accounts.of(settings, folder / ACCOUNTS)
        servers = await stack.enter_async_context(
            EmbeddedServers(folder, only=wanted, accounts=accounts)
        )
        addresses = {name: getattr(servers, name) for name in wanted}
        cluster = Cluster(
            settings.model_copy(
                update={**addresses, "internal_dir": socket_folder(servers.data_dir)}
            ),
            servers,
            accounts.of_members(members, servers.nats, servers.redis),
            authority=str(certificates.authority) if certificates else "",
        )
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        print_line(cluster.table())
        await _until_signal()


class Cluster:
    """The processes and the file with their addresses."""

    def __init__(
        self,
        settings: Settings,
        servers: EmbeddedServers,
        members: list[Member],
        *,
        authority: str = "",
    ) -> None:
        self._authority = authority
        self._settings = settings
        self._servers = servers
        self._file = servers.data_dir.path / CLUSTER_FILE
        registry = next(member for member in members if member.service == "registry")
        self._processes = Processes(
            members,
            settings=settings,
            data_dir=servers.data_dir,
            registry=f"{settings.host}:{registry.grpc_port}",
            changed=self.write,
        )

    async def start(self) -> None:
        """Return when all processes are ready."""
        await self._processes.start()
        self.write()

    async def stop(self) -> None:
        """Drain the services in the order of work, those of one stage together."""
        for services in STOP_ORDER:
            await self._processes.stop(services)
        self._file.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the addresses; again after each restart of a process."""
        rows = self._processes.rows()
        write_private(
            self._file,
            {
                "pid": os.getpid(),
                "http": rows[0]["http"],
                "grpc": rows[0]["grpc"],
                "ca": self._authority,
                "processes": rows,
                "servers": self._servers.pids(),
                "postgres": self._settings.postgres,
                "nats": self._settings.nats,
                "redis": self._settings.redis,
            },
        )

    def table(self) -> str:
        """Return the processes as text."""
        rows = self._processes.rows()
        lines = [f"  {'process':<16} {'pid':>7}  {'gRPC':<21} health and metrics"]
        lines += [
            f"  {row['name']:<16} {row['pid']:>7}  {row['grpc']:<21} {row['http']}" for row in rows
        ]
        lines += [f"  {name:<16} {pid:>7}" for name, pid in self._servers.pids().items()]
        lines += [
            "",
            f"gRPC: {rows[0]['grpc']}, all services",
            *([f"CA: {self._authority}, trusted by clients"] if self._authority else []),
            f"REST: {rows[0]['http']}   Ctrl-C stops everything.",
        ]
        return "\n".join(lines)


async def _until_signal() -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
