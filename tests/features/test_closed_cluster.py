"""A closed installation of several processes."""

import time
from pathlib import Path

import pytest

from flowmesh.access.bootstrap import bootstrap_token
from flowmesh.access.keys import create_key_file, read_key_file
from flowmesh.api.identity.v1 import auth_service_pb2
from flowmesh.testing.cluster import Cluster
from tests.features.closed import PASSWORD, Caller, Closed
from tests.features.test_closed import WORKFLOW

pytestmark = [pytest.mark.long]


@pytest.mark.feature("S3-129", "S4-62")
async def test_services_of_a_cluster_call_each_other_on_behalf_of_the_caller(
    tmp_path: Path,
) -> None:
    """The gateway authenticates, the owner of the data decides."""
    create_key_file(tmp_path / "key")
    environment = {"FLOWMESH_AUTH": "closed", "FLOWMESH_KEY_FILE": str(tmp_path / "key")}
    async with Cluster(tmp_path / "data", environment=environment) as suite:
        keys = read_key_file(tmp_path / "key")
        request = auth_service_pb2.BootstrapRequest(
            token=bootstrap_token(keys.bootstrap, time.time_ns() // 1_000),
            email="owner@example.com",
            password=PASSWORD,
        )
        opened = await Caller(suite, "").auth.Bootstrap(request)
        closed = Closed(suite, Caller(suite, opened.tokens.access_token), opened)
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
