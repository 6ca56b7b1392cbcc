"""A cluster with the chart's resources and rights, a suite, and operators between them."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from flowmesh.embedded.ports import free_port, free_ports
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.kubernetes.cluster import Cluster, account, cluster, serve
from tools import kubernetes

REPOSITORY = Path(__file__).resolve().parents[2]
# `tools.breaks` names a changed copy.
CHART = Path(os.environ.get("KUBERNETES_CHART", REPOSITORY / "deploy" / "chart" / "flowmesh"))
SYSTEM = "flowmesh-system"
FLOWMESH = (str(Path(sys.executable).parent / "flowmesh"),)
PARTS = ("resources", "rights", "webhook")
# `KUBERNETES_DRILLS=full` runs the drills with the counts of docs/kubernetes.md.
FULL = os.environ.get("KUBERNETES_DRILLS") == "full"


def rendered(*arguments: str) -> str:
    """Return the objects of the chart, as Helm renders them."""
    command = [str(kubernetes.folder() / "helm"), "template", "flowmesh", str(CHART)]
    run = subprocess.run(
        [*command, "--namespace", SYSTEM, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not run.returncode, run.stderr
    return run.stdout


@dataclass(frozen=True, slots=True)
class Operator:
    """A running operator."""

    process: subprocess.Popen[bytes]
    log: Path
    webhook_port: int
    http_port: int

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster, a suite, and what starts operators between them."""

    cluster: Cluster
    suite: Suite
    start: Callable[[], Awaitable[Operator]]
    # Those that were started, the newest last.
    operators: list[Operator]

    async def kubectl(self, *arguments: str, source: str = "", check: bool = True) -> str:
        return await self.cluster.kubectl(*arguments, source=source, check=check)

    async def apply(self, namespace: str, *documents: Any, check: bool = True) -> str:
        """Apply documents by kubectl; return what it prints."""
        text = yaml.safe_dump_all(documents)
        return await self.kubectl("apply", "-n", namespace, "-f", "-", source=text, check=check)

    async def until_ready(
        self, namespace: str, kind: str, name: str, status: str = "True", timeout_s: float = 20
    ) -> dict[str, Any]:
        """Wait for a status of the condition Ready of the present generation."""
        found: dict[str, Any] = {}

        async def is_there() -> bool:
            found.update(await self.cluster.get(kind, name, "-n", namespace))
            state = found.get("status", {})
            if state.get("observedGeneration") != found["metadata"]["generation"]:
                return False
            return bool(state["conditions"][0]["status"] == status)

        await until(f"Ready {status}", is_there, within_s=timeout_s)
        state = found["status"]
        return {**state["conditions"][0], "version": state.get("version")}

    async def workflows(self, namespace: str) -> list[str]:
        """Return the workflows that the gateway lists."""
        headers = {"Flowmesh-Namespace": namespace}
        answer = await self.suite.request("GET", "/api/v1/workflows?pageSize=500", headers=headers)
        assert answer.status == 200, answer.text
        return [each["name"] for each in answer.json["workflows"]]


@pytest.fixture(scope="session")
async def bare() -> AsyncIterator[Cluster]:
    """A cluster with the resource definitions, rights and webhook of the chart."""
    async with cluster() as running:
        await equip(running)
        yield running


async def equip(running: Cluster) -> None:
    """Install what the operator needs."""
    await running.kubectl("create", "namespace", SYSTEM)
    parts = [f"--show-only=templates/{part}.yaml" for part in PARTS]
    objects = list(yaml.safe_load_all(rendered(*parts)))
    text = yaml.safe_dump_all(objects)
    await running.kubectl("apply", "--server-side", "-n", SYSTEM, "-f", "-", source=text)
    await running.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")


@pytest.fixture(scope="session")
async def place(bare: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """The cluster with a suite and one operator, behind the address of the webhook's Service."""
    folder = tmp_path_factory.mktemp("kubernetes")
    pods = {
        "KUBECONFIG": str(await account(bare.kubeconfig, folder, "flowmesh-fleet", SYSTEM)),
        "FLOWMESH_AGENT_DRIVER": "kubernetes",
    }
    async with AsyncExitStack() as stack:
        suite = await stack.enter_async_context(
            Suite(folder / "data", ports=(free_port(), free_port()), environment=pods)
        )
        started: list[Operator] = []

        async def start() -> Operator:
            operator = await start_operator(bare, suite, folder)
            started.append(operator)
            return operator

        def end() -> None:
            for each in started:
                each.kill()

        stack.callback(end)
        place = Place(bare, suite, start, started)
        operator = await start()
        service = await bare.get("service", "flowmesh-webhook", "-n", SYSTEM)
        address = service["spec"]["clusterIP"]
        await stack.enter_async_context(
            serve(address, 443, lambda: ("127.0.0.1", started[-1].webhook_port))
        )
        await until_serving(place, operator)
        yield place


async def start_operator(running: Cluster, suite: Suite, folder: Path, **settings: str) -> Operator:
    """Start an operator with the rights of its service account."""
    kubeconfig = await account(running.kubeconfig, folder, "flowmesh-operator", SYSTEM)
    about = json.loads((Path(suite.data_dir) / "dev.json").read_text())
    first = free_ports(3)
    log = folder / f"operator-{first}.log"
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "FLOWMESH_POSTGRES": about["postgres"],
        "FLOWMESH_NATS": about["nats"],
        "FLOWMESH_REDIS": about["redis"],
        "FLOWMESH_REGISTRY": about["grpc"],
        "FLOWMESH_GRPC_PORT": str(first),
        "FLOWMESH_HTTP_PORT": str(first + 1),
        "FLOWMESH_WEBHOOK_PORT": str(first + 2),
        "FLOWMESH_AUTH": "open",
        **settings,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 it outlives the call
            [*FLOWMESH, "serve", "operator", "--auth", environment["FLOWMESH_AUTH"]],
            env=environment,
            stdout=output,
            stderr=output,
        )
    return Operator(process, log, first + 2, first + 1)


async def until_ready(operator: Operator) -> None:
    """Wait until an operator answers reviews."""

    async def ready() -> bool:
        assert operator.process.poll() is None, operator.log.read_text()
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{operator.http_port}/ready") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await until("ready", ready, within_s=60, poll_s=0.2)


async def until_serving(place: Place, operator: Operator) -> None:
    """Wait until the API server trusts the webhook."""

    async def trusted() -> bool:
        assert operator.process.poll() is None, operator.log.read_text()
        found = await place.cluster.get("validatingwebhookconfiguration", "flowmesh")
        return bool(found["webhooks"][0]["clientConfig"].get("caBundle"))

    await until("trusted", trusted, within_s=60)


@pytest.fixture
async def namespace(place: Place) -> str:
    """A namespace of the cluster for one test."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    await place.kubectl("create", "namespace", name)
    return name
