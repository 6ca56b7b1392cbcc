"""A move between closed cells: the user has a login at each of them."""

from pathlib import Path

import pytest

from flowmesh.api.identity.v1.key_service_pb2 import CreateApiKeyRequest
from flowmesh.cells import cell_of
from flowmesh.testing.polling import until
from tests.features.cells.closed import closed_cells
from tests.features.cells.test_moving import workflow
from tests.features.cells.three import WITHIN_S

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


async def test_a_project_moves_between_closed_cells(tmp_path: Path) -> None:
    """Without a login nothing is recorded, and the keys of the source are named."""
    async with closed_cells(tmp_path) as cells:
        project_id = await cells.project("shop")
        await cells.source.owner.keys.CreateApiKey(
            CreateApiKeyRequest(project_id=project_id, name="app", role="editor")
        )
        status, answer = await cells.source.owner.rest(
            "POST", "/workflows", workflow(1), flowmesh_namespace="shop"
        )
        assert status == 201, answer
        refused = await cells.move("shop")
        assert (refused.code, "requires a credential" in refused.err) == (1, True), refused.err
        await cells.log_in()
        moved = await cells.move("shop")
        assert moved.code == 0, moved.err
        assert "1 API keys" in moved.out

        async def started() -> bool:
            """Return whether a start is served by the target."""
            status, answer = await cells.target.owner.rest(
                "POST", "/api/v1/workflows/wait/execute", {}, flowmesh_namespace="shop"
            )
            return status in (200, 201, 202) and cell_of(answer["executionId"]) == 1

        await until("the target serves the project", started, within_s=WITHIN_S)
