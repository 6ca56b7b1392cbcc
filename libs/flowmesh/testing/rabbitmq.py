"""RabbitMQ of Debian's package `rabbitmq-server`, with its own node, ports and files."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from flowmesh.embedded.ports import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
READY_S = 90


@asynccontextmanager
async def rabbitmq(folder: Path) -> AsyncIterator[str]:
    """Run a server; yield its address."""
    port, epmd, peers = free_port(), free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 once, at the start
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"flowmesh{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(peers),
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
    }
    (folder / "plugins").write_text("[].\n")
    process = await asyncio.create_subprocess_exec(
        str(SERVER),
        env=environment,
        stdout=(folder / "out").open("wb"),
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        await listening(port, process)
        yield f"amqp://guest:guest@127.0.0.1:{port}/"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 15)
            await process.wait()
        stop = ["epmd", "-port", str(epmd), "-kill"]
        if shutil.which("epmd"):
            ended = await asyncio.create_subprocess_exec(
                *stop, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            await ended.wait()


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            assert process.returncode is None, "RabbitMQ ended at its start"
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"AMQP\0\0\x09\x01")
                if await reader.read(8):
                    return
            except OSError:
                pass
            else:
                writer.close()
            await asyncio.sleep(0.2)
