"""`flowmesh cells move`: a project gets another cell while it works, and its command is killed."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from flowmesh.api.event.v1.trigger_service_pb2 import ListTriggersRequest
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.api.identity.v1.file_service_pb2 import PutFileRequest
from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceStub
from flowmesh.api.identity.v1.tenant_service_pb2 import (
    CreateCompanyRequest,
    CreateOrganizationRequest,
    CreateProjectRequest,
)
from flowmesh.api.identity.v1.tenant_service_pb2_grpc import TenantServiceStub
from flowmesh.cells import COPYING, ENDING, MOVE_HEADER, SWITCHING, Home, Pin, cell_of
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response
from tests.features.cells.three import EU, WITHIN_S, Cells, command, finished

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

VERSIONS = 12
HELD_MS = 3_600_000
STARTS_PER_S = 20
REFUSED_S_MAX = 30.0
PIECE = 1 << 20
SCHEDULED = """
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: note}
spec: {type: noop}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: report}
spec:
  triggers:
    - {id: often, cron: {expression: "*/12 * * * * *"}}
    - {id: never, cron: {expression: "0 0 1 1 *"}}
    - {id: hook, webhook: {path: report, provider: github, secret: a secret text}}
  tasks:
    - {id: write, taskRef: note}
"""


def of(project: str) -> dict[str, str]:
    return {"flowmesh-namespace": project}


def workflow(version: int, duration_ms: int = 2_000) -> dict[str, Any]:
    """Return a version of the workflow that waits."""
    params = {"duration": duration_ms}
    wait = {"id": f"wait{version}", "name": "Wait", "action": "delay", "params": params}
    return {"id": "wait", "name": "Wait", "steps": [wait]}


async def define(cells: Cells, project: str, document: dict[str, Any]) -> None:
    answer = await cells.suites[1].post("/workflows", document, headers=of(project))
    assert answer.status in (200, 201), answer.text


async def killed_at(cells: Cells, project: str, step: str, *words: str) -> None:
    """Run a command, and kill it in a step of the move."""
    process = await command(cells, *words)

    async def reached() -> bool:
        move = (await cells.store.pin(project))[0].move
        return process.returncode is not None or (move is not None and move.step == step)

    await until(f"the move is {step}", reached, within_s=WITHIN_S)
    if process.returncode is None:
        process.kill()
    _, errors = await process.communicate()
    assert process.returncode == -9, errors


async def execute(
    cells: Cells, project: str, name: str, number: int = 1, **headers: str
) -> Response:
    """Start an execution through a gateway."""
    path = f"/api/v1/workflows/{name}/execute"
    return await cells.suites[number].post(path, {}, headers={**of(project), **headers})


@dataclass
class Starter:
    """Starts executions at two gateways in turn, each once, until it is stopped."""

    cells: Cells
    project: str
    started: list[str] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            number = 0
            while not self.stopped.is_set():
                group.create_task(self._start(number))
                number += 1
                try:
                    async with asyncio.timeout(1 / STARTS_PER_S):
                        await self.stopped.wait()
                except TimeoutError:
                    continue

    async def _start(self, number: int) -> None:
        key = {"idempotency-key": f"start-{number}"}
        began = time.monotonic()
        while True:
            answer = await execute(self.cells, self.project, "wait", number % 2, **key)
            if answer.status != 503:
                break
            assert answer.json["error"]["reason"] == "CELL_UNAVAILABLE", answer.text
            await asyncio.wait([asyncio.ensure_future(self.stopped.wait())], timeout=0.1)
        assert answer.status in (200, 201, 202), answer.text
        if (waited := time.monotonic() - began) > 0.5:
            self.refused_s.append(waited)
        self.started.append(answer.json["executionId"])


async def executions_in(cells: Cells, number: int, project: str) -> list[str]:
    """Return the executions that a cell has of a project that moves."""
    stub = pb_grpc.ExecutionServiceStub(cells.suites[number].channel)
    request, found = pb.ListExecutionsRequest(namespace=project, page_size=1_000), []
    while True:
        page = await stub.ListExecutions(request, metadata=((MOVE_HEADER, str(number)),))
        found += [each.execution_id for each in page.executions]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_a_project_moves_while_it_works(cells: Cells) -> None:
    """Its command is killed in each step; each start makes one execution, and versions stay."""
    await cells.pin("busy", 0)
    for version in range(1, VERSIONS + 1):
        await define(cells, "busy", workflow(version))
    label = await cells.suites[1].put(
        "/api/v1/workflows/wait/labels/stable", {"version": 3}, headers=of("busy")
    )
    assert label.status == 200, label.text
    await define(cells, "busy", {**workflow(1, HELD_MS), "id": "held"})
    held = (await execute(cells, "busy", "held")).json["executionId"]
    starter = Starter(cells, "busy")
    starting = asyncio.create_task(starter.run())
    words = ("move", "busy", "--to", "eu2")
    await killed_at(cells, "busy", COPYING, *words)
    await killed_at(cells, "busy", SWITCHING, *words)
    await killed_at(cells, "busy", ENDING, *words)

    async def served() -> bool:
        return any(cell_of(each) == EU for each in starter.started)

    await until("starts reach the target", served, within_s=WITHIN_S)
    starter.stopped.set()
    await starting
    here = await executions_in(cells, 0, "busy")
    there = await executions_in(cells, EU, "busy")
    assert sorted(here + there) == sorted([held, *starter.started])
    assert len(here) > 1
    assert there
    stopped = await cells.suites[1].post(
        f"/api/v1/executions/{held}:cancel", {}, headers=of("busy")
    )
    assert stopped.status == 202, stopped.text
    code, output, errors = await finished(cells, *words)
    assert (code, "busy lives in cell eu2" in output) == (0, True), errors
    print(
        f"{len(here)} + {len(there)} executions; refused {max(starter.refused_s, default=0):.1f} s"
    )
    assert max(starter.refused_s, default=0.0) < REFUSED_S_MAX
    for execution_id in (next(each for each in here if each != held), there[0]):

        async def completed(execution_id: str = execution_id) -> bool:
            path = f"/api/v1/executions/{execution_id}"
            answer = await cells.suites[1].get(path, headers=of("busy"))
            return bool(answer.json["status"] == "completed")

        await until("the execution completed", completed, within_s=WITHIN_S)
    versions = await cells.suites[1].get("/api/v1/workflows/wait/versions", headers=of("busy"))
    assert versions.json["versions"][0]["version"] == VERSIONS, versions.text
    labels = await cells.suites[1].get("/api/v1/workflows/wait/labels", headers=of("busy"))
    assert "stable" in labels.text


async def test_an_open_session_follows_its_project(cells: Cells) -> None:
    """Each of its starts makes one execution, before, while and after the project is switched."""
    await cells.pin("session", 0)
    await define(cells, "session", workflow(1))
    await define(cells, "session", {**workflow(1, HELD_MS), "id": "held"})
    held = (await execute(cells, "session", "held")).json["executionId"]
    process = await command(cells, "move", "session", "--to", "us1")
    made: list[str] = []
    async with (
        Client(cells.suites[0].grpc_address, namespace="session") as client,
        client.session() as session,
    ):

        async def served() -> bool:
            call = await session.start("wait", want_result=False)
            made.append(call.execution_id)
            return cell_of(call.execution_id) == 1

        await until("the session starts at the target", served, within_s=WITHIN_S)
    here = await executions_in(cells, 0, "session")
    there = await executions_in(cells, 1, "session")
    assert sorted(here + there) == sorted([held, *made])
    assert len(here) > 1
    await cells.suites[0].post(f"/api/v1/executions/{held}:cancel", {}, headers=of("session"))
    _, errors = await process.communicate()
    assert process.returncode == 0, errors


async def states(cells: Cells, number: int, project: str) -> dict[str, bool]:
    """Return whether each trigger of a project is paused in a cell."""
    stub = TriggerServiceStub(cells.suites[number].channel)
    home = (await cells.store.pin(project))[0]
    metadata = ((MOVE_HEADER, str(number)),) if home.move is not None else ()
    found = await stub.ListTriggers(ListTriggersRequest(namespace=project), metadata=metadata)
    return {each.trigger.id: each.paused for each in found.triggers}


async def test_triggers_move_with_their_states(cells: Cells) -> None:
    """They fire at the new home only; a paused one stays paused."""
    await cells.pin("planned", 0)
    async with Client(cells.suites[0].grpc_address, namespace="planned") as client:
        await client.apply(SCHEDULED)
        await client.pause_trigger("report", "never")
        process = await command(cells, "move", "planned", "--to", "us1")
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert "switched to us1" in output.decode()
    assert await states(cells, 1, "planned") == {"often": False, "never": True, "hook": False}

    async def fired() -> bool:
        answer = await cells.suites[0].get("/api/v1/executions", headers=of("planned"))
        return any(cell_of(each["executionId"]) == 1 for each in answer.json["executions"])

    await until("the schedule fires at the new home", fired, within_s=WITHIN_S)
    await cells.pin("planned", 0)
    assert await states(cells, 0, "planned") == {"often": True, "never": True, "hook": True}


async def test_a_move_is_canceled(cells: Cells) -> None:
    """Also one that was killed while it switched: the source serves, and its triggers fire."""
    await cells.pin("stays", 0)
    async with Client(cells.suites[0].grpc_address, namespace="stays") as client:
        await client.apply(SCHEDULED)
    await killed_at(cells, "stays", SWITCHING, "move", "stays", "--to", "us1")
    code, _, errors = await finished(cells, "pin", "stays", "--cell", "us1")
    assert (code, "stays moves to cell us1" in errors) == (1, True)
    code, _, errors = await finished(cells, "move", "stays", "--to", "eu2")
    assert (code, "moves to cell us1 already" in errors) == (1, True)
    code, output, errors = await finished(cells, "move", "stays", "--cancel")
    assert (code, "stays in cell us0" in output) == (0, True), errors
    assert await states(cells, 0, "stays") == {"often": False, "never": False, "hook": False}
    answer = await cells.suites[1].post("/workflows", workflow(1), headers=of("stays"))
    assert answer.status in (200, 201), answer.text


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("away", "--to", "mars"), "has no cell 'mars'"),
        (("away", "--to", "us0"), "project away lives in cell us0"),
        (("away",), "--to names the cell"),
        (("away", "--cancel"), "project away does not move"),
        (("away", "--to", "us1", "--mode", "relocate"), "relocate is not built"),
        (("default", "--to", "us1"), "of its own"),
        (("a b", "--to", "us1"), "a project of the directory matches"),
        (("closed", "--to", "eu2"), "stays in region us"),
    ],
)
async def test_bad_moves_are_refused(cells: Cells, words: tuple[str, ...], problem: str) -> None:
    """Before anything is recorded."""
    await cells.put(Pin("closed", Home(1, strict=True)))
    code, _, errors = await finished(cells, "move", *words)
    assert (code, problem in errors) == (1, True), errors
    assert (await cells.store.pin("away"))[0].move is None


async def project_in(cells: Cells, number: int, namespace: str) -> str:
    """Make a project with the namespace in a cell; return its id there."""
    tenants = TenantServiceStub(cells.suites[number].channel)
    company = await tenants.CreateCompany(CreateCompanyRequest(slug=f"team-{namespace}"))
    organization = await tenants.CreateOrganization(
        CreateOrganizationRequest(company_id=company.company.id, slug="shop")
    )
    request = CreateProjectRequest(
        organization_id=organization.organization.id, slug=namespace, namespace=namespace
    )
    return str((await tenants.CreateProject(request)).project.id)


async def put_file(cells: Cells, number: int, project: str, path: str, data: bytes) -> None:
    """Store a version of a file in a cell."""
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    first = PutFileRequest(project_id=project, path=path)
    requests = [first, *(PutFileRequest(data=each) for each in pieces)]
    await FileServiceStub(cells.suites[number].channel).PutFile(iter(requests))


async def test_data_that_cannot_move_is_listed(cells: Cells) -> None:
    """And the project stays as it was."""
    await cells.pin("full", 0)
    await define(cells, "full", workflow(1))
    await put_file(cells, 0, await project_in(cells, 0, "full"), "a.txt", b"x")
    code, _, errors = await finished(cells, "move", "full", "--to", "us1")
    assert code == 1
    assert "1 files, and cell us1 has no such project" in errors, errors
    pin, _ = await cells.store.pin("full")
    assert pin == Pin("full", Home(0))
