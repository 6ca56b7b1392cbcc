"""A closed installation of several processes."""

from pathlib import Path

import pytest

from flowmesh.testing.cluster import Cluster
from tests.features.closed import closed_suite
from tests.features.test_closed import WORKFLOW

pytestmark = [pytest.mark.long]


@pytest.mark.feature("S3-129", "S4-62")
async def test_services_of_a_cluster_call_each_other_on_behalf_of_the_caller(
    tmp_path: Path,
) -> None:
    """The gateway authenticates, the owner of the data decides."""
    async with closed_suite(tmp_path, kind=Cluster) as closed:
        project = await closed.project("shop")
        editor = await closed.key(project.id, "editor")
        headers = {"flowmesh_namespace": "shop"}
        status, body = await editor.rest("POST", "/api/v1/workflows", WORKFLOW, **headers)
        assert status in (200, 201), body
        status, body = await editor.rest("POST", "/api/v1/workflows/greet/start", {}, **headers)
        assert status in (200, 201, 202), body
        stranger = await closed.key((await closed.project("other")).id, "admin")
        execution = body["executionId"]
        status, _ = await stranger.rest(
            "GET", f"/api/v1/executions/{execution}", flowmesh_namespace="other"
        )
        assert status == 404
        status, body = await editor.rest("GET", f"/api/v1/executions/{execution}", **headers)
        assert status == 200, body
