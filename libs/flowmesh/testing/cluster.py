"""A running cluster for tests; each service is a process that can be killed separately."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowmesh.embedded.ports import free_ports
from flowmesh.rpc import RemoteTarget, channel_to
from flowmesh.testing.suite import Suite

PORTS_PER_KIND = 12


@dataclass(frozen=True, slots=True)
class Member:
    """A process of the cluster; `pid` is 0 while it is down."""

    name: str
    service: str
    pid: int
    grpc: str
    http: str


class Cluster(Suite):
    """`flowmesh cluster` as a child process; its members restart on the same ports.

    REST calls reach the gateway. gRPC calls reach the member given to `channel_to`, so that a test
    controls the member that it calls and kills.
    """

    command = "cluster"
    ready_line = b"REST: "
    # Its services drain one after the other.
    stop_timeout_s = 25.0

    def __init__(
        self, data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        first = free_ports(2 * PORTS_PER_KIND)
        ports = (first, first + PORTS_PER_KIND)
        super().__init__(data_dir, *arguments, ports=ports, environment=environment)
        self._targets: dict[str, RemoteTarget] = {}

    @property
    def postgres(self) -> str:
        """The address of the database."""
        return str(self.about["postgres"])

    def members(self) -> dict[str, Member]:
        """Return the current processes by name."""
        return {row["name"]: Member(**row) for row in self._read_about()["processes"]}

    def member(self, name: str) -> Member:
        """Return the current process of this name."""
        return self.members()[name]

    def channel_to(self, name: str) -> Any:
        """Return a channel to one member, which stays valid over its restarts."""
        if name not in self._targets:
            self._targets[name] = RemoteTarget(self.member(name).grpc)
        return channel_to(self._targets[name])

    def send(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one member and return its pid."""
        pid = self.member(name).pid
        assert pid, f"{name} is down"
        os.kill(pid, number)
        return pid

    async def stop(self) -> int:
        targets, self._targets = self._targets, {}
        for target in targets.values():
            await target.close()
        return await super().stop()
