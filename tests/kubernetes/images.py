"""The servers of images: `python -m tests.kubernetes.images postgres`, with the image's variables.

The embedded server has the password of the pod and listens on the pod's address. NATS is the real
server with the arguments of the pod.
"""

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from flowmesh.embedded import EmbeddedServers, binaries
from tests.kubernetes.cluster import serve

PORTS = {"postgres": 5432, "redis": 6379}
SECRETS = {"postgres": "postgres.password", "redis": "redis.password"}


async def main(name: str, folder: Path) -> None:
    """Run a server until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with EmbeddedServers(folder, only=[name]) as servers:
        address = urlsplit(getattr(servers, name))
        socket = address.path
        if name == "postgres":
            socket = f"{parse_qs(address.query)['host'][0]}/.s.PGSQL.5432"
        async with serve(os.environ["FLOWMESH_HOST"], PORTS[name], lambda: (socket, 0)):
            await ended.wait()


def nats(folder: Path, arguments: list[str]) -> None:
    """Become the server of a pod, whose volume is a folder."""
    given = {"/data": str(folder), "$(PASSWORD)": os.environ["PASSWORD"]}
    own = ["-a", os.environ["FLOWMESH_HOST"]]
    program = str(binaries.nats_server())
    os.execv(program, [program, *own, *(given.get(each, each) for each in arguments)])


def run(name: str, arguments: list[str]) -> None:
    if name == "nats":
        nats(Path(tempfile.mkdtemp(prefix="flowmesh-image-")), arguments)
    with tempfile.TemporaryDirectory(prefix="flowmesh-image-") as work:
        # Another user than root runs PostgreSQL.
        Path(work).chmod(0o755)
        folder = Path(work, "data")
        folder.mkdir(0o755)
        (folder / SECRETS[name]).write_text(os.environ["PASSWORD"])
        asyncio.run(main(name, folder))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
