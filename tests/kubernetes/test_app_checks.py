"""A workflow of the suite as the check of an App, before a colour gets the traffic."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.testing.polling import until
from tests.kubernetes.conftest import Place
from tests.kubernetes.podrunner import PodRunner, running_pods
from tests.kubernetes.test_apps import app, status
from tests.kubernetes.test_infrastructure import until_there
from tests.kubernetes.test_operator import task, workflow

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(180)]


def smoke(name: str, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a task that calls the colour, and a workflow of it."""
    call = task(name, http={"method": "GET", "url": f"{{{{input.address}}}}{path}"})
    call["spec"]["type"] = "http"
    node = {"id": "call", "taskRef": name, "input": {"address": "{{input.address}}"}}
    return call, workflow(name, node, output={"colour": "{{input.colour}}"})


@pytest.fixture
async def pods(place: Place, namespace: str, tmp_path: Path) -> AsyncIterator[PodRunner]:
    async with running_pods(place.cluster.kubeconfig, namespace, tmp_path) as runner:
        yield runner


async def test_a_workflow_decides_whether_a_colour_gets_the_traffic(
    place: Place, namespace: str, pods: PodRunner
) -> None:
    """One that fails keeps it away; one that completes lets it in, started once for the release."""
    await place.apply(namespace, *smoke("missing", "/nowhere"), *smoke("greets", "/hello"))
    for name in ("missing", "greets"):
        await place.until_ready(namespace, "workflow", name)
    await place.apply(namespace, app("one", strategy={"checks": [{"workflow": "missing"}]}))
    await until_there(place, namespace, "hello-blue")
    async with pods.service("hello-blue", 8080):

        async def refused() -> bool:
            found = (await status(place, namespace)).get("conditions", [{}])[0]
            return found.get("reason") == "CheckFailed" and "has not completed" in found["message"]

        await until("refused", refused, within_s=60, poll_s=0.5)
        await place.apply(namespace, app("one", strategy={"checks": [{"workflow": "greets"}]}))
        await place.until_ready(namespace, "app", "hello", timeout_s=40)
    runs = await place.suite.request(
        "GET",
        "/api/v1/executions?workflow=greets",
        headers={"Flowmesh-Namespace": namespace},
    )
    assert [each["status"] for each in runs.json["executions"]] == ["completed"], runs.text
