"""Children in projects of other cells: started once, awaited, stopped, refused."""

import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest

from flowmesh.cells import cell_of
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response
from tests.features.cells.three import EU, WITHIN_S, Cells, three_cells
from tests.features.natives import applied, resource, workflow

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

POINTS_FILE = "points"
LARGE = "x" * 300_000
"""A value that is stored beside the history."""


@pytest.fixture(scope="module")
async def cells(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cells]:
    """Three suites; failpoints of the control cell are armed by a file."""
    folder = tmp_path_factory.mktemp("cells")
    points = f"@{folder / POINTS_FILE}"
    async with three_cells(folder, FLOWMESH_FAILPOINTS=points) as running:
        yield running


def of(project: str) -> dict[str, str]:
    return {"flowmesh-namespace": project}


def calls(project: str, child: str = "child", **more: Json) -> Json:
    """Return a task that starts a child in another project."""
    call = {"workflow": child, "project": project, "input": "{{input}}"}
    return {"id": "below", "subworkflow": call | more}


async def pair(cells: Cells, name: str, parent: Json, child: Json, home: int = EU) -> None:
    """Register a parent in a project of the control cell, and a child in one of another cell."""
    await cells.pin(f"shop-{name}", 0)
    await cells.pin(f"bank-{name}", home)
    below = workflow("child", child, output="{{input}}")
    await applied(cells.suites[home], below, **of(f"bank-{name}"))
    await applied(
        cells.suites[0],
        workflow("parent", parent),
        **of(f"shop-{name}"),
    )


async def start(cells: Cells, project: str, value: Json, request_id: str = "once") -> str:
    """Start the parent at the control cell."""
    body = {"workflowId": "parent", "context": value, "requestId": request_id}
    answer = await cells.suites[0].post("/executions/start", body, headers=of(project))
    assert answer.status in (200, 202), answer.text
    return str(answer.json["executionId"])


async def shown(cells: Cells, project: str, execution_id: str, number: int = 0) -> Json:
    path = f"/executions/{execution_id}"
    answer: Response = await cells.suites[number].get(path, headers=of(project))
    assert answer.status in (200, 202), answer.text
    return answer.json


async def ended(cells: Cells, project: str, execution_id: str) -> Json:
    """Wait for the end of a parent, and return it."""

    async def is_over() -> bool:
        return (await shown(cells, project, execution_id))["status"] in ("completed", "failed")

    await until(f"{execution_id} has ended", is_over, within_s=WITHIN_S)
    return await shown(cells, project, execution_id)


def result(parent: Json) -> Json:
    """Return the result of the step that has the child."""
    return parent["stepResults"]["below"]["result"]


async def children(cells: Cells, project: str, number: int = EU) -> list[Json]:
    """Return the executions of a project in a cell."""
    answer = await cells.suites[number].get("/api/v1/executions", headers=of(project))
    return list(answer.json["executions"])


async def child_of(cells: Cells, project: str, execution_id: str) -> str:
    """Return the id of the child of a parent, once it is known."""

    async def known() -> str:
        node = (await shown(cells, project, execution_id))["stepResults"].get("below", {})
        return str(node.get("childExecutionId", ""))

    await until("the child is known", known, within_s=WITHIN_S)
    return await known()


NOTHING: Json = {"id": "nothing", "taskRef": "noop"}
GO: Json = {"id": "go", "wait": {"event": "go"}}


async def test_a_child_of_another_cell_has_its_result_used(cells: Cells) -> None:
    """Small and stored values travel there and back."""
    await pair(cells, "use", calls("bank-use"), NOTHING)
    for number, value in enumerate(({"n": 1}, {"text": LARGE})):
        parent = await start(cells, "shop-use", value, f"r{number}")
        found = await ended(cells, "shop-use", parent)
        assert (found["status"], result(found)) == ("completed", value)
        child = found["stepResults"]["below"]["childExecutionId"]
        assert (cell_of(parent), cell_of(child)) == (0, EU)
    assert len(await children(cells, "bank-use")) == 2


async def test_a_child_of_another_project_of_the_own_cell(cells: Cells) -> None:
    """The same step, whichever cell has the project."""
    await pair(cells, "near", calls("bank-near"), NOTHING, home=0)
    found = await ended(cells, "shop-near", await start(cells, "shop-near", {"n": 1}))
    assert (found["status"], result(found)) == ("completed", {"n": 1})


@pytest.mark.parametrize(
    "point", ["orchestrator.started_elsewhere", "orchestrator.delivered", "orchestrator.delivering"]
)
async def test_a_child_is_started_once_if_its_sender_dies(cells: Cells, point: str) -> None:
    """Between the answer of the other cell and its commit, and around it."""
    name = point.rpartition(".")[2].replace("_", "-")
    await pair(cells, name, calls(f"bank-{name}"), NOTHING)
    control = cells.suites[0]
    (cells.folder / POINTS_FILE).write_text(f"{point}=kill9")
    assert control._process is not None
    control._process.send_signal(signal.SIGUSR2)

    async def is_armed() -> bool:
        return not (cells.folder / POINTS_FILE).exists()

    await until("the failpoint is armed", is_armed, within_s=WITHIN_S)
    with suppress(aiohttp.ClientError):
        # It may be dead before it has answered.
        await start(cells, f"shop-{name}", {"n": 1})
    await control._process.wait()
    await control.kill()
    await control.start()
    parent = await start(cells, f"shop-{name}", {"n": 1})
    found = await ended(cells, f"shop-{name}", parent)
    assert (found["status"], result(found)) == ("completed", {"n": 1})
    assert len(await children(cells, f"bank-{name}")) == 1


async def test_a_step_waits_for_a_cell_that_is_away(cells: Cells) -> None:
    """Steps for other cells continue meanwhile."""
    await pair(cells, "away", calls("bank-away"), NOTHING)
    await pair(cells, "back", calls("bank-back"), NOTHING, home=1)
    await cells.suites[EU].kill_everything()
    try:
        waiting = await start(cells, "shop-away", {"n": 1})
        for number in range(5):
            other = await start(cells, "shop-back", {"n": number}, f"r{number}")
            assert (await ended(cells, "shop-back", other))["status"] == "completed"
        assert (await shown(cells, "shop-away", waiting))["status"] == "running"
    finally:
        await cells.suites[EU].start()
    found = await ended(cells, "shop-away", waiting)
    assert (found["status"], result(found)) == ("completed", {"n": 1})
    assert len(await children(cells, "bank-away")) == 1


async def test_a_timeout_ends_a_step_whose_cell_is_away(cells: Cells) -> None:
    """A child that starts later is canceled at once."""
    await pair(cells, "late", calls("bank-late") | {"timeout": "2s"}, GO)
    await cells.suites[EU].kill_everything()
    try:
        found = await ended(cells, "shop-late", await start(cells, "shop-late", {}))
        assert found["stepResults"]["below"]["error"]["class"] == "Timeout"
    finally:
        await cells.suites[EU].start()

    async def none_runs() -> bool:
        statuses = {each["status"] for each in await children(cells, "bank-late")}
        return statuses == {"canceled"}

    await until("the late child is canceled", none_runs, within_s=WITHIN_S)


async def test_a_canceled_parent_cancels_its_child(cells: Cells) -> None:
    """In the other cell, by the id of the child."""
    await pair(cells, "stop", calls("bank-stop"), GO)
    parent = await start(cells, "shop-stop", {})
    child = await child_of(cells, "shop-stop", parent)
    answer = await cells.suites[0].post(
        f"/api/v1/executions/{parent}:cancel", {}, headers=of("shop-stop")
    )
    assert answer.status in (200, 202), answer.text

    async def is_canceled() -> bool:
        return bool((await shown(cells, "bank-stop", child, EU))["status"] == "canceled")

    await until("the child is canceled", is_canceled, within_s=WITHIN_S)


async def test_a_child_of_a_project_that_moves_is_awaited_where_it_runs(cells: Cells) -> None:
    """Its id says its cell; the next start is served by the new home."""
    await pair(cells, "move", calls("bank-move"), GO)
    parent = await start(cells, "shop-move", {"n": 1})
    child = await child_of(cells, "shop-move", parent)
    await cells.pin("bank-move", 1)
    await applied(
        cells.suites[1], workflow("child", NOTHING, output="{{input}}"), **of("bank-move")
    )
    second = await start(cells, "shop-move", {"n": 2}, "second")
    assert result(await ended(cells, "shop-move", second)) == {"n": 2}
    assert cell_of(await child_of(cells, "shop-move", second)) == 1
    answer = await cells.suites[EU].post(
        f"/api/v1/executions/{child}:signal", {"name": "go"}, headers=of("bank-move")
    )
    assert answer.status in (200, 202), answer.text
    assert result(await ended(cells, "shop-move", parent)) == {"n": 1}


async def test_a_missing_workflow_of_another_project_fails_the_step(cells: Cells) -> None:
    """The failure names the workflow and the project."""
    await pair(cells, "none", calls("bank-none", "nothing"), NOTHING)
    found = await ended(cells, "shop-none", await start(cells, "shop-none", {}))
    error = found["stepResults"]["below"]["error"]
    assert error["class"] == "ChildFailed"
    assert "nothing of project bank-none cannot be started" in error["message"]


async def test_strict_projects(cells: Cells) -> None:
    """One may be called from another region, and calls none there."""
    await pair(cells, "strict", calls("bank-strict"), NOTHING)
    await cells.pin("bank-strict", EU, strict=True)
    found = await ended(cells, "shop-strict", await start(cells, "shop-strict", {"n": 1}))
    assert (found["status"], result(found)) == ("completed", {"n": 1})
    await cells.pin("shop-strict", 0, strict=True)
    found = await ended(cells, "shop-strict", await start(cells, "shop-strict", {"n": 1}, "again"))
    error = found["stepResults"]["below"]["error"]
    assert error["class"] == "AuthenticationError"
    assert "the data of project shop-strict stays in region us" in error["message"]
    assert len(await children(cells, "bank-strict")) == 1


async def test_a_message_to_a_queue_of_another_cell(cells: Cells) -> None:
    """It is stored once there, however often its task is tried."""
    await cells.pin("shop-queue", 0)
    await cells.pin("bank-queue", EU)
    message = {"key": "orders", "body": "{{input}}", "project": "bank-queue"}
    task = resource("WorkflowTask", "tell", type="message.publish", message=message)
    below = {"id": "below", "taskRef": "tell", "input": "{{input}}"}
    await applied(cells.suites[0], task, workflow("parent", below), **of("shop-queue"))
    async with Client(cells.suites[EU].grpc_address, namespace="bank-queue") as client:
        await client.broker.declare_queue("orders")
        found = await ended(cells, "shop-queue", await start(cells, "shop-queue", {"n": 1}))
        assert (found["status"], result(found)["queues"]) == ("completed", 1)
        assert (await client.broker.queue("orders")).ready == 1
