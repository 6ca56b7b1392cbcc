"""Restate's server from its npm package, with services in its TypeScript or its Python SDK."""

import asyncio
import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from benchmarks.figures import Results
from benchmarks.processes import PEERS, PEERS_PYTHON, Child, module
from benchmarks.system import Setup, measure_peer, running
from benchmarks.workloads import Sizes
from flowmesh.embedded.ports import free_port

SERVER = f"restate-server-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}"
BINARY = PEERS / "node_modules" / "@restatedev" / SERVER / "bin" / "restate-server"
READY_TIMEOUT_S = 60.0
POLL_S = 0.02
SHOWN = ("default-num-partitions", "rocksdb-disable-wal", "rocksdb-disable-wal-fsync")


class Restate:
    """Measures one kind of steps in one SDK of Restate."""

    def __init__(self, sizes: Sizes, *, steps: str, language: str) -> None:
        self._sizes = sizes
        self._steps = steps
        self._language = language
        self._name = f"restate-{steps}-{language}"

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        ingress, admin, fabric, service = (free_port() for _ in range(4))
        # All other settings are defaults, which are durable: the log is fsynced.
        environment = {
            "RESTATE_BASE_DIR": str(folder / "data"),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{fabric}",
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
        }
        environment = {**os.environ, **environment}
        results.settings[self._name] = _settings(environment)
        url, admin_url = f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}"
        server = Child("restate", (str(BINARY), "--no-logo"), folder / "server.log", environment)
        worker = Child("worker", self._service(service), folder / "worker.log")
        client = Child("client", module("benchmarks.restate.client", url), folder / "client.log")
        async with AsyncExitStack() as stack:
            for child in (server, worker, client):
                await stack.enter_async_context(running(child))
            await worker.start()
            await client.start()
            await _start(server, admin_url, url)
            await _register(admin_url, f"http://127.0.0.1:{service}")
            setup = Setup(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            await measure_peer(
                setup,
                self._name,
                workloads,
                self._sizes,
                restart=lambda: _start(server, admin_url, url),
            )

    def _service(self, port: int) -> tuple[str, ...]:
        if self._language == "ts":
            # Next to its packages, so that it finds them.
            script = shutil.copy(Path(__file__).with_name("service.mjs"), PEERS)
            return (shutil.which("node") or "node", str(script), self._steps, str(port))
        name = "benchmarks.restate.service"
        return (str(PEERS_PYTHON), "-m", name, self._steps, str(port))


def _settings(environment: dict[str, str]) -> dict[str, object]:
    version = subprocess.run((BINARY, "--version"), capture_output=True, text=True, check=True)
    dumped = subprocess.run(
        (BINARY, "--dump-config"), env=environment, capture_output=True, text=True, check=True
    )
    lines = [line.split(" = ") for line in dumped.stdout.splitlines() if " = " in line]
    found: dict[str, object] = {"version": version.stdout.strip()}
    for name in SHOWN:
        found[name] = sorted({line[1] for line in lines if line[0] == name})
    return found


async def _start(server: Child, admin_url: str, ingress_url: str) -> None:
    """Wait until both ports of the server report readiness."""
    await server.spawn()
    async with aiohttp.ClientSession() as session, asyncio.timeout(READY_TIMEOUT_S):
        for url in (f"{admin_url}/health", f"{ingress_url}/restate/health"):
            await _until_healthy(session, url)


async def _until_healthy(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(url) as answered:
                if answered.status == 200:
                    return
        await asyncio.sleep(POLL_S)


async def _register(admin_url: str, service_url: str) -> None:
    body = {"uri": service_url}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{admin_url}/deployments", json=body) as answered,
    ):
        if answered.status >= 300:
            raise AssertionError(f"{answered.status}: {await answered.text()}")
