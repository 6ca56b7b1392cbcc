"""`kubectl flowmesh`: the commands at a suite that only the API server reaches."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.kubernetes.cluster import serve
from tests.kubernetes.conftest import Place
from tests.kubernetes.test_operator import noop, workflow
from tools import kubernetes

pytestmark = pytest.mark.kubernetes
PLUGIN = "import flowmesh.suite.kubectl as k; k.main()"


def own_address() -> str:
    """Return an address of this machine that is no loopback; API servers proxy to no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture
async def installed(place: Place, namespace: str) -> AsyncIterator[str]:
    """A namespace with the Service of a gateway, which is that of the suite."""
    gateway = urlsplit(place.suite.http_url)
    address = own_address()
    pod = {"kind": "Pod", "name": "gateway", "namespace": namespace}
    port = {"name": "http", "port": 13000}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "flowmesh-gateway"},
        "spec": {"ports": [{**port, "targetPort": 13000}]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "flowmesh-gateway-1",
            "labels": {"kubernetes.io/service-name": "flowmesh-gateway"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "targetRef": pod}],
        "ports": [port],
    }
    # An API server proxies to addresses of pods only.
    await place.kubectl("run", "gateway", "--image=flowmesh", "-n", namespace)
    said = json.dumps({"status": {"podIP": address, "podIPs": [{"ip": address}]}})
    patch = ("patch", "pod", "gateway", "--subresource=status", "--type=merge", "-p", said)
    await place.kubectl(*patch, "-n", namespace)
    await place.apply(namespace, service, endpoints)
    async with serve(address, 13000, lambda: (str(gateway.hostname), gateway.port or 0)):
        yield namespace


async def plugin(place: Place, *arguments: str) -> tuple[int, str]:
    """Run the plugin as kubectl does; return its exit code and output."""
    environment: Mapping[str, str] = {
        **os.environ,
        "PATH": f"{kubernetes.folder()}:{os.environ['PATH']}",
        "KUBECONFIG": str(place.cluster.kubeconfig),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PLUGIN, *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_workflow_is_started_through_the_api_server(
    place: Place, installed: str, tmp_path: Path
) -> None:
    """With the kubeconfig alone: registered, started and waited for."""
    file = tmp_path / "order.yaml"
    file.write_text(yaml.safe_dump(workflow("order", noop("a"))))
    to = ("--suite", installed)
    code, output = await plugin(place, *to, "apply", "-f", str(file), "-n", installed)
    assert code == 0, output
    code, output = await plugin(place, *to, "start", "order", "--wait", "-n", installed)
    assert code == 0, output
    assert "completed" in output


async def test_a_suite_that_is_not_there_is_named(place: Place, namespace: str) -> None:
    """By its namespace, and the command fails."""
    code, output = await plugin(place, "--suite", namespace, "list", "workflows")
    assert code != 0
    assert f"the gateway in {namespace} does not answer" in output
