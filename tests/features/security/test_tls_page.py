"""The commands and the statements of docs/tls.md do what the page says."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from flowmesh.access.keys import create_key_file
from flowmesh.certificates import Authority, Request, issue
from flowmesh.embedded import EmbeddedServers
from flowmesh.embedded.ports import free_ports
from flowmesh.suite.probe import is_ready
from flowmesh.suite.services import CORE
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.databases import fresh_database
from flowmesh.testing.polling import until
from tests.tidy import sources

pytestmark = [pytest.mark.long]

PAGE = sources.text("docs/tls.md")
COMMANDS = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
STATEMENTS = re.search(r"^```sql\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# As it is without the variable, which opens the suites of other tests.
CLOSED = {"FLOWMESH_AUTH": "closed"}
# Services that keep data in PostgreSQL, by the role that the page gives them.
STORING = ("definition", "event", "identity", "orchestrator")


async def shell(folder: Path, line: str, **environment: str) -> str:
    """Run a line of the page, with the command of this tree."""
    program = f"{shlex.quote(sys.executable)} -m flowmesh.suite"
    process = await asyncio.create_subprocess_shell(
        re.sub(r"^flowmesh\b", program, line),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, (line, out.decode())
    return out.decode()


def lines(begin: str) -> list[str]:
    """The commands of the page that begin with these words, each once."""
    found = [line for line in dict.fromkeys(COMMANDS) if line.startswith(begin)]
    assert found, begin
    return found


@pytest.mark.feature("S3-131")
async def test_a_cluster_is_encrypted_by_the_commands_of_the_page(tmp_path: Path) -> None:
    """Key, cluster, curl, and the SDK's variables; the ports are free ones instead."""
    await shell(tmp_path, *lines("flowmesh identity init"))
    (started,) = lines("flowmesh cluster")
    arguments = [
        str(tmp_path / word) if not word.startswith("--") else word
        for word in shlex.split(started)[2:]
    ]
    async with Cluster(tmp_path / "data", *arguments, environment=CLOSED) as suite:
        ports = {"localhost:3000": suite.http_url, "localhost:7450": suite.grpc_address}
        (curl,) = lines("curl")
        port = ports["localhost:3000"].rpartition(":")[2]
        ready = await shell(tmp_path, curl.replace("localhost:3000", f"localhost:{port}"))
        assert '"ready"' in ready
        (export,) = lines("export")
        port = ports["localhost:7450"].rpartition(":")[2]
        given = export.removeprefix("export ").replace("localhost:7450", f"localhost:{port}")
        variables = dict(word.split("=", 1) for word in shlex.split(given))
        with pytest.raises(AssertionError, match="CREDENTIALS_REQUIRED"):
            await shell(tmp_path, "flowmesh list workflows", **variables)
        shown = await shell(tmp_path, *lines("flowmesh certs show"))
        assert "spiffe://flowmesh/default/orchestrator" in shown


async def test_certificates_are_issued_and_renewed_by_the_commands_of_the_page(
    tmp_path: Path,
) -> None:
    """Each process has a folder, with its names."""
    for line in (*lines("flowmesh certs init"), *lines("flowmesh certs issue")):
        await shell(tmp_path, line)
    folders = sorted(path.name for path in (tmp_path / "authority").iterdir() if path.is_dir())
    assert folders == ["gateway", "orchestrator-1", "orchestrator-2"]
    shown = await shell(tmp_path, "flowmesh certs show --dir authority")
    assert "spiffe://flowmesh/shop/gateway, gateway.internal, flow.example.com" in shown
    assert await shell(tmp_path, *lines("flowmesh certs renew")) == "No certificate is due.\n"


@pytest.mark.feature("S3-131")
async def test_each_service_needs_its_own_schema_only(
    servers: EmbeddedServers, tmp_path: Path
) -> None:
    """The roles of the page suffice for `flowmesh serve`, and read no data of each other."""
    assert STATEMENTS is not None
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(fresh_database(servers.postgres))
        database = re.sub(r".*/(\w+)\?.*", r"\1", address)
        script = STATEMENTS[1].replace("database flowmesh", f'database "{database}"')
        await stack.enter_async_context(roles(address, script))
        places = {name: as_role(address, f"flowmesh_{name}") for name in STORING}
        await stack.enter_async_context(served(servers, places, tmp_path))
        connection = await asyncpg.connect(places["event"])
        try:
            owners = await connection.fetch("select nspname, nspowner::regrole from pg_namespace")
            for name in STORING:
                assert (name, f"flowmesh_{name}") in [tuple(row) for row in owners]
            for table in ("identity.users", "definition.versions"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"select * from {table}")
        finally:
            await connection.close()


def as_role(address: str, role: str) -> str:
    return re.sub(r"//[^@]*@", f"//{role}:...@", address)


@asynccontextmanager
async def roles(address: str, script: str) -> AsyncIterator[None]:
    """The roles of a script, as long as the block runs."""
    await execute(address, script)
    try:
        yield
    finally:
        names = re.findall(r"create role (\w+)", script)
        for name in names:
            await execute(address, f"drop owned by {name} cascade; drop role {name}")


async def execute(address: str, script: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(script)
    finally:
        await connection.close()


@asynccontextmanager
async def served(
    servers: EmbeddedServers, places: dict[str, str], folder: Path
) -> AsyncIterator[None]:
    """All services as processes of their own, closed and encrypted; returns when they are ready."""
    create_key_file(folder / "key")
    authority = Authority.create(folder / "certs")
    first = free_ports(2 * len(CORE))
    processes = []
    ports = {}
    try:
        for at, service in enumerate(CORE):
            files = issue(
                authority, Request("service", service, ("127.0.0.1",)), folder / "certs" / service
            )
            ports[service] = first + len(CORE) + at
            settings = {
                **CLOSED,
                "FLOWMESH_POSTGRES": places.get(service, places["event"]),
                "FLOWMESH_NATS": servers.nats,
                "FLOWMESH_REDIS": servers.redis,
                "FLOWMESH_REGISTRY": f"127.0.0.1:{first + CORE.index('registry')}",
                "FLOWMESH_KEY_FILE": str(folder / "key"),
                "FLOWMESH_CERTS": str(files.certificate.parent),
                "FLOWMESH_GRPC_PORT": str(first + at),
                "FLOWMESH_HTTP_PORT": str(ports[service]),
                "FLOWMESH_DATA_DIR": str(folder / service),
                "FLOWMESH_BUS_PREFIX": "tlspage",
            }
            processes.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "flowmesh.suite", "serve", service),
                    env={**os.environ, **settings},
                    stderr=asyncio.subprocess.DEVNULL,
                )
            )
        await until("all services are ready", lambda: ready(ports.values()), within_s=60)
        yield
    finally:
        for process in processes:
            process.terminate()
        await asyncio.gather(*(process.wait() for process in processes))


async def ready(ports: Iterable[int]) -> bool:
    return all([await is_ready("127.0.0.1", port, tls=True) for port in ports])
