"""Durable runs survive kill -9 of the application's process and of the worker service."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.features.application_hosts.app_servers import listens
from tests.features.application_hosts.durable_cases import BODY, SAVE, app, route, step
from tests.features.apps import written

PATIENCE_S = 60.0
WORKERS = ("worker-1", "worker-2")
MANY = int(os.environ.get("FLOWMESH_DURABLE_RUNS", "60"))


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A suite whose services may be killed one by one."""
    async with Cluster(tmp_path_factory.mktemp("durable") / "data") as made:
        yield made


class Process:
    """`flowmesh app run` as a process that a test kills."""

    def __init__(self, path: Path, cluster: Cluster, world: World) -> None:
        self._path = path
        self._port = free_port()
        self._environment = {
            **os.environ,
            "FLOWMESH_ADDRESS": cluster.grpc_address,
            "WORLD": world.address,
            "PORT": str(self._port),
        }
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        code = "from flowmesh.suite.main import main; main()"
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, "app", "run", str(self._path)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )
        await listens(self._port)

    async def kill(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def post(self, body: Json, key: str) -> tuple[int, Json]:
        """Send an order; the status is 0 where the process died meanwhile."""
        url = f"http://127.0.0.1:{self._port}/orders"
        with suppress(aiohttp.ClientError, OSError):
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, json=body, headers={"Idempotency-Key": key}) as answer,
            ):
                return answer.status, await answer.json()
        return 0, None

    async def answered(self, body: Json, key: str) -> Json:
        """Send an order until it is answered."""
        found: Json = None

        async def ended() -> bool:
            nonlocal found
            status, found = await self.post(body, key)
            assert status in (0, 201, 202, 503), found
            return status == 201

        await until("the order is answered", ended, within_s=PATIENCE_S)
        return found


@asynccontextmanager
async def process(path: Path, cluster: Cluster, world: World) -> AsyncIterator[Process]:
    made = Process(path, cluster, world)
    await made.start()
    try:
        yield made
    finally:
        await made.kill()


def ask(name: str) -> Json:
    return step(name, "http_call", url="${WORLD}/" + name, method="POST", body={"i": "{{ .item }}"})


def orders(name: str, *steps: Json) -> str:
    answer = step("answer", "json_response", status=201, body={"id": "{{ .steps.save.last_id }}"})
    pipeline = {"durable": True, "steps": [BODY, *steps, answer]}
    return app([route("/orders", pipeline)], name)


def stored(folder: Path) -> Counter[str]:
    """The number of rows by item."""
    with sqlite3.connect(folder / "a.db") as connection:
        return Counter(row[0] for row in connection.execute("SELECT item FROM orders"))


LATER: Json = {
    **SAVE,
    "name": "later",
    "config": {**SAVE["config"], "params": ["{{ .item }}-later", "{{ .price }}"]},
}


@pytest.mark.long
@pytest.mark.feature("S1-50", "S1-54", "S1-85")
async def test_kills_in_the_middle_repeat_no_effect(
    tmp_path: Path, cluster: Cluster, world: World
) -> None:
    """Of the process in one call, of the worker service in the next: one row, one key each."""
    path = written(tmp_path, orders("killed", SAVE, ask("first"), LATER, ask("second")))
    order = {"item": "lamp", "price": 5}
    world.hold("first")
    world.hold("second")
    async with process(path, cluster, world) as running:
        begun = asyncio.create_task(running.post(order, "k"))
        await world.called("first")
        await running.kill()
        assert (await begun)[0] == 0
        world.release("first")
        await running.start()
        asking = asyncio.create_task(running.answered(order, "k"))
        await world.called("second", timeout_s=PATIENCE_S)
        for name in WORKERS:
            cluster.send(name)
        world.release("second")
        assert await asking == {"id": 1}
    assert stored(tmp_path) == {"lamp": 1, "lamp-later": 1}
    for name in ("first", "second"):
        assert len({call.key for call in world.calls(name)}) == 1
    async with Client(cluster.grpc_address) as client:
        count = await client.count_executions('workflow ^= "app.killed."')
        assert count.count == 1


def delegated(name: str, *, durable: bool) -> str:
    """An application whose only step is a pipeline of two inserts around a call."""
    inner = {"steps": [SAVE, ask("first"), LATER], "durable": durable}
    data = {"item": "{{ .item }}", "price": "{{ .price }}"}
    to = step("to", "delegate", service="inner", operation="run", input=data)
    answer = step("answer", "json_response", status=201, body={"done": True})
    pipeline = {"durable": True, "steps": [BODY, to, answer]}
    return app([route("/orders", pipeline)], name, pipelines={"inner": inner})


@pytest.mark.long
@pytest.mark.feature("S1-54", "S1-191")
@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_a_kill_within_a_delegated_pipeline_repeats_no_effect(
    tmp_path: Path, cluster: Cluster, world: World, durable: bool
) -> None:
    """The process dies between two effects of one step; the step again makes only the second."""
    path = written(tmp_path, delegated(f"parts-{durable}".lower(), durable=durable))
    order = {"item": "lamp", "price": 5}
    world.hold("first")
    async with process(path, cluster, world) as running:
        begun = asyncio.create_task(running.post(order, "d"))
        await world.called("first")
        assert stored(tmp_path) == {"lamp": 1}
        await running.kill()
        assert (await begun)[0] == 0
        world.release("first")
        await running.start()
        assert await running.answered(order, "d") == {"done": True}
    assert stored(tmp_path) == {"lamp": 1, "lamp-later": 1}
    assert len({call.key for call in world.calls("first")}) == 1


@pytest.mark.long
@pytest.mark.feature("S1-54")
async def test_a_commit_that_was_not_journaled_is_recognised(
    tmp_path: Path, cluster: Cluster, world: World
) -> None:
    """The row is committed while the worker service stands; the process dies; there is one row."""
    path = written(tmp_path, orders("committed", ask("first"), SAVE))
    order = {"item": "lamp", "price": 5}
    world.hold("first")
    async with process(path, cluster, world) as running:
        begun = asyncio.create_task(running.post(order, "c"))
        await world.called("first")
        with sqlite3.connect(tmp_path / "a.db", isolation_level=None) as blocking:
            blocking.execute("BEGIN IMMEDIATE")
            world.release("first")
            async with Client(cluster.grpc_address) as client:
                await until(
                    "the call is journaled", lambda: _journaled(client), within_s=PATIENCE_S
                )
            pids = [cluster.send(name, signal.SIGSTOP) for name in WORKERS]
            blocking.execute("ROLLBACK")

        async def committed() -> bool:
            return bool(stored(tmp_path))

        await until("the row is committed", committed, within_s=PATIENCE_S)
        await running.kill()
        assert (await begun)[0] == 0
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        await running.start()
        assert await running.answered(order, "c") == {"id": 1}
    assert stored(tmp_path) == {"lamp": 1}


async def _journaled(client: Client) -> bool:
    async for each in client.list_executions(filter='workflow ^= "app.committed."'):
        history = await client.download_history(each.id)
        names = [r.name for e in history.events for r in e.journal_appended.records]
        return "first" in names
    return False


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_many_runs_survive_kills_at_any_time(
    tmp_path: Path, cluster: Cluster, world: World
) -> None:
    """60 runs, or FLOWMESH_DURABLE_RUNS, while the process and the service die by turns."""
    path = written(tmp_path, orders("many", SAVE, ask("first"), LATER, ask("second")))
    async with process(path, cluster, world) as running:
        wanted = {f"i{number}": {"item": f"i{number}", "price": number} for number in range(MANY)}
        asking = [asyncio.create_task(running.answered(o, key)) for key, o in wanted.items()]
        for turn in range(4):
            await world.called("second", times=(turn + 1) * MANY // 6, timeout_s=PATIENCE_S)
            if turn % 2:
                cluster.send(WORKERS[turn // 2])
            else:
                await running.kill()
                await running.start()
        await asyncio.gather(*asking)
    rows = stored(tmp_path)
    assert len(rows) == 2 * MANY
    assert set(rows.values()) == {1}
    for name in ("first", "second"):
        calls = world.calls(name)
        assert len({(call.json["i"], call.key) for call in calls}) == MANY
