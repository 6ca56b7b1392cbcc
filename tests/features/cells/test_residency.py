"""Data is routed by region: a project lives in one cell, and every gateway is a front of it."""

import time
import uuid
from typing import Any

import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.cells import CLOSED, Cell, Home, Pin, cell_of
from flowmesh.errors import Misdirected, Unavailable
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from tests.features.cells.three import EU, HELLO, WITHIN_S, Cells

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

ANSWERS_S = 0.1


def of(project: str) -> dict[str, str]:
    return {"flowmesh-namespace": project}


async def define(cells: Cells, number: int, project: str) -> None:
    """Register the workflow through a gateway."""
    answer = await cells.suites[number].post("/workflows", HELLO, headers=of(project))
    assert answer.status in (200, 201), answer.text


async def execute(cells: Cells, number: int, project: str, value: str = "x") -> Any:
    """Run the workflow through a gateway."""
    body = {"input": {"value": value}}
    path = "/api/v1/workflows/hello/execute"
    return await cells.suites[number].post(path, body, headers=of(project))


@pytest.mark.feature("S1-189")
async def test_data_stays_in_its_region(cells: Cells) -> None:
    """A request at a us cell is forwarded to eu; with strict residency it is answered with the
    address there, the client follows, and no file of the us cells holds a payload.
    """
    await cells.pin("open", EU)
    await define(cells, 1, "open")
    answer = await execute(cells, 1, "open")
    assert answer.status == 200, answer.text
    assert cell_of(answer.json["executionId"]) == EU

    await cells.pin("strict", EU, strict=True)
    await define(cells, EU, "strict")
    canary = f"canary-{uuid.uuid4().hex}"
    refused = await execute(cells, 1, "strict", canary)
    eu = cells.suites[EU]
    assert refused.status == 421
    assert refused.json["error"]["reason"] == "CELL_MISDIRECTED"
    assert refused.headers["flowmesh-cell-address"] == eu.grpc_address
    assert refused.headers["Location"] == f"{eu.http_url}/api/v1/workflows/hello/execute"

    async with Client(cells.suites[1].grpc_address, namespace="strict") as client:
        handle = await client.start("hello", {"value": canary}, wait=20)
        assert cell_of(handle.id) == EU
        # It goes direct from then on.
        assert client.caller.address == eu.grpc_address
        async with client.session() as session:
            await session.run("hello", {"value": canary})

    async def stored() -> bool:
        return bool(cells.holds(EU, canary))

    await until("eu has stored the payload", stored, within_s=WITHIN_S)
    assert [cells.holds(number, canary) for number in (0, 1)] == [[], []]


async def test_streams_are_forwarded(cells: Cells) -> None:
    """Server-Sent Events, WebSockets, sessions and workers' calls reach the other cell."""
    await cells.pin("streams", EU)
    await define(cells, 0, "streams")
    async with Client(cells.suites[1].grpc_address, namespace="streams") as client:
        async with client.session() as session:
            call = await session.start("hello", {"value": "x"})
            await call.result()
        execution_id = await call.started()
        assert cell_of(str(execution_id)) == EU
        assert client.caller.address == cells.suites[1].grpc_address
    path = f"/api/v1/executions/{execution_id}/events"
    events = await cells.suites[1].get(path, headers=of("streams"))
    assert events.status == 200, events.text
    assert "event: WorkflowCompleted" in events.text
    async with cells.suites[1].websocket(f"{path}/ws?namespace=streams") as socket:
        message = await socket.receive_json()
    assert message


async def test_a_forwarded_call_is_not_forwarded_again(cells: Cells) -> None:
    """A front with an old directory gets the right address, also for an id of another cell."""
    await cells.pin("once", EU)
    await define(cells, EU, "once")
    made = (await execute(cells, EU, "once")).json["executionId"]
    hop = {**of("once"), "flowmesh-cell": "1"}
    for path in ("/api/v1/workflows", f"/api/v1/executions/{made}"):
        answer = await cells.suites[1].get(path, headers=hop)
        assert (answer.status, answer.headers["flowmesh-cell"]) == (421, "1")
    request = pb.GetExecutionRequest(namespace="once", execution_id=made)
    stub = pb_grpc.ExecutionServiceStub(cells.suites[1].channel)
    with pytest.raises(Misdirected) as caught:
        await stub.GetExecution(request, metadata=(("flowmesh-cell", "1"),))
    assert caught.value.address == cells.suites[EU].grpc_address
    # The cell in the id of an execution has priority over the home of the project.
    await cells.pin("once", 0)
    found = await cells.suites[1].get(f"/api/v1/executions/{made}", headers=of("once"))
    assert (found.status, found.json["executionId"]) == (200, made)


async def test_a_project_without_a_home_is_of_the_control_cell(cells: Cells) -> None:
    """So no two cells have a project of one name; `default` is of each cell itself."""
    await define(cells, EU, "nowhere")
    made = (await execute(cells, 1, "nowhere")).json["executionId"]
    assert cell_of(made) == 0
    for number in range(3):
        await define(cells, number, "default")
        own = (await execute(cells, number, "default")).json["executionId"]
        assert cell_of(own) == number


async def test_bad_entries_of_the_directory(cells: Cells) -> None:
    """A project in no cell, one in a closed cell, and an address at which another cell answers."""
    first = cells.suites[0]
    good = Cell(number=5, name="far5", region="us", http=first.http_url, grpc=first.grpc_address)
    await cells.put(Pin("lost", Home(9)))
    await cells.put(Pin("far", Home(5)))
    await cells.put(good)

    async def said(number: int, project: str) -> str:
        answer = await cells.suites[number].get("/api/v1/workflows", headers=of(project))
        return str(answer.json.get("error", {}).get("message", ""))

    async def all_said() -> bool:
        return "no cell 9" in await said(1, "lost") and "far5" in await said(1, "far")

    await until("the front has read the entries", all_said, within_s=WITHIN_S)
    # The control cell answers for cell 5: it says that it is another.
    assert "far5" in await said(1, "far")
    request = pb.ListExecutionsRequest(namespace="far")
    stub = pb_grpc.ExecutionServiceStub(cells.suites[1].channel)
    with pytest.raises((Misdirected, Unavailable)):
        await stub.ListExecutions(request)
    await cells.put(
        Cell(
            number=5,
            name="far5",
            region="us",
            http=first.http_url,
            grpc=first.grpc_address,
            state=CLOSED,
        )
    )

    async def closed() -> bool:
        return "is closed" in await said(1, "far")

    await until("the front has read that the cell is closed", closed, within_s=WITHIN_S)


async def test_a_cell_that_is_away(cells: Cells) -> None:
    """Its callers know at once, the others go on, and it serves again when it is back."""
    await cells.pin("away", EU)
    await define(cells, 1, "away")
    eu = cells.suites[EU]
    await eu.kill_everything()
    took = []
    for _ in range(5):
        began = time.monotonic()
        answer = await cells.suites[1].get("/api/v1/workflows", headers=of("away"))
        took.append(time.monotonic() - began)
        assert answer.json["error"]["reason"] == "CELL_UNAVAILABLE"
    assert min(took) < ANSWERS_S
    stub = pb_grpc.ExecutionServiceStub(cells.suites[1].channel)
    with pytest.raises(Unavailable) as caught:
        await stub.ListExecutions(pb.ListExecutionsRequest(namespace="away"))
    assert caught.value.reason == "CELL_UNAVAILABLE"
    own = await cells.suites[0].get("/api/v1/workflows", headers=of("nowhere"))
    assert own.status == 200
    await eu.start()

    async def back() -> bool:
        answer = await cells.suites[1].get("/api/v1/workflows", headers=of("away"))
        return answer.status == 200

    await until("the cell serves again", back, within_s=WITHIN_S)
