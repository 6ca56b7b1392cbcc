"""Settings of the worker and of what may be called, seen from outside of a running suite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from flowmesh.testing.suite import Suite, SuiteFailed

SLOTS = 3
STEPS = 4 * SLOTS


class Receiver:
    """Answers calls in groups of as many as there are slots, and knows how many came at once."""

    def __init__(self) -> None:
        self.url = ""
        self.most = 0
        self.told = asyncio.Event()
        self._now = 0
        self._group = asyncio.Barrier(SLOTS)

    async def work(self, _request: web.Request) -> web.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        await self._group.wait()
        self._now -= 1
        return web.json_response({})

    async def hook(self, _request: web.Request) -> web.Response:
        self.told.set()
        return web.json_response({})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.add_routes([web.get("/work", receiver.work), web.post("/hook", receiver.hook)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    await runner.cleanup()


def call(step: str, url: str) -> dict[str, object]:
    return {"id": step, "name": step, "action": "http.request", "params": {"url": url}}


@pytest.mark.long
async def test_slots_and_allowed_networks(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many tasks run as there are slots; steps and callbacks reach what is listed, no more."""
    monkeypatch.setenv("FLOWMESH_WORKER_SLOTS", str(SLOTS))
    monkeypatch.setenv("FLOWMESH_EGRESS_ALLOW", "127.0.0.1/32, fd00::/8")
    steps = [call(f"s{number}", f"{receiver.url}/work") for number in range(STEPS)]
    hooks = {"onComplete": f"{receiver.url}/hook"}
    inside = receiver.url.replace("127.0.0.1", "127.0.0.2")
    async with Suite(tmp_path / "data", "--egress", "public") as suite:
        done = await suite.run({"id": "many", "name": "Many", "steps": steps, "webhooks": hooks})
        assert (done["status"], receiver.most) == ("completed", SLOTS)
        async with asyncio.timeout(20):
            await receiver.told.wait()
        stopped = await suite.run({"id": "in", "name": "In", "steps": [call("only", inside)]})
    assert stopped["status"] == "failed"
    assert stopped["stepResults"]["only"]["error"]["class"] == "EgressBlocked", stopped


@pytest.mark.long
async def test_an_unknown_type_for_the_built_in_worker_ends_the_start(tmp_path: Path) -> None:
    """With the variable, the name, and what may have been meant; nothing runs with less."""
    environment = {"FLOWMESH_WORKER_TASK_TYPES": "python,http.reqest"}
    suite = Suite(tmp_path / "data", environment=environment)
    with pytest.raises(SuiteFailed) as refused:
        await suite.start()
    told = str(refused.value)
    assert "FLOWMESH_WORKER_TASK_TYPES: the built-in worker runs no 'http.reqest'" in told
    assert "did you mean 'http.request'?" in told
    assert "Traceback" not in told
