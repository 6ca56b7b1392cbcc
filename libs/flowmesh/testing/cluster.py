"""The running cluster as tests see it: each service a process, to be killed one by one."""

import os
import random
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowmesh.rpc import RemoteTarget, fixed
from flowmesh.testing.suite import Suite

# Below the ports that connections get, so that none of them takes a restarted process's port.
PORT_FIRST = 20_000
PORT_LAST = 32_000
PORTS_PER_KIND = 12
PORT_TRIES = 100


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the cluster; `pid` is 0 while it is down."""

    name: str
    service: str
    pid: int
    grpc: str
    http: str


class Cluster(Suite):
    """`flowmesh cluster` as a child process, its members restarted on the same ports.

    REST goes to the gateway; gRPC goes to one member (`channel_to`), so that a test says whom it
    talks to and whom it kills.
    """

    command = "cluster"
    ready_line = b"REST: "
    # Its processes drain one kind after the other.
    stop_timeout_s = 25.0

    def __init__(
        self, data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        first = spare_ports(2 * PORTS_PER_KIND)
        ports = (first, first + PORTS_PER_KIND)
        super().__init__(data_dir, *arguments, ports=ports, environment=environment)
        self._targets: dict[str, RemoteTarget] = {}

    @property
    def postgres(self) -> str:
        """Where the database is for who looks into it."""
        return str(self.about["postgres"])

    def members(self) -> dict[str, Member]:
        """The processes by name, as they are now."""
        return {row["name"]: Member(**row) for row in self._read_about()["processes"]}

    def member(self, name: str) -> Member:
        return self.members()[name]

    def channel_to(self, name: str) -> Any:
        """A channel for stubs to one member; its address outlives its restarts."""
        if name not in self._targets:
            self._targets[name] = RemoteTarget(self.member(name).grpc)
        return fixed(self._targets[name])

    def send(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signals one member; returns the pid that got it."""
        pid = self.member(name).pid
        assert pid, f"{name} is down"
        os.kill(pid, number)
        return pid

    async def stop(self) -> int:
        targets, self._targets = self._targets, {}
        for target in targets.values():
            await target.close()
        return await super().stop()


def spare_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on."""
    draw = random.Random(os.getpid())
    for _ in range(PORT_TRIES):
        first = draw.randrange(PORT_FIRST, PORT_LAST - count)
        if all(map(_is_free, range(first, first + count))):
            return first
    raise OSError(f"no {count} free ports in a row between {PORT_FIRST} and {PORT_LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
