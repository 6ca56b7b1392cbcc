"""The operator beside a closed suite: it proves itself as a service of the installation."""

from pathlib import Path

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from tests.features.agents.crew import tasks
from tests.features.closed import closed_suite
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Place, start_operator, until_ready
from tests.kubernetes.test_agents import agent_spec
from tests.kubernetes.test_apps import app
from tests.kubernetes.test_operator import noop, workflow

pytestmark = pytest.mark.kubernetes


async def test_an_operator_registers_for_a_project_of_a_closed_suite(
    place: Place, bare: Cluster, namespace: str, tmp_path: Path
) -> None:
    """Without a credential of a user; members of the project see what it registers.

    An agent of a resource has a key of its queues, and documents of Apps are checked.
    """
    async with closed_suite(tmp_path) as closed:
        project = await closed.project(namespace)
        # The operators of the other suite give the Lease up.
        for each in place.operators:
            each.kill()
        operator = await start_operator(
            bare,
            closed.suite,
            tmp_path,
            FLOWMESH_AUTH="closed",
            FLOWMESH_KEY_FILE=str(tmp_path / "key"),
            FLOWMESH_INTERNAL_DIR=str(tmp_path / "data" / "sockets"),
        )
        place.operators.append(operator)
        try:

            async def stored() -> bool:
                assert operator.process.poll() is None, operator.log.read_text()
                output = await place.apply(namespace, workflow("order", noop("a")), check=False)
                return "created" in output or "unchanged" in output

            await until("stored", stored, within_s=40, poll_s=0.5)
            await place.until_ready(namespace, "workflow", "order")
            viewer = await closed.key(project.id, "viewer")
            status, answer = await viewer.rest("GET", "/api/v1/workflows")
            assert (status, [each["name"] for each in answer["workflows"]]) == (200, ["order"])
            refused = await place.apply(namespace, app("{"), check=False)
            assert "spec.source.document: line" in refused, refused
            await place.apply(namespace, agent_spec(replicas=1), agent_spec("mute", queues=[]))
            ready = await place.until_ready(namespace, "agentspec", "packers", timeout_s=60)
            assert ready["reason"] == "Running", ready
            editor = await closed.key(project.id, "editor")
            address = closed.suite.grpc_address
            async with Client(address, namespace, token=editor.credential) as client:
                (handle,) = await tasks(client, 1, 0.1)
                assert (await handle.result(timeout=30.0))["by"].startswith("agent-")
            admin = await closed.key(project.id, "admin")
            _, answer = await admin.rest("GET", f"/api/v1/projects/{project.id}/api-keys")
            found = {each["name"]: each for each in answer["keys"]}
            (name,) = (each for each in found if "agent." in each)
            assert (found[name]["role"], found[name]["queues"]) == ("worker", ["packing"])
        finally:
            operator.kill()
    await until_ready(await place.start())
