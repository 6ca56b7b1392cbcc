"""`kubectl flowmesh`: the commands at a suite that only the API server reaches."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from flowmesh.testing.suite import Suite
from tests.features.closed import closed_suite
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
    async with serving(place, namespace, place.suite):
        yield namespace


@asynccontextmanager
async def serving(place: Place, namespace: str, suite: Suite) -> AsyncIterator[None]:
    """A Service in the namespace, which leads to the gateway of a suite."""
    gateway = urlsplit(suite.http_url)
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
        yield


async def plugin(place: Place, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run the plugin as kubectl does; return its exit code and output."""
    environment: Mapping[str, str] = {
        **os.environ,
        "PATH": f"{kubernetes.folder()}:{os.environ['PATH']}",
        "KUBECONFIG": str(place.cluster.kubeconfig),
        **variables,
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


@pytest.mark.parametrize("tls", [(), ("--tls",)], ids=["plain", "tls"])
async def test_a_closed_suite_takes_the_credential_of_the_caller(
    place: Place, namespace: str, tmp_path: Path, tls: tuple[str, ...]
) -> None:
    """Through the API server, which keeps `Authorization`; without one it says what is missing."""
    file = tmp_path / "order.yaml"
    file.write_text(yaml.safe_dump(workflow("order", noop("a"))))
    async with closed_suite(tmp_path, *tls) as closed:
        project = await closed.project(namespace)
        editor = await closed.key(project.id, "editor")
        viewer = await closed.key(project.id, "viewer")
        to, at = ("--suite", namespace), ("-n", namespace)
        trust = {"FLOWMESH_CA": str(closed.suite.about["ca"])} if tls else {}
        async with serving(place, namespace, closed.suite):
            code, output = await plugin(place, *to, "list", "workflows", *at, **trust)
            assert code != 0
            assert "401, it is closed: set FLOWMESH_TOKEN or FLOWMESH_API_KEY" in output
            own = {**trust, "FLOWMESH_API_KEY": editor.credential}
            code, output = await plugin(place, *to, "apply", "-f", str(file), *at, **own)
            assert code == 0, output
            code, output = await plugin(place, *to, "start", "order", "--wait", *at, **own)
            assert code == 0, output
            assert "completed" in output
            others = {**trust, "FLOWMESH_API_KEY": viewer.credential}
            code, output = await plugin(place, *to, "start", "order", *at, **others)
            assert (code == 0, "ROLE_REQUIRED" in output) == (False, True), output
            assert editor.credential not in output


async def test_a_suite_that_is_not_there_is_named(place: Place, namespace: str) -> None:
    """By its namespace, and the command fails."""
    code, output = await plugin(place, "--suite", namespace, "list", "workflows")
    assert code != 0
    assert f"the gateway in {namespace} does not answer" in output
