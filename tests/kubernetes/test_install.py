"""The chart on a cluster whose pods are the real services."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from flowmesh.embedded import EmbeddedServers
from flowmesh.testing.polling import until
from tests.kubernetes.cluster import Cluster, serve
from tests.kubernetes.conftest import CHART
from tests.kubernetes.pod_metrics import pod_metrics
from tests.kubernetes.podrunner import PodRunner, running_pods
from tools import kubernetes

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(240)]
NAMESPACE = "quickstart"
COMPONENTS = 9
READERS = 4
VALUES = (
    "stores.enabled=false,operator.enabled=false,resources.install=false,"
    "agents.driver=process,"
    "services.orchestrator.replicas=2,"
    # Little, so that the load of a test is much.
    "services.gateway.resources.requests.cpu=20m"
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A release of the chart and its pods."""

    cluster: Cluster
    runner: PodRunner
    gateway: str

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"{self.gateway}{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()


@pytest.fixture(scope="module")
async def installed(
    bare: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installed]:
    """The trial profile with two engines, on servers outside of the cluster."""
    folder = tmp_path_factory.mktemp("install")
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(EmbeddedServers(folder / "data"))
        await bare.kubectl("create", "namespace", NAMESPACE)
        literals = [
            f"--from-literal={name}={getattr(servers, name)}"
            for name in ("postgres", "nats", "redis")
        ]
        secret = ("create", "secret", "generic", "flowmesh-servers", "-n", NAMESPACE)
        await bare.kubectl(*secret, *literals)
        runner = await stack.enter_async_context(running_pods(bare.kubeconfig, NAMESPACE, folder))
        await asyncio.to_thread(helm, bare, folder, "install")
        service = await bare.get("service", "flowmesh-gateway", "-n", NAMESPACE)
        address = service["spec"]["clusterIP"]

        async def available() -> bool:
            found = await bare.get("deployments", "-n", NAMESPACE)
            ready = [
                each.get("status", {}).get("readyReplicas", 0) == each["spec"]["replicas"]
                for each in found["items"]
            ]
            return len(ready) == COMPONENTS and all(ready)

        await until("available", available, within_s=120, poll_s=1.0)

        def gateway() -> tuple[str, int]:
            names = (name for name in runner.pods if name.startswith("flowmesh-gateway-"))
            return runner.pods[next(names)].address, 3000

        await stack.enter_async_context(serve(address, 3000, gateway))
        yield Installed(bare, runner, f"http://{address}:3000")


def helm(running: Cluster, folder: Path, action: str, *arguments: str) -> None:
    command = [str(kubernetes.folder() / "helm"), action, "flowmesh", str(CHART)]
    command += ["-n", NAMESPACE, "-f", str(CHART / "values-trial.yaml"), "--set", VALUES]
    command += [f"--kubeconfig={running.kubeconfig}", *arguments]
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert not run.returncode, run.stderr


@pytest.mark.feature("S3-125", "S3-127")
async def test_a_workflow_runs_on_the_installed_suite(installed: Installed) -> None:
    """Registered and started through the Service of the gateway; JavaScript runs at the worker."""
    await installed.request(
        "POST",
        "/api/v1/tasks",
        {
            "apiVersion": "workflow.io/v1",
            "kind": "WorkflowTask",
            "metadata": {"name": "double"},
            "spec": {"type": "function", "function": {"code": "return {n: input.n * 2}"}},
        },
    )
    spec = {
        "tasks": [{"id": "a", "taskRef": "double", "input": {"n": "{{input.n}}"}}],
        "output": {"got": "{{tasks.a.output.n}}"},
    }
    await installed.request(
        "POST",
        "/api/v1/workflows",
        {
            "apiVersion": "workflow.io/v1",
            "kind": "Workflow",
            "metadata": {"name": "order"},
            "spec": spec,
        },
    )
    answer = await installed.request("POST", "/api/v1/workflows/order/execute", {"input": {"n": 1}})
    assert answer["output"] == {"got": 2}, answer


@pytest.mark.feature("S3-126")
async def test_each_component_is_a_container_of_its_own(installed: Installed) -> None:
    """The registry has each component at the addresses of its pods, and at no others."""
    answer = await installed.request("GET", "/api/v1/services?type=core&status=HEALTHY")
    found = {
        (each["name"], str(urlsplit(f"//{each['endpoint']}").hostname))
        for each in answer["services"]
    }
    pods = {
        (each.labels["app.kubernetes.io/component"], each.address)
        for each in installed.runner.pods.values()
    }
    assert len({name for name, _ in pods}) == COMPONENTS
    assert found == pods


async def test_a_lost_engine_is_replaced_and_loses_nothing(installed: Installed) -> None:
    """Its pod is deleted while executions run; the other engine takes them over."""
    pods = [name for name in installed.runner.pods if name.startswith("workflow-engine-")]
    await installed.cluster.kubectl("delete", "pod", pods[0], "-n", NAMESPACE, "--wait=false")
    for _ in range(5):
        await installed.request("POST", "/api/v1/workflows/order/execute", {"input": {"n": 1}})

    async def replaced() -> bool:
        found = await installed.cluster.get("deployment", "workflow-engine", "-n", NAMESPACE)
        names = [name for name in installed.runner.pods if name.startswith("workflow-engine-")]
        return found["status"].get("readyReplicas") == 2 and pods[0] not in names

    await until("replaced", replaced, within_s=60, poll_s=0.5)


@pytest.mark.feature("S3-127")
async def test_load_scales_the_gateway(installed: Installed, tmp_path: Path) -> None:
    """By the autoscaler of the chart, which reads the CPU of the pods."""
    scaled = "services.gateway.autoscaling.enabled=true,services.gateway.autoscaling.maxReplicas=2"
    running = installed.cluster
    url = f"{installed.gateway}/api/v1/workflows/order"

    async def read(http: aiohttp.ClientSession) -> None:
        while True:
            async with http.get(url) as answer:
                await answer.read()

    async def scaled_out() -> bool:
        found = await running.get("deployment", "flowmesh-gateway", "-n", NAMESPACE)
        return bool(found["spec"]["replicas"] == 2)

    async with pod_metrics(running, installed.runner, NAMESPACE), aiohttp.ClientSession() as http:
        await asyncio.to_thread(helm, running, tmp_path, "upgrade", "--set", scaled)
        reads = [asyncio.ensure_future(read(http)) for _ in range(READERS)]
        try:
            await until("scaled out", scaled_out, within_s=90, poll_s=1.0)
        finally:
            for each in reads:
                each.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
