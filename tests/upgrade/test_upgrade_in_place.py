"""Former versions, each filled, upgraded in place, rolled back to its backup, upgraded again."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from flowmesh.access.keys import create_key_file
from flowmesh.api.identity.v1 import auth_service_pb2, tenant_service_pb2
from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_ports
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite, SuiteFailed
from tests.features.closed import OWNER, PASSWORD, Caller, opened
from tests.features.natives import resource, text, workflow
from tests.upgrade.conftest import RELEASES, ROOT
from tests.upgrade.stores import Stores

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
SOURCES = ("gen/python", "libs", "services")
ORDERS, STEPS = 40, 5
WITHIN_S = 120.0
WAITING = ("asking", "paused", "sleeping", "waiting")


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sources of a release, as a search path of Python."""
    folder = tmp_path_factory.mktemp("release")
    archive = subprocess.run(
        ("git", "archive", request.param, *SOURCES), cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(("tar", "-x", "-C", folder), input=archive.stdout, check=True)
    return os.pathsep.join(str(folder / each) for each in SOURCES)


def has_apps(release: str) -> bool:
    """Return whether a release has applications, and the event store."""
    return Path(release.split(os.pathsep)[-1], "flowmesh/apphost").is_dir()


def definitions() -> list[Json]:
    """Workflows that end, fail, wait in each way, and work at a worker."""
    packs: list[Json] = [
        {
            "id": f"step-{number}",
            "taskRef": "pack",
            "input": {"order": "{{input.order}}", "step": number},
            "dependsOn": [f"step-{number - 1}"] if number else [],
        }
        for number in range(STEPS)
    ]
    long: Json = {"duration": "1h"}
    soon: Json = {"duration": "8s"}
    ticks: Json = {"id": "tick", "cron": {"expression": "*/5 * * * * *", "catchUp": "all"}}
    ticks["cron"]["input"] = {"at": "{{trigger.scheduledAt}}"}
    return [
        resource("WorkflowTask", "pack", type="pack"),
        workflow("ended", {"id": "a", "taskRef": "noop", "input": "{{input}}"}),
        workflow("failed", {"id": "a", "taskRef": "delay", "input": {"duration": "{{input.x}}"}}),
        workflow("waiting", {"id": "waits", "wait": {"event": "go"}}),
        workflow("asking", {"id": "asks", "approval": {"assignees": ["ann"]}}),
        workflow("sleeping", {"id": "naps", "taskRef": "delay", "input": long}),
        workflow("paused", {"id": "naps", "taskRef": "delay", "input": {"duration": "1s"}}),
        workflow("due", {"id": "naps", "taskRef": "delay", "input": soon}),
        workflow("above", {"id": "calls", "subworkflow": {"workflow": "due", "wait": True}}),
        workflow("packing", *packs, output={"order": "{{input.order}}"}),
        workflow(
            "ticking", {"id": "a", "taskRef": "noop"}, triggers=[ticks], output="{{input.at}}"
        ),
    ]


@dataclass
class Installation:
    """A data folder with its ports and key file, and what was put into it."""

    folder: Path
    release: str
    ports: tuple[int, int]
    stores: Stores
    namespace: str = ""
    key: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def effects(self) -> Path:
        return self.folder / "effects"

    def suite(self, sources: str = "") -> Suite:
        """Return the suite of these sources, or of this version."""
        environment = {"FLOWMESH_AUTH": "closed", "FLOWMESH_KEY_FILE": str(self.folder / "key")}
        if sources:
            environment["PYTHONPATH"] = sources
        return Suite(self.data, ports=self.ports, environment=environment)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Run a worker of the release; it outlives its suite."""
        address = f"127.0.0.1:{self.ports[1]}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("worker.py")),
            address,
            str(self.effects),
            env=os.environ
            | {"PYTHONPATH": self.release, "FLOWMESH_API_KEY": self.key}
            | {"FLOWMESH_NAMESPACE": self.namespace},
        )
        try:
            yield
            assert process.returncode is None, "the worker has ended"
        finally:
            process.terminate()
            await process.wait()

    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.ports[1]}", namespace=self.namespace, api_key=self.key)

    async def fill(self, suite: Suite) -> None:
        """Create a user, a project and a key, and an execution in each state."""
        closed = await opened(suite, self.folder / "key")
        project = await closed.project("shop")
        self.namespace = project.namespace
        self.key = (await closed.key(project.id, "admin")).credential
        await self.stores.fill(closed, project, self.key)
        async with self.client() as client:
            await client.apply(text(*definitions()))
            for name in (*WAITING, "ended", "failed", "above"):
                handle = await client.start(name, {"x": "never"})
                self.ids[name] = handle.id
            await client.handle(self.ids["paused"]).pause("stock")
            for name, status in (("ended", "completed"), ("failed", "failed")):
                found = await client.handle(self.ids[name]).wait(WITHIN_S)
                assert found.status == status

    async def pack(self) -> None:
        """Start orders for the worker."""
        async with self.client() as client:
            for _ in range(ORDERS):
                number = len(self.orders)
                handle = await client.start("packing", {"order": number})
                self.orders.append(handle.id)

    async def check(self) -> None:
        """Compare the states with those that the executions were left in."""
        expected = dict.fromkeys(WAITING, "running") | {"paused": "paused", "ended": "completed"}
        expected["failed"] = "failed"
        async with self.client() as client:
            found = {name: await client.handle(self.ids[name]).status() for name in expected}
            assert found == expected
            assert {each.id async for each in client.executions.list(workflow_id="packing")} == set(
                self.orders
            )

    async def works(self, lines: int) -> None:
        """Wait until the worker has run this many more tasks."""
        least = len(self.lines()) + lines

        async def there() -> bool:
            return len(self.lines()) >= least

        await until(f"{least} tasks", there, within_s=WITHIN_S)

    def lines(self) -> list[str]:
        return self.effects.read_text().splitlines() if self.effects.exists() else []

    async def finish(self) -> None:
        """Bring all executions to their ends."""
        async with self.client() as client:
            handles = {name: client.handle(each) for name, each in self.ids.items()}
            await handles["waiting"].signal("go")
            await handles["asking"].decide("asks", by="ann")
            await handles["paused"].resume()
            await handles["sleeping"].cancel()
            ends = {name: (await each.wait(WITHIN_S)).status for name, each in handles.items()}
            assert ends == dict.fromkeys(self.ids, "completed") | {
                "failed": "failed", "sleeping": "canceled"
            }  # fmt: skip
            for number, each in enumerate(self.orders):
                assert await client.handle(each).result(WITHIN_S) == {"order": number}
            await client.pause_trigger("ticking", "tick")
            ticks = [each.id async for each in client.executions.list(workflow_id="ticking")]
            instants = [await client.handle(each).result(WITHIN_S) for each in ticks]
        moments = sorted(datetime.fromisoformat(str(each)) for each in instants)
        assert len(set(moments)) == len(moments)
        steps = {later - earlier for earlier, later in pairwise(moments)}
        assert steps == {timedelta(seconds=5)}, sorted(steps)

    async def log_in(self, suite: Suite) -> None:
        """Log in as the owner, who sees the project."""
        login = auth_service_pb2.LoginRequest(email=OWNER, password=PASSWORD)
        anyone = Caller(suite, "")
        owner = Caller(suite, (await anyone.auth.Login(login)).tokens.access_token)
        request = tenant_service_pb2.ListProjectsRequest(organization_id="org_default")
        found = await owner.tenants.ListProjects(request)
        assert self.namespace in [each.namespace for each in found.projects]


async def test_a_release_is_upgraded_in_place_and_rolled_back(release: str, tmp_path: Path) -> None:
    """While its worker runs: nothing is lost, and no task is run under a second key."""
    first = free_ports(2)
    home = Installation(tmp_path, release, (first, first + 1), Stores(has_apps(release)))
    create_key_file(tmp_path / "key")
    backup = tmp_path / "backup"
    async with AsyncExitStack() as worker:
        async with home.suite(release) as suite:
            await home.fill(suite)
            await home.pack()
            await worker.enter_async_context(home.worker())
            await home.works(10)
        shutil.copytree(home.data, backup)
        async with home.suite() as upgraded:
            await home.check()
            await home.stores.check(upgraded)
            await home.works(10)
        with pytest.raises(SuiteFailed, match="newer"):
            await home.suite(release).start()
        shutil.rmtree(home.data)
        shutil.move(backup, home.data)
        async with home.suite(release) as former:
            await home.check()
            await home.stores.check(former)
            await home.works(10)
        async with home.suite() as upgraded:
            await home.check()
            await home.stores.check(upgraded)
            await home.stores.finish(upgraded)
            await home.finish()
            await home.log_in(upgraded)
    lines = [tuple(each.split()) for each in home.lines()]
    keys = {(order, step): key for order, step, key in lines}
    assert len(keys) == ORDERS * STEPS
    assert {key for _, _, key in lines} == set(keys.values())
