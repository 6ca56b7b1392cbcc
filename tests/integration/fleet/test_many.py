"""Five hundred agents: listed, scaled and drained, by a loop whose rounds stay short."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import structlog

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.driving.driver import Observed, Started
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.local import NoCredentials, NoQueues, new_id
from flowmesh.fleet.metrics import FleetMetrics
from flowmesh.fleet.running.fleet_loop import FleetLoop
from flowmesh.fleet.running.wishes import WishReader
from flowmesh.fleet.storage.records import AgentRow, SpecRow
from flowmesh.fleet.storage.store import MIGRATIONS, SCHEMA, FleetStore
from flowmesh.storage import open_database
from flowmesh.telemetry.metrics import Metrics
from flowmesh.testing.polling import allowed_s

MOST, ROUNDS, ROUND_S_MAX = 500, 11, 0.1


class Stubs:
    """A driver whose agents are rows of a dict."""

    node, lasting = "stub", False

    def __init__(self) -> None:
        self.running: dict[str, Observed] = {}

    async def spawn(self, agent: AgentRow, spec: SpecRow) -> Started:
        pid = len(self.running) + 1
        self.running[agent.id] = Observed(
            pid=pid, code=None, killed="", words="", cpu_s=0.0, memory=1
        )
        return Started(pid, {})

    async def observe(self) -> Mapping[str, Observed]:
        return dict(self.running)

    async def drain(self, agent_id: str) -> None:
        self.running[agent_id] = replace(self.running[agent_id], code=0)

    async def kill(self, agent_id: str, reason: str) -> None:
        await self.drain(agent_id)

    async def forget(self, agent_id: str) -> None:
        self.running.pop(agent_id, None)

    async def alone(self) -> bool:
        return False

    async def end(self) -> None:
        self.running.clear()

    async def close(self) -> None:
        """Has no connections."""


@pytest.mark.long
async def test_rounds_stay_short_with_five_hundred_agents(migrated: str) -> None:
    """Half of all rounds take at most 100 ms of processor; all agents come and go."""
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as pool:
        store = FleetStore(pool, call=lambda: "")
        driver = Stubs()
        loop = _loop(store, driver)
        fleet = Fleet(
            store=store,
            isolation=IsolationRules(least=pb.ISOLATION_NONE, egress="open", allowed=()),
            announce=lambda: None,
            new_id=new_id,
        )
        spec = pb.AgentSpec(spec="s", command=["python"], health=pb.AGENT_HEALTH_PROCESS)
        await fleet.apply("default", spec)
        await fleet.scale("default", "s", MOST)
        while len(_ready(await store.agents("default"))) < MOST:
            await loop.run_once()
        took = []
        for _ in range(ROUNDS):
            began = time.process_time()
            assert await loop.run_once() == 0
            took.append(time.process_time() - began)
        assert statistics.median(took) < allowed_s(ROUND_S_MAX), took
        assert len(await store.agents("default", "s")) == len(driver.running) == MOST
        await fleet.scale("default", "s", 0)
        while driver.running:
            await loop.run_once()
        assert await store.agents("default") == []


def _loop(store: FleetStore, driver: Stubs) -> FleetLoop:
    log = structlog.get_logger("flowmesh.fleet")
    wishes = WishReader(store=store, figures=NoQueues(), log=log, now_us=_now_us)
    return FleetLoop(
        store=store,
        driver=driver,
        credentials=NoCredentials(),
        wishes=wishes,
        metrics=FleetMetrics(Metrics()),
        holder="one",
        new_id=new_id,
        log=log,
        now_us=_now_us,
    )


def _ready(agents: Sequence[AgentRow]) -> list[AgentRow]:
    return [each for each in agents if each.state == pb.AGENT_STATE_READY]


def _now_us() -> int:
    return time.time_ns() // 1_000
