"""A process of a service that somebody starts by hand beside a running suite."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flowmesh.embedded.ports import free_ports
from flowmesh.testing.cluster import Member
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.drills.breaking import ready

START_WITHIN_S = 40.0


@asynccontextmanager
async def beside(
    suite: Suite, service: str, **environment: str
) -> AsyncIterator[tuple[Member, asyncio.subprocess.Process]]:
    """`flowmesh serve` on the suite's servers and registry, ready; drained at the end."""
    port = free_ports(2)
    about = suite.about
    argv: tuple[str, ...] = (
        "-m",
        "flowmesh.suite",
        "serve",
        service,
        "--registry",
        suite.grpc_address,
    )
    argv += ("--grpc-port", str(port), "--http-port", str(port + 1), "--log-level", "warning")
    for server in ("postgres", "nats", "redis"):
        argv += (f"--{server}", str(about[server]))
    with suite.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv, stdout=log, stderr=log, env={**suite.environment, **environment}
        )
    http = f"http://127.0.0.1:{port + 1}"
    member = Member(f"{service}-beside", service, process.pid, f"127.0.0.1:{port}", http)
    try:
        await until(f"another {service}", lambda: ready(http), within_s=START_WITHIN_S)
        yield member, process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
