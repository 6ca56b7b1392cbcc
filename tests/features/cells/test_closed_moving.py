"""A move between closed cells: the user has a login at each of them."""

from pathlib import Path

import pytest

from flowmesh.api.identity.v1.key_service_pb2 import CreateApiKeyRequest
from flowmesh.api.identity.v1.tenant_service_pb2 import CreateProjectRequest
from flowmesh.cells import cell_of
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.cells.test_moving import workflow
from tests.features.cells.three import WITHIN_S, settings_of
from tests.features.closed import OWNER, PASSWORD, Closed, closed_suite
from tests.features.commands import command

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


async def with_project(closed: Closed) -> str:
    """Make the project in a cell, and return its id."""
    request = CreateProjectRequest(organization_id="org_default", slug="shop", namespace="shop")
    return str((await closed.owner.tenants.CreateProject(request)).project.id)


async def test_a_project_moves_between_closed_cells(tmp_path: Path) -> None:
    """Without a login nothing is recorded, and the keys of the source are named."""
    folders = [tmp_path / name for name in ("us0", "us1")]
    for folder in folders:
        folder.mkdir()
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    async with (
        closed_suite(folders[0], kind=Suite, **settings_of(0, "")) as source,
        closed_suite(
            folders[1], kind=Suite, **settings_of(1, str(source.suite.about["directory"]))
        ) as target,
    ):
        project_id = await with_project(source)
        await with_project(target)
        await source.owner.keys.CreateApiKey(
            CreateApiKeyRequest(project_id=project_id, name="app", role="editor")
        )
        status, answer = await source.owner.rest(
            "POST", "/workflows", workflow(1), flowmesh_namespace="shop"
        )
        assert status == 201, answer
        directory = ("--directory", str(source.suite.about["directory"]))
        words = ("cells", "move", "shop", "--to", "us1", *directory)
        refused = await command(source.suite, *words, addressed=False, environment=environment)
        assert (refused.code, "requires a credential" in refused.err) == (1, True), refused.err
        for closed in (source, target):
            login = await command(
                closed.suite,
                *("login", "--email", OWNER),
                stdin=f"{PASSWORD}\n",
                environment=environment,
            )
            assert login.code == 0, login.err
        moved = await command(source.suite, *words, addressed=False, environment=environment)
        assert moved.code == 0, moved.err
        assert "1 API keys" in moved.out

        async def started() -> bool:
            """Return whether a start is served by the target."""
            status, answer = await target.owner.rest(
                "POST", "/api/v1/workflows/wait/execute", {}, flowmesh_namespace="shop"
            )
            return status in (200, 201, 202) and cell_of(answer["executionId"]) == 1

        await until("the target serves the project", started, within_s=WITHIN_S)
