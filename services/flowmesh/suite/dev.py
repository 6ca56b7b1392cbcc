"""`flowmesh dev`: the three servers and all services with one command."""

import asyncio
import os
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.ports import free_port
from flowmesh.runtime import Process, Settings
from flowmesh.suite.accounts import ACCOUNTS, DIRECTORY, Accounts
from flowmesh.suite.banner import Kept, dev_banner
from flowmesh.suite.certificates import SuiteCertificates
from flowmesh.suite.files import data_folder, print_line, write_private
from flowmesh.suite.ports import check_port
from flowmesh.suite.processes import Member, Processes, socket_folder
from flowmesh.suite.services import CORE, load

DEV_FILE = "dev.json"
DEV = "dev"
SERVERS = ("postgres", "nats", "redis")
# Services of which there may be several, in the order in which they drain.
SCALED = ("worker", "orchestrator")


async def run_dev(
    settings: Settings,
    *,
    ephemeral: bool,
    orchestrators: int = 1,
    workers: int = 1,
    tls: bool = False,
) -> None:
    """Run the suite until a signal. Raises StartError or EmbeddedError if it cannot start."""
    started = time.monotonic()
    check_port("HTTP", settings.host, settings.http_port)
    check_port("gRPC", settings.host, settings.grpc_port)
    async with AsyncExitStack() as stack:
        data_dir = temporary_folder(stack) if ephemeral else data_folder(settings)
        wanted = [name for name in SERVERS if not getattr(settings, name)]
        accounts = Accounts.of(settings, data_dir / ACCOUNTS, whole=DEV)
        servers = EmbeddedServers(data_dir, only=wanted, accounts=accounts)
        # The servers start while this process imports the services.
        starting = asyncio.ensure_future(stack.enter_async_context(servers))
        try:
            services = await asyncio.to_thread(load, CORE)
        finally:
            await starting
        settings = settings.model_copy(
            update={
                **{name: getattr(servers, name) for name in wanted},
                "cell_directory": _directory(settings, accounts, servers.nats),
                "data_dir": str(data_dir),
                "data_dir_id": servers.identity,
                "internal_dir": socket_folder(servers.data_dir),
            }
        )
        # Tools get the addresses without restrictions, the processes those of their accounts.
        tools = settings
        settings = accounts.of_process(settings, servers.nats, servers.redis, DEV)
        others = _others(orchestrators=orchestrators, workers=workers)
        others = accounts.of_members(others, servers.nats, servers.redis)
        authority = ""
        if tls and not settings.certs:
            certificates = SuiteCertificates(data_dir / "certs", settings)
            authority = str(certificates.authority)
            settings = settings.model_copy(update={"certs": certificates.issue(DEV, DEV)})
            others = certificates.of_members(others)
        file = data_dir / DEV_FILE
        stack.callback(file.unlink, missing_ok=True)

        async def ready(process: Process) -> None:
            described = partial(_describe, file, process, tools, servers, authority)
            processes = Processes(
                others,
                settings=settings,
                data_dir=servers.data_dir,
                registry=process.internal_address,
                changed=lambda: described(processes),
            )
            for service in SCALED:
                stack.push_async_callback(processes.stop, (service,))
                # Drain them before this process drains the same service: it takes over their work.
                process.drain_callbacks.insert(0, (service, partial(processes.stop, (service,))))
            await processes.start()
            described(processes)
            took = time.monotonic() - started
            _, told = await process.checks.report()
            away = {name for name, answer in told["checks"].items() if answer != "ok"}
            rows = processes.rows()
            kept = Kept(ephemeral=ephemeral, authority=authority)
            print_line(dev_banner(process, servers, away, rows, kept, took_s=took))

        await Process(settings, services).run(ready)
    print_line("Stopped.")


def temporary_folder(stack: AsyncExitStack) -> Path:
    """Return a folder that `stack` deletes."""
    folder = Path(tempfile.mkdtemp(prefix="flowmesh-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _directory(settings: Settings, accounts: Accounts, nats: str) -> str:
    """Return the NATS of the directory of cells: that of the control cell is its own."""
    own = accounts.nats(nats, DIRECTORY) if settings.cell_name else ""
    return settings.cell_directory or own


def _others(*, orchestrators: int, workers: int) -> list[Member]:
    """The processes beside the first one, which has one service of each kind itself."""
    names = [(f"orchestrator-{n}", "orchestrator") for n in range(2, orchestrators + 1)]
    names += [(f"worker-{n}", "worker") for n in range(2, workers + 1)]
    return [Member(name, service, free_port(), free_port()) for name, service in names]


def _describe(
    file: Path,
    process: Process,
    settings: Settings,
    servers: EmbeddedServers,
    authority: str,
    processes: Processes,
) -> None:
    """Write the addresses; again after each restart of a process."""
    write_private(
        file,
        {
            "pid": os.getpid(),
            "http": f"{process.scheme}://{settings.host}:{process.http_port}",
            "grpc": process.address,
            "ca": authority,
            "data_dir": settings.data_dir,
            "postgres": settings.postgres,
            "nats": settings.nats,
            "redis": settings.redis,
            "directory": settings.cell_directory,
            "pids": servers.pids(),
            "processes": processes.rows(),
        },
    )
