"""The chart on a cluster whose pods are the real services."""

import asyncio
import json
import re
import runpy
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
from flowmesh.sdk import Worker
from flowmesh.testing.polling import until
from tests.features.blocks import blocks
from tests.kubernetes.cluster import Cluster, cluster
from tests.kubernetes.conftest import CHART, REPOSITORY
from tests.kubernetes.pod_metrics import pod_metrics
from tests.kubernetes.podrunner import PodRunner, running_pods
from tools import kubernetes

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(400)]
NAMESPACE = "quickstart"
COMPONENTS = 10
READERS = 4
VALUES = (
    "stores.enabled=false,monitoring.dashboards=true,"
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
    # For workers.
    grpc: str

    async def request(
        self, method: str, path: str, body: Any = None, *, namespace: str = "default"
    ) -> Any:
        headers = {"Flowmesh-Namespace": namespace}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, f"{self.gateway}{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def text(self, path: str) -> str:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.gateway}{path}") as answer,
        ):
            assert answer.status == 200, path
            return await answer.text()

    async def kubectl(self, *arguments: str, source: str = "", check: bool = True) -> str:
        arguments = (*arguments, "-n", NAMESPACE)
        return await self.cluster.kubectl(*arguments, source=source, check=check)


@pytest.fixture(scope="module")
async def installed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installed]:
    """The trial profile with two engines, on servers outside of an empty cluster."""
    folder = tmp_path_factory.mktemp("install")
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(cluster(2))
        servers = await stack.enter_async_context(EmbeddedServers(folder / "data"))
        await bare.kubectl("create", "namespace", NAMESPACE)
        # The workflow of the quickstart stands before its task.
        await bare.kubectl("label", "namespace", NAMESPACE, "workflow.io/missing-tasks=wait")
        literals = [
            f"--from-literal={name}={getattr(servers, name)}"
            for name in ("postgres", "nats", "redis")
        ]
        secret = ("create", "secret", "generic", "flowmesh-servers", "-n", NAMESPACE)
        await bare.kubectl(*secret, *literals)
        runner = await stack.enter_async_context(running_pods(bare.kubeconfig, NAMESPACE, folder))
        await asyncio.to_thread(helm, bare, folder, "install")
        await stack.enter_async_context(runner.service("flowmesh-webhook", 443, 9443))

        async def available() -> bool:
            found = await bare.get("deployments", "-n", NAMESPACE)
            ready = [
                each.get("status", {}).get("readyReplicas", 0) == each["spec"]["replicas"]
                for each in found["items"]
            ]
            return len(ready) == COMPONENTS and all(ready)

        await until("available", available, within_s=240, poll_s=1.0)

        http = await stack.enter_async_context(runner.service("flowmesh-gateway", 3000))
        grpc = await stack.enter_async_context(runner.service("flowmesh-gateway", 7450))
        yield Installed(bare, runner, f"http://{http}", grpc)


def helm(running: Cluster, folder: Path, action: str, *arguments: str) -> None:
    command = [str(kubernetes.folder() / "helm"), action, "flowmesh", "-n", NAMESPACE]
    command += [f"--kubeconfig={running.kubeconfig}"]
    if action != "uninstall":
        command += [str(CHART), "-f", str(CHART / "values-trial.yaml"), "--set", VALUES, *arguments]
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


async def test_the_quickstart_runs(installed: Installed) -> None:
    """By kubectl, and a worker beside the cluster: the file of the README as it stands."""
    folder = REPOSITORY / "examples" / "quickstart"
    output = await installed.kubectl("apply", "-f", str(folder / "welcome.yaml"))
    assert "Warning: spec.tasks[1].taskRef: there is no task 'greet'" in output, output
    assert output.count(" created") == 2, output
    ready = ("wait", "--for=condition=Ready", "--timeout=30s")
    await installed.kubectl(*ready, "workflow/welcome", "workflowtask/greet")
    greet = runpy.run_path(str(folder / "worker.py"))["greet"]
    users = [{"name": "Ada", "active": True}, {"name": "Bob", "active": False}]
    async with Worker(installed.grpc, {"greet": greet}, namespace=NAMESPACE):
        answer = await installed.request(
            "POST",
            "/api/v1/workflows/welcome/execute",
            {"input": {"users": users}},
            namespace=NAMESPACE,
        )
    assert answer["output"] == {"greetings": ["Hello Ada"]}, answer


async def test_the_first_workflow_of_the_page(installed: Installed) -> None:
    """docs/kubernetes.md: applied, shown with its columns, and a cycle is refused at the door."""
    page = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    document = next(each.text for each in blocks(page) if each.language == "yaml")
    output = await installed.kubectl("apply", "-f", "-", source=document)
    assert output == "workflow.workflow.io/order created\n"
    await installed.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "workflow/order")
    lines = (await installed.kubectl("get", "workflows", "order")).splitlines()
    assert [each.split()[:-1] for each in lines] == [
        ["NAME", "READY", "VERSION", "NODES"],
        ["order", "True", "1", "2"],
    ]
    path = "/api/v1/workflows/order/execute"
    answer = await installed.request("POST", path, {"input": {}}, namespace=NAMESPACE)
    assert answer["status"] == "completed", answer
    cycle = document.replace("taskRef: noop", "taskRef: noop\n      dependsOn: [ship]", 1)
    refused = await installed.kubectl("apply", "-f", "-", source=cycle, check=False)
    assert "Circular dependency" in refused, refused
    assert "[GRAPH_CYCLE]" in refused, refused


@pytest.mark.feature("S0-150")
async def test_the_second_and_third_week(installed: Installed) -> None:
    """docs/adoption.md: the console, what a change of a task concerns, and the dashboards."""
    page = await installed.text("/console")
    assets = re.findall(r"/console/assets/[\w.-]+", page)
    assert assets, page
    for path in assets:
        assert await installed.text(path), path
    assert (await installed.request("GET", "/api/v1/console/session"))["auth"] == "open"

    async def used() -> bool:
        lines = (await installed.kubectl("get", "workflowtasks", "greet")).splitlines()
        return dict(zip(lines[0].split(), lines[1].split(), strict=True))["USED-BY"] == "1"

    await until("used", used, within_s=30, poll_s=0.5)
    patch = '{"spec": {"inputSchema": {"required": ["users", "language"]}}}'
    change = ("patch", "workflowtask", "greet", "--type=merge", "-p", patch)
    refused = await installed.kubectl(*change, check=False)
    assert "welcome" in refused, refused
    await _until_dashboards_show(installed)


async def _until_dashboards_show(installed: Installed) -> None:
    """Wait until each metric of the installed dashboards is exported by a pod."""
    found = await installed.cluster.get("configmap", "flowmesh-dashboards", "-n", NAMESPACE)
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    queries = [
        target["expr"]
        for text in found["data"].values()
        for panel in json.loads(text)["panels"]
        for target in panel.get("targets", [])
    ]
    named = set(re.findall(r"\b(?:flowmesh|process)_\w+", " ".join(queries)))
    assert len(named) > 20, named

    async def exported() -> bool:
        async with aiohttp.ClientSession() as http:
            for each in installed.runner.pods.values():
                async with http.get(f"http://{each.address}:3000/metrics") as answer:
                    assert answer.status == 200, each.labels
                    names = re.findall(r"^(\w+)[ {]", await answer.text(), re.MULTILINE)
                    named.difference_update(names)
        return not named

    try:
        await until("exported", exported, within_s=30, poll_s=1.0)
    except AssertionError:
        raise AssertionError(f"no pod exports {sorted(named)}") from None


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


async def test_an_uninstalled_release_keeps_the_resources(
    installed: Installed, tmp_path: Path
) -> None:
    """The webhook goes, so that they can be changed without the suite."""
    await asyncio.to_thread(helm, installed.cluster, tmp_path, "uninstall")
    assert "order" in await installed.kubectl("get", "workflows")
    webhooks = await installed.kubectl("get", "validatingwebhookconfigurations")
    assert "No resources found" in webhooks
