"""F2, F5 to F7: the gateway dies in mid-stream, services do not answer, everything dies."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle

import aiohttp
import pytest

from flowmesh.embedded.servers import NAMES
from flowmesh.testing.polling import allowed_s, pause
from tests.drills.drill import Drill
from tests.faults.harness.rig import MEMBERS, Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import share

KILLS = 4
RESUMED_S = 2.0
STREAMS = 5
REOPEN_S = 0.05
AWAY_S = 20.0
OPEN = aiohttp.ClientTimeout(total=None, sock_connect=2.0)
REST = {"id": "rest", "name": "rest", "action": "delay", "params": {"duration": 1}}


class Stream:
    """Reads an execution's events by SSE; opens again behind the last one, at the next gateway."""

    def __init__(self, gateways: Sequence[str], execution_id: str) -> None:
        self._gateways = cycle(gateways)
        self._path = f"/api/v1/executions/{execution_id}/events"
        self.sequences: list[int] = []
        self.opened_at: list[float] = []

    async def read(self) -> None:
        """Returns at the end of the stream that the gateway ends."""
        async with aiohttp.ClientSession(timeout=OPEN) as http:
            while True:
                try:
                    if await self._read(http):
                        return
                except (aiohttp.ClientError, OSError):
                    await pause(REOPEN_S)

    async def _read(self, http: aiohttp.ClientSession) -> bool:
        after = self.sequences[-1] if self.sequences else 0
        url = f"{next(self._gateways)}{self._path}"
        async with http.get(url, params={"after": str(after)}) as answer:
            if answer.status != 200:
                return False
            self.opened_at.append(time.time())
            async for line in answer.content:
                if line.startswith(b"id:"):
                    self.sequences.append(int(line[3:]))
        return True


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F2")
async def test_a_gateway_dies_while_events_stream(scenario: Scenario) -> None:
    """Clients go on at another gateway behind the last event they got: no gap, no repeat. N12."""
    rig = scenario.rig
    waits: list[float] = []
    async with rig.extra("gateway") as other:
        for _ in range(KILLS):
            async with scenario.drill("kill -9 at gateway.streaming") as running:
                await scenario.whole()
                await running.in_flight()
                gateways = (rig.http_url, other.http)
                streams = [Stream(gateways, i) for i in running.orders.ids[:STREAMS]]
                reading = asyncio.gather(*(stream.read() for stream in streams))
                rig.arm("gateway", "gateway.streaming=kill9@3")
                killed = await rig.hit("gateway")
                running.breaks()
                await asyncio.wait_for(reading, AWAY_S)
                await scenario.finish(running, "F2")
            for stream in streams:
                assert stream.sequences == list(range(1, len(stream.sequences) + 1))
                waits += [at - killed for at in stream.opened_at if at > killed][:1]
    p50, p99 = share(waits, 0.5), share(waits, 0.99)
    scenario.tally.figure("N12", n=len(waits), gaps=0, p50_s=p50, p99_s=p99)
    assert max(waits) <= allowed_s(RESUMED_S)


@asynccontextmanager
async def stopped(rig: Rig, name: str) -> AsyncIterator[None]:
    """A member does not answer, and keeps all its connections."""
    pid = rig.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.fault("F5")
async def test_the_registry_does_not_answer(scenario: Scenario) -> None:
    """Everybody goes on with whom he knows; who comes meanwhile is found afterwards."""
    rig = scenario.rig
    async with scenario.drill("registry frozen") as running:
        await scenario.whole()
        await running.in_flight()
        async with stopped(rig, "registry"):
            running.breaks()
            await ended_while_away(running)
        await scenario.finish(running, "F5")
    await scenario.whole()


@pytest.mark.slow
@pytest.mark.fault("F6")
async def test_the_definition_service_does_not_answer(scenario: Scenario) -> None:
    """Executions and starts of known workflows go on; of unknown ones they are refused."""
    rig = scenario.rig
    async with scenario.drill("definition service frozen") as running:
        await scenario.whole()
        unknown = await rig.define({"id": "unknown", "name": "unknown", "steps": [REST]})
        await running.in_flight()
        async with stopped(rig, "definition"):
            running.breaks()
            body = {"workflowId": unknown, "context": {}, "requestId": "unknown"}
            refused = await rig.post("/executions/start", body)
            await ended_while_away(running)
        await scenario.finish(running, "F6")
    assert refused.status in (503, 504), refused.text


@pytest.mark.slow
@pytest.mark.fault("F6")
async def test_the_definition_service_is_gone(scenario: Scenario) -> None:
    """The start of a workflow that nobody knows yet says which service is away."""
    rig = scenario.rig
    await scenario.whole()
    unknown = await rig.define({"id": "unknown-2", "name": "unknown", "steps": [REST]})
    pid = rig.send("definition")
    body = {"workflowId": unknown, "context": {}, "requestId": "unknown-2"}
    refused = await rig.post("/executions/start", body)
    await rig.replaced("definition", pid)
    assert refused.status == 503, refused.text
    assert "DEFINITION_UNAVAILABLE" in refused.text


async def ended_while_away(running: Drill) -> None:
    """Everything has ended although a service is away, and stays so for a while."""
    took_s = await running.all_ended()
    assert took_s < AWAY_S
    await pause(3.0)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F7")
async def test_every_service_and_server_dies_at_once(scenario: Scenario) -> None:
    """They come back in whatever order; what was under way goes on from what was committed."""
    rig = scenario.rig
    async with scenario.drill("everything killed at once") as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        for name in MEMBERS:
            rig.send(name)
        for name in NAMES:
            rig.servers.kill(name)
        await scenario.finish(running, "F7", extra_deliveries=2)
