"""Services as processes on this machine: started, watched, restarted, drained."""

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flowmesh.contract.hosts import PORT_MAX
from flowmesh.embedded.child import Child, Program
from flowmesh.embedded.datadir import DataDir
from flowmesh.runtime import Settings
from flowmesh.runtime.names import GATEWAY
from flowmesh.runtime.settings import ENV_PREFIX
from flowmesh.suite.probe import is_ready

READY_TIMEOUT_S = 60.0
SIGTERM_TIMEOUT_S = 11.0


@dataclass(frozen=True, slots=True)
class Member:
    """A process with its service and addresses."""

    name: str
    service: str
    grpc_port: int
    http_port: int
    # Folder of its certificate; empty for that of the settings.
    certs: str = ""
    # Addresses of NATS and Redis for its account; empty for those of the settings.
    nats: str = ""
    redis: str = ""


class Processes:
    """The processes, each restarted when it dies; all of them end with this process."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        settings: Settings,
        data_dir: DataDir,
        registry: str,
        changed: Callable[[], None],
    ) -> None:
        self._members = members
        self._settings = settings
        self._children = {
            member.name: Child(_program(member, settings, data_dir, registry), changed)
            for member in members
        }

    async def start(self) -> None:
        """Return when all are ready. Raises ServerFailed if one does not start."""
        starts = (child.start() for child in self._children.values())
        for result in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def stop(self, services: Collection[str]) -> None:
        """Drain all processes of these services together."""
        leaving = [member.name for member in self._members if member.service in services]
        await asyncio.gather(*(self._children[name].stop() for name in leaving))

    def rows(self) -> list[dict[str, Any]]:
        """Return the addresses of the processes; pid 0 while one is down."""
        return [
            {
                "name": member.name,
                "service": member.service,
                "pid": self._children[member.name].pid,
                "grpc": f"{self._settings.host}:{member.grpc_port}",
                "http": f"{self._scheme(member)}://{self._settings.host}:{member.http_port}",
            }
            for member in self._members
        ]

    def _scheme(self, member: Member) -> str:
        return "https" if _has_tls(member, self._settings) else "http"


def socket_folder(data_dir: DataDir) -> str:
    """Return the folder of the sockets by which processes call each other."""
    folder = data_dir.folder("sockets")
    return str(data_dir.socket_dir(folder, f"{PORT_MAX}.sock"))


def _has_tls(member: Member, settings: Settings) -> bool:
    """Return whether the HTTP port of a process speaks TLS."""
    certified = bool(member.certs or settings.certs)
    return certified or (member.service == GATEWAY and bool(settings.tls_cert))


def _program(member: Member, settings: Settings, data_dir: DataDir, registry: str) -> Program:
    folder = data_dir.folder("processes").joinpath(member.name)
    folder.mkdir(exist_ok=True)
    own = {
        "registry": registry,
        "grpc_port": member.grpc_port,
        "http_port": member.http_port,
        "data_dir": folder,
        "certs": member.certs or settings.certs,
        "nats": member.nats or settings.nats,
        "redis": member.redis or settings.redis,
        # Addresses and data directory lock belong to the process that starts them.
        "advertise": "",
        "data_dir_id": "",
    }
    given = {**settings.model_dump(), **own}
    return Program(
        name=member.name,
        argv=(sys.executable, "-m", "flowmesh.suite", "serve", member.service),
        folder=folder,
        log=data_dir.path / "logs" / f"{member.name}.log",
        ready=partial(is_ready, settings.host, member.http_port, tls=_has_tls(member, settings)),
        before_start=lambda: None,
        environment={
            **os.environ,
            **{f"{ENV_PREFIX}{name}".upper(): str(value) for name, value in given.items()},
        },
        ready_timeout_s=READY_TIMEOUT_S,
        stop_timeout_s=SIGTERM_TIMEOUT_S,
        poll_s=0.1,
    )
