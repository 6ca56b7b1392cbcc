"""The operator beside a closed suite: it proves itself as a service of the installation."""

from pathlib import Path

import pytest

from flowmesh.testing.polling import until
from tests.features.closed import closed_suite
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Place, start_operator
from tests.kubernetes.test_operator import noop, workflow

pytestmark = pytest.mark.kubernetes


async def test_an_operator_registers_for_a_project_of_a_closed_suite(
    place: Place, bare: Cluster, namespace: str, tmp_path: Path
) -> None:
    """Without a credential of a user; members of the project see what it registers."""
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
        finally:
            operator.kill()
    await place.start()
