"""A closed installation of several processes."""

import asyncio
import time
from pathlib import Path

import pytest

from flowmesh.api.identity.v1.key_service_pb2 import DeleteApiKeyRequest, ListApiKeysRequest
from flowmesh.errors import Forbidden, Unauthenticated
from flowmesh.sdk import Client, TaskContext, Worker, Workflow
from flowmesh.testing.cluster import Cluster
from tests.features.closed import closed_suite
from tests.features.security.test_closed import WORKFLOW

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


@pytest.mark.feature("S4-63", "S3-129")
async def test_a_worker_of_a_cluster_is_held_to_its_key(tmp_path: Path) -> None:
    """Through the gateway: it serves its task types only, and ends when the key is deleted."""

    async def double(input: int, context: TaskContext) -> int:
        return 2 * input

    async with closed_suite(tmp_path, kind=Cluster) as closed:
        project = await closed.project("shop")
        editor = await closed.key(project.id, "editor")
        key = await closed.key(project.id, "worker", task_types=["double"])
        address = closed.suite.grpc_address
        async with (
            Client(address, "shop", api_key=editor.credential) as client,
            Client(address, "shop", api_key=key.credential) as permitted,
        ):
            with pytest.raises(Forbidden) as refused:
                await Worker(permitted, {"other": double}).start()
            assert refused.value.reason == "WORKER_NOT_PERMITTED"
            serving = asyncio.create_task(Worker(permitted, {"double": double}).run_async())
            flow = Workflow("double")
            flow.task("only", "double", input=flow.input)
            await client.register(flow)
            assert await client.run("double", 21) == 42
            keys = await closed.owner.keys.ListApiKeys(ListApiKeysRequest(project_id=project.id))
            (key_id,) = (each.id for each in keys.keys if each.role == "worker")
            since = time.monotonic()
            await closed.owner.keys.DeleteApiKey(DeleteApiKeyRequest(key_id=key_id))
            with pytest.raises(Unauthenticated) as ended:
                await asyncio.wait_for(serving, 30)
            assert ended.value.reason == "CREDENTIALS_REVOKED"
            assert time.monotonic() - since < 1.5
