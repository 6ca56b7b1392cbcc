"""One document of an application, its database and its cache, on this machine and in a cluster."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import nats
import pytest
import yaml

from flowmesh.embedded.ports import free_port
from flowmesh.testing.polling import until
from tests.kubernetes.conftest import FLOWMESH, Place
from tests.kubernetes.podrunner import running_pods

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(240)]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "kubernetes" / "guestbook.yaml"


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[str]:
    """Run the document by `flowmesh app run`; return the address."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *FLOWMESH, "app", "run", str(EXAMPLE), "--data-dir", str(folder / "data"),
        "--address", f"web=127.0.0.1:{port}",
        env={**os.environ, "PATH": str(Path(sys.executable).parent)},
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def in_cluster(place: Place, namespace: str, folder: Path) -> AsyncIterator[str]:
    """Apply the document; return the address of the Service."""
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(
            running_pods(place.cluster.kubeconfig, namespace, folder)
        )
        await place.apply(namespace, *yaml.safe_load_all(EXAMPLE.read_text()))
        for name, port in (("guests", 5432), ("counter", 6379)):
            await place.until_ready(namespace, "infra", name, timeout_s=60)
            await stack.enter_async_context(runner.service(name, port))
        await until_there(place, namespace, "guestbook-blue")
        await stack.enter_async_context(runner.service("guestbook-blue", 8080))
        await place.until_ready(namespace, "app", "guestbook", timeout_s=60)
        yield await stack.enter_async_context(runner.service("guestbook", 8080))


async def until_there(place: Place, namespace: str, service: str) -> None:
    async def is_there() -> bool:
        return service in await place.kubectl("get", "service", "-n", namespace, "-o", "name")

    await until(service, is_there, within_s=30)


@pytest.mark.feature("S1-167", "S1-184")
@pytest.mark.parametrize("where", ["local", "cluster"])
async def test_declared_servers_are_there_for_the_application(
    place: Place, namespace: str, tmp_path: Path, where: str
) -> None:
    """A database and a cache, whose addresses the application gets by their names."""
    running = local(tmp_path) if where == "local" else in_cluster(place, namespace, tmp_path)
    async with running as address, aiohttp.ClientSession() as http:

        async def serves() -> bool:
            try:
                async with http.get(f"http://{address}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await until("serving", serves, within_s=40, poll_s=0.2)
        for name in ("ann", "bob", "ann"):
            async with http.put(f"http://{address}/guests/{name}") as answer:
                assert answer.status == 201, await answer.text()
        for _ in range(4):  # both pods
            async with http.get(f"http://{address}/guests") as answer:
                assert await answer.json() == {"last": "ann", "count": 2}


async def test_a_declared_nats_keeps_messages_for_its_password(
    place: Place, namespace: str, tmp_path: Path
) -> None:
    """The real server, with the arguments of its pod and the address of its Secret."""
    document = {
        "apiVersion": "workflow.io/v1",
        "kind": "Infrastructure",
        "metadata": {"name": "bus"},
        "spec": {"kind": "nats"},
    }
    async with running_pods(place.cluster.kubeconfig, namespace, tmp_path) as runner:
        await place.apply(namespace, document)
        await place.until_ready(namespace, "infra", "bus", timeout_s=60)
        found = await place.cluster.get("secret", "bus-address", "-n", namespace)
        url = base64.b64decode(found["data"]["url"]).decode()
        user, _, host = url.rpartition("@")
        assert host == f"bus.{namespace}.svc:4222"
        async with runner.service("bus", 4222) as address:
            client = await nats.connect(f"{user}@{address}", connect_timeout=5)
            try:
                stream = client.jetstream()
                await stream.add_stream(name="orders", subjects=["orders.>"])
                kept = await stream.publish("orders.new", b"o-1")
                assert (kept.stream, kept.seq) == ("orders", 1)
            finally:
                await client.close()
            with pytest.raises(nats.errors.Error):
                await nats.connect(f"nats://flowmesh:wrong@{address}", allow_reconnect=False)
