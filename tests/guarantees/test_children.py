"""Kill -9 between the commit of a parent and the start of its child, and all the way back."""

from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

POINTS_FILE = "failpoints"


def definitions(suffix: str) -> list[object]:
    """A parent, its child, and a chain of two runs."""
    call = {"workflow": f"child{suffix}", "input": "{{input}}"}
    again = {
        "id": "again",
        "condition": "input.left > 0",
        "continueAsNew": {"input": {"left": "{{sub(input.left, 1)}}"}},
    }
    return [
        workflow(f"child{suffix}", again, output="{{input}}"),
        workflow(f"parent{suffix}", {"id": "below", "subworkflow": call}),
    ]


@pytest.mark.parametrize("nth", [1, *(pytest.param(nth, marks=pytest.mark.slow) for nth in (2, 3))])
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("orchestrator.telling", id="telling"),
        pytest.param("orchestrator.told", id="told", marks=pytest.mark.slow),
    ],
)
async def test_a_message_survives_the_death_of_its_sender(
    tmp_path: Path, point: str, nth: int
) -> None:
    """A child is started once, its next run too, and the parent hears of the end."""
    data_dir = tmp_path / "data"
    environment = {"FLOWMESH_FAILPOINTS": f"@{tmp_path / POINTS_FILE}"}
    (tmp_path / POINTS_FILE).write_text(f"{point}=kill9@{nth}")
    suite = Suite(data_dir, environment=environment)
    await suite.start()
    await applied(suite, *definitions(""))
    start = {"workflowId": "parent", "context": {"left": 1}, "requestId": "once"}
    with suppress(aiohttp.ClientError):
        # It may be dead before it has answered.
        await suite.post("/executions/start", start)
    assert suite._process is not None
    await suite._process.wait()
    await suite.kill()
    await suite.start()
    try:
        execution_id = (await suite.post("/executions/start", start)).json["executionId"]
        shown = await suite.wait(execution_id)
        assert shown["stepResults"]["below"]["result"] == {"left": 0}
        listed = (await suite.get("/api/v1/executions")).json["executions"]
        assert sorted(one["workflow"] for one in listed) == ["child", "child", "parent"]
    finally:
        await suite.stop()
