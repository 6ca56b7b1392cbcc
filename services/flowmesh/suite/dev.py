"""`flowmesh dev`: the three servers and all services, one command, nothing installed before."""

import asyncio
import os
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from flowmesh.embedded import EmbeddedServers
from flowmesh.runtime import Process, Settings
from flowmesh.suite.banner import dev_banner
from flowmesh.suite.files import data_folder, say, write_private
from flowmesh.suite.ports import check_port
from flowmesh.suite.services import CORE, load

DEV_FILE = "dev.json"
SERVERS = ("postgres", "nats", "redis")


async def run_dev(settings: Settings, *, ephemeral: bool) -> None:
    """Runs the suite until a signal; raises StartError or EmbeddedError when it cannot start."""
    started = time.monotonic()
    check_port("HTTP", settings.host, settings.http_port)
    check_port("gRPC", settings.host, settings.grpc_port)
    async with AsyncExitStack() as stack:
        data_dir = data_folder(settings)
        if ephemeral:
            data_dir = Path(tempfile.mkdtemp(prefix="flowmesh-"))
            stack.callback(shutil.rmtree, data_dir, ignore_errors=True)
        wanted = [name for name in SERVERS if not getattr(settings, name)]
        servers = EmbeddedServers(data_dir, only=wanted)
        # The servers come up while this process imports the services.
        starting = asyncio.ensure_future(stack.enter_async_context(servers))
        try:
            services = await asyncio.to_thread(load, CORE)
        finally:
            await starting
        addresses = {name: getattr(servers, name) for name in wanted}
        settings = settings.model_copy(
            update={**addresses, "data_dir": str(data_dir), "data_dir_id": servers.identity}
        )
        file = data_dir / DEV_FILE
        stack.callback(file.unlink, missing_ok=True)

        async def ready(process: Process) -> None:
            write_private(file, _description(process, servers))
            took = time.monotonic() - started
            _, told = await process.checks.report()
            away = {name for name, answer in told["checks"].items() if answer != "ok"}
            say(dev_banner(process, servers, away, took_s=took, ephemeral=ephemeral))

        await Process(settings, services).run(ready)
    say("Stopped.")


def _description(process: Process, servers: EmbeddedServers) -> dict[str, object]:
    settings = process.settings
    return {
        "pid": os.getpid(),
        "http": f"http://{settings.host}:{process.http_port}",
        "grpc": process.address,
        "data_dir": settings.data_dir,
        "postgres": settings.postgres,
        "nats": settings.nats,
        "redis": settings.redis,
        "pids": servers.pids(),
    }
