"""A step calls a project of another closed cell with the API key that this one has given out."""

from pathlib import Path

import pytest

from flowmesh.api.identity.v1.key_service_pb2 import CreateApiKeyRequest
from flowmesh.api.identity.v1.tenant_service_pb2 import CreateProjectRequest
from flowmesh.cells import cell_of
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.cells.three import WITHIN_S, settings_of
from tests.features.closed import Closed, closed_suite
from tests.features.commands import command
from tests.features.natives import workflow

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

CALL = {"workflow": "child", "project": "bank", "input": {"n": 1}, "credential": "secret://bank"}


async def with_project(closed: Closed, slug: str, *resources: Json) -> str:
    """Make a project with workflows, and return its id."""
    request = CreateProjectRequest(organization_id="org_default", slug=slug, namespace=slug)
    made = await closed.owner.tenants.CreateProject(request)
    for each in resources:
        status, answer = await closed.owner.rest(
            "POST", "/api/v1/workflows", each, flowmesh_namespace=slug
        )
        assert status == 201, answer
    return str(made.project.id)


async def ended(closed: Closed) -> Json:
    """Run the parent, and return it after its end."""
    rest, path = closed.owner.rest, "/api/v1/workflows/parent/execute"
    _, answer = await rest("POST", path, {}, flowmesh_namespace="shop")
    path = f"/executions/{answer['executionId']}"
    found: Json = {}

    async def is_over() -> bool:
        nonlocal found
        _, found = await rest("GET", path, flowmesh_namespace="shop")
        return found["status"] in ("completed", "failed")

    await until("the parent has ended", is_over, within_s=WITHIN_S)
    return found


async def test_a_step_needs_a_key_of_the_other_project(tmp_path: Path) -> None:
    """Without the secret, and with a key that may not start, the step fails and says so."""
    folders = [tmp_path / name for name in ("us0", "us1")]
    for folder in folders:
        folder.mkdir()
    async with (
        closed_suite(folders[0], kind=Suite, **settings_of(0, "")) as source,
        closed_suite(
            folders[1], kind=Suite, **settings_of(1, str(source.suite.about["directory"]))
        ) as target,
    ):
        pin = ("cells", "pin", "bank", "--cell", "us1")
        directory = ("--directory", str(source.suite.about["directory"]))
        pinned = await command(source.suite, *pin, *directory, addressed=False)
        assert pinned.code == 0, pinned.err
        project_id = await with_project(
            target, "bank", workflow("child", {"id": "a", "taskRef": "noop"}, output="{{input}}")
        )
        shop_id = await with_project(
            source, "shop", workflow("parent", {"id": "below", "subworkflow": CALL})
        )
        error = (await ended(source))["stepResults"]["below"]["error"]
        assert error["class"] == "AuthenticationError"
        assert "the secret 'bank' with the API key is not stored" in error["message"]

        for role, word in (("viewer", "cannot be started"), ("editor", "")):
            made = await target.owner.keys.CreateApiKey(
                CreateApiKeyRequest(project_id=project_id, name=role, role=role)
            )
            path = f"/api/v1/projects/{shop_id}/secrets/bank"
            status, answer = await source.owner.rest("PUT", path, {"value": made.secret})
            assert status in (200, 201), answer
            found = await ended(source)
            below = found["stepResults"]["below"]
            if word:
                assert below["error"]["class"] == "AuthenticationError"
                assert word in below["error"]["message"]
            else:
                assert (found["status"], below["result"]) == ("completed", {"n": 1})
                assert cell_of(below["childExecutionId"]) == 1
