"""Kill -9 between the commit of a parent and the start of its child, and all the way back.

Also where the child is an execution that was there, which others wait for as well.
"""

from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from flowmesh.errors import Unavailable
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

POINTS_FILE = "failpoints"
PATIENCE_S = 60.0

pytestmark = pytest.mark.long


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
        pytest.param("orchestrator.delivering", id="telling"),
        pytest.param("orchestrator.delivered", id="told", marks=pytest.mark.slow),
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


@pytest.mark.parametrize(
    "nth", [1, 3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4, 5))]
)
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("orchestrator.delivering", id="telling"),
        pytest.param("orchestrator.delivered", id="told", marks=pytest.mark.slow),
    ],
)
async def test_a_parent_that_joined_an_execution_gets_its_end(
    tmp_path: Path, point: str, nth: int
) -> None:
    """Two parents, and one execution that neither has started: two starts, two questions, again."""
    environment = {"FLOWMESH_FAILPOINTS": f"@{tmp_path / POINTS_FILE}"}
    (tmp_path / POINTS_FILE).write_text(f"{point}=kill9@{nth}")
    suite = Suite(tmp_path / "data", environment=environment)
    await suite.start()
    wait = {"id": "go", "wait": {"event": "go"}}
    single = {"start": {"concurrency": 1, "onConflict": "JOIN"}, "output": "{{input}}"}
    call = {"workflow": "single", "input": "{{input}}"}
    await applied(
        suite,
        workflow("single", wait, **single),
        workflow("parent", {"id": "below", "subworkflow": call}),
    )
    joined = await suite.begin("single", {"n": 1})
    with suppress(aiohttp.ClientError, Unavailable):
        await both_end(suite, joined)
    assert suite._process is not None
    await suite._process.wait()
    await suite.kill()
    await suite.start()
    try:
        for parent in await both_end(suite, joined):
            shown = await suite.wait(parent)
            assert shown["stepResults"]["below"]["result"] == {"n": 1}
        listed = (await suite.get("/api/v1/executions")).json["executions"]
        assert sorted(one["workflow"] for one in listed) == ["parent", "parent", "single"]
    finally:
        await suite.stop()


async def both_end(suite: Suite, joined: str) -> list[str]:
    """Starts two parents, lets what they wait for end when both do, and waits for their ends."""
    parents = []
    for number in range(2):
        start = {"workflowId": "parent", "context": {"n": 2}, "requestId": f"p{number}"}
        parents.append(str((await suite.post("/executions/start", start)).json["executionId"]))

    async def asked() -> bool:
        events = (await suite.get(f"/api/v1/executions/{joined}/history")).json["events"]
        joins = [each["data"]["by"] for each in events if each["type"] == "ExecutionJoined"]
        return sorted(joins) == sorted(parents)

    await until("both wait for it", asked, within_s=PATIENCE_S)
    # It may have ended by now, before the process died.
    await suite.post(f"/api/v1/executions/{joined}:signal", {"name": "go", "requestId": "go"})
    for parent in parents:
        await suite.wait(parent)
    return parents
