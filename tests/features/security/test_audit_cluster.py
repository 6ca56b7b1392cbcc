"""The audit log of a closed installation of several processes."""

from pathlib import Path

import grpc.aio
import pytest

from flowmesh.errors import Forbidden
from flowmesh.sdk import Client, TaskContext, Worker
from flowmesh.testing.cluster import Cluster
from tests.features.closed import closed_suite
from tests.features.natives import workflow
from tests.features.security.audited import Audited, call
from tests.features.security.test_audit import text

pytestmark = [pytest.mark.long]


async def _other(input: int, context: TaskContext) -> int:
    return input


@pytest.mark.feature("S1-116")
async def test_entries_name_the_caller_behind_the_gateway(tmp_path: Path) -> None:
    """By REST and gRPC with its address; a refusal is noted by the process that refuses."""
    async with closed_suite(tmp_path, kind=Cluster) as closed:
        audited = Audited(closed)
        project = await closed.project("shop")
        editor = await closed.key(project.id, "editor")
        source = workflow("rest", {"id": "a", "taskRef": "noop"})
        status, body = await editor.rest(
            "POST", "/api/v1/workflows", source, flowmesh_namespace="shop"
        )
        assert status in (200, 201), body
        [applied] = await audited.found(target="Workflow/rest")
        [made] = await audited.found(target=project.id, method="TenantService.CreateProject")
        for entry, actor in ((applied, "editor key"), (made, "owner@example.com")):
            assert (entry.actor, entry.address) == (actor, "127.0.0.1")

        viewer = await closed.key(project.id, "viewer")
        delete = {"workflow_id": "rest", "namespace": "shop"}
        with pytest.raises(grpc.aio.AioRpcError):
            await call(viewer, "DefinitionService.DeleteWorkflow", **delete)
        [refused] = await audited.found(by_actor="viewer key")
        assert (refused.method, refused.scope) == ("DefinitionService.DeleteWorkflow", "shop")
        assert (refused.outcome, refused.address) == ("ROLE_REQUIRED", "127.0.0.1")

        key = await closed.key(project.id, "worker", task_types=["double"])
        async with Client(closed.suite.grpc_address, "shop", api_key=key.credential) as client:
            with pytest.raises(Forbidden):
                await Worker(client, {"other": _other}).start()
        [refused, *_] = await audited.found(by_actor="worker key")
        assert (refused.outcome, refused.address) == ("WORKER_NOT_PERMITTED", "127.0.0.1")
        counted = await text(closed.owner, "/metrics")
        assert 'refusals_total{method="DefinitionService.DeleteWorkflow"' in counted
        assert "WORKER_NOT_PERMITTED" not in counted
        assert (await audited.verified()).intact
