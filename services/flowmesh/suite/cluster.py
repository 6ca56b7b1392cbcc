"""`flowmesh cluster`: the layout of production on one machine, one process per service."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.child import Child, Program
from flowmesh.embedded.nats import free_port
from flowmesh.runtime import Settings
from flowmesh.suite.files import data_folder, say, write_private
from flowmesh.suite.ports import check_port

CLUSTER_FILE = "cluster.json"
SERVERS = ("postgres", "nats", "redis")
READY_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 1.0
SIGTERM_TIMEOUT_S = 11.0
# Who brings work in and who runs it, then who keeps what came of it, then what these need.
STOP_ORDER = (("gateway", "worker"), ("orchestrator",), ("event", "registry", "definition"))


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the cluster."""

    name: str
    service: str
    grpc_port: int
    http_port: int


def layout(settings: Settings, *, orchestrators: int, workers: int) -> list[Member]:
    """The processes in the order of their ports; the gateway has the first HTTP port."""
    names = [("gateway", "gateway"), ("registry", "registry"), ("definition", "definition")]
    names += [("event", "event")]
    names += [(f"orchestrator-{n}", "orchestrator") for n in range(1, orchestrators + 1)]
    names += [(f"worker-{n}", "worker") for n in range(1, workers + 1)]
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
    """Runs the cluster until a signal; raises ServerFailed when a process does not come up."""
    members = layout(settings, orchestrators=orchestrators, workers=workers)
    for member in members:
        check_port("HTTP", settings.host, member.http_port)
        check_port("gRPC", settings.host, member.grpc_port)
    folder = data_folder(settings)
    async with AsyncExitStack() as stack:
        wanted = [name for name in SERVERS if not getattr(settings, name)]
        servers = await stack.enter_async_context(EmbeddedServers(folder, only=wanted))
        addresses = {name: getattr(servers, name) for name in wanted}
        cluster = Cluster(settings.model_copy(update=addresses), servers, members)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        say(cluster.table())
        await _until_signal()


class Cluster:
    """The processes and the file that names them."""

    def __init__(self, settings: Settings, servers: EmbeddedServers, members: list[Member]) -> None:
        self._settings = settings
        self._servers = servers
        self._members = members
        self._folder = servers.data_dir.path
        self._children = {
            member.name: Child(self._program(member), self.write) for member in members
        }

    async def start(self) -> None:
        """Returns when all are ready."""
        starts = (child.start() for child in self._children.values())
        for result in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        self.write()

    async def stop(self) -> None:
        """Drains the services in the order in which work flows, those of one stage at once."""
        for services in STOP_ORDER:
            leaving = [member.name for member in self._members if member.service in services]
            await asyncio.gather(*(self._children[name].stop() for name in leaving))
        (self._folder / CLUSTER_FILE).unlink(missing_ok=True)

    def write(self) -> None:
        """Writes who runs where; again after each restart of a process."""
        host = self._settings.host
        rows = [
            {
                "name": member.name,
                "service": member.service,
                "pid": self._children[member.name].pid,
                "grpc": f"{host}:{member.grpc_port}",
                "http": f"http://{host}:{member.http_port}",
            }
            for member in self._members
        ]
        servers = self._servers
        write_private(
            self._folder / CLUSTER_FILE,
            {
                "pid": os.getpid(),
                "http": rows[0]["http"],
                "grpc": rows[0]["grpc"],
                "processes": rows,
                "servers": servers.pids(),
                "postgres": self._settings.postgres,
                "nats": self._settings.nats,
                "redis": self._settings.redis,
            },
        )

    def table(self) -> str:
        """The processes for a person."""
        host = self._settings.host
        lines = [f"  {'process':<16} {'pid':>7}  {'gRPC':<21} health and metrics"]
        for member in self._members:
            pid = self._children[member.name].pid
            grpc = f"{host}:{member.grpc_port}"
            lines.append(
                f"  {member.name:<16} {pid:>7}  {grpc:<21} http://{host}:{member.http_port}"
            )
        for name, pid in self._servers.pids().items():
            lines.append(f"  {name:<16} {pid:>7}")
        lines += [
            "",
            f"gRPC: {host}:{self._members[0].grpc_port}, all services",
            f"REST: http://{host}:{self._members[0].http_port}   Ctrl-C stops everything.",
        ]
        return "\n".join(lines)

    def _program(self, member: Member) -> Program:
        folder = self._servers.data_dir.folder("processes").joinpath(member.name)
        folder.mkdir(exist_ok=True)
        settings = self._settings
        registry = next(other for other in self._members if other.service == "registry")
        env = {
            "FLOWMESH_POSTGRES": settings.postgres,
            "FLOWMESH_NATS": settings.nats,
            "FLOWMESH_REDIS": settings.redis,
            "FLOWMESH_REGISTRY": f"{settings.host}:{registry.grpc_port}",
            "FLOWMESH_HOST": settings.host,
            "FLOWMESH_GRPC_PORT": str(member.grpc_port),
            "FLOWMESH_HTTP_PORT": str(member.http_port),
            "FLOWMESH_DATA_DIR": str(folder),
            "FLOWMESH_EGRESS": settings.egress,
            "FLOWMESH_LOG_LEVEL": settings.log_level,
        }
        return Program(
            name=member.name,
            argv=(sys.executable, "-m", "flowmesh.suite", "serve", member.service),
            folder=folder,
            log=self._folder / "logs" / f"{member.name}.log",
            ready=_probe(settings.host, member.http_port),
            before_start=lambda: None,
            environment={**os.environ, **env},
            ready_timeout_s=READY_TIMEOUT_S,
            stop_timeout_s=SIGTERM_TIMEOUT_S,
            poll_s=0.1,
        )


def _probe(host: str, port: int) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"GET /ready HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return False
        return b" 200 " in line

    return ready


async def _until_signal() -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
