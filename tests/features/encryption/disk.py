"""A closed suite with an encrypted project and a plain one, and what its disk holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from flowmesh.access.encryption import MARK
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.collector import Collector, collecting
from tests.features.natives import http_task, workflow

SEALED, PLAIN = "sealed", "plain"
CANARY, STORED, RETURNED = "canary-inline-4af1", "canary-stored-8812", "canary-returned-77e0"
CANARIES = (CANARY, STORED, RETURNED)
# Above the bound of inline values.
LARGE = 300 << 10
WITHIN_S = 30


@dataclass(frozen=True)
class Project:
    """A project with a workflow, and its admin."""

    id: str
    namespace: str
    admin: Caller
    owner: Caller

    async def execute(self, **given: Json) -> tuple[int, Json]:
        headers = {"flowmesh_namespace": self.namespace}
        body = {"input": given}
        return await self.admin.rest("POST", "/api/v1/workflows/pays/execute", body, **headers)

    async def execution(self, execution_id: str, view: str = "") -> tuple[int, Json]:
        headers = {"flowmesh_namespace": self.namespace}
        path = f"/api/v1/executions/{execution_id}{view}"
        return await self.admin.rest("GET", path, **headers)

    async def encryption(self, method: str = "GET", action: str = "") -> tuple[int, Json]:
        path = f"/api/v1/projects/{self.id}/encryption{action}"
        return await self.owner.rest(method, path)


@dataclass(frozen=True)
class Disk:
    """A closed suite, its folder and traces, and two projects, one of which is encrypted."""

    closed: Closed
    folder: Path
    sealed: Project
    plain: Project
    traces: Collector

    def found(self, *texts: str) -> dict[str, list[str]]:
        """Return the files of the data folder and the log that hold one of the texts."""
        found: dict[str, list[str]] = {}
        for path in self.folder.rglob("*"):
            if path.is_file() and not path.is_socket():
                content = path.read_bytes()
                held = [text for text in texts if text.encode() in content]
                if held:
                    found[str(path.relative_to(self.folder))] = held
        return found

    async def sql(self, statement: str, *values: object) -> list[Any]:
        """Run a statement of the orchestrator's schema."""
        address = str(self.closed.suite.about["postgres"])
        settings = {"search_path": "orchestrator"}
        connection = await asyncpg.connect(address, server_settings=settings)
        try:
            found: list[Any] = await connection.fetch(statement, *values)
            return found
        finally:
            await connection.close()

    async def newest_key(self, execution_id: str) -> int:
        """Return the number of the key that sealed the last events of an execution; 0 for none."""
        statement = "select events from history where execution_id = $1 order by seq desc limit 1"
        (events,) = [row["events"] for row in await self.sql(statement, execution_id)]
        return int.from_bytes(events[5:9], "big") if events.startswith(MARK) else 0


async def _project(closed: Closed, world: World, name: str) -> Project:
    made = await closed.project(name)
    project = Project(made.id, name, await closed.key(made.id, "admin"), closed.owner)
    flow = workflow(
        "pays",
        {"id": "pay", "taskRef": "pay", "input": {"card": "{{input.card}}"}},
        output={"echo": "{{input.card}}", "result": "{{tasks.pay.output}}"},
    )
    for each in (http_task("pay", world.url(f"pay-{name}")), flow):
        headers = {"flowmesh_namespace": name}
        status, body = await project.admin.rest("POST", "/api/v1/workflows", each, **headers)
        assert status == 201, body
    return project


@asynccontextmanager
async def encrypted_disk(folder: Path) -> AsyncIterator[Disk]:
    """Start the suite; the key of the encrypted project is in use."""
    async with (
        World() as world,
        collecting() as traces,
        closed_suite(folder, FLOWMESH_OTLP_ENDPOINT=traces.address) as closed,
    ):
        for name in (SEALED, PLAIN):
            world.answers(f"pay-{name}", json={})
        sealed = await _project(closed, world, SEALED)
        plain = await _project(closed, world, PLAIN)
        assert (await sealed.encryption())[1] == {"encryption": "off", "keys": 0}
        status, state = await sealed.encryption("PUT")
        assert (status, state["encryption"], state["keys"]) == (200, "required", 1)
        made = Disk(closed, folder, sealed, plain, traces)

        async def used() -> bool:
            _, body = await sealed.execute(card="before the key is used")
            return await made.newest_key(body["executionId"]) == 1

        await until("the key is used", used, within_s=WITHIN_S)
        world.answers(f"pay-{SEALED}", json={"token": RETURNED})
        yield made
