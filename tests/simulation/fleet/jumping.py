"""A fleet on tables in memory, with processes that only have a state, and clocks that are set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any

from flowmesh.api.execution.v1 import limits_service_pb2
from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.driving.driver import Observed, Started
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.local import NoCredentials
from flowmesh.fleet.metrics import FleetMetrics
from flowmesh.fleet.running.figures import Figures
from flowmesh.fleet.running.fleet_loop import FleetLoop
from flowmesh.fleet.running.sightings import steady
from flowmesh.fleet.running.wishes import WishReader
from flowmesh.fleet.storage.memory import MemoryTables
from flowmesh.fleet.storage.records import AgentRow, Beat, SpecRow
from flowmesh.fleet.storage.store import FleetStore
from flowmesh.runtime import Clock
from flowmesh.telemetry.metrics import Metrics

ROUND_S, BEAT_ROUNDS, NAMESPACE = 0.5, 4, "shop"


class SetClock(Clock):
    """A time of day that can be set, beside one that only passes."""

    def __init__(self) -> None:
        self.passed_s, self.set_s = 1_000.0, 1_790_000_000.0

    def now_us(self) -> int:
        return round((self.set_s + self.passed_s) * 1_000_000)

    def monotonic_ms(self) -> float:
        return self.passed_s * 1_000

    def time_of_day(self) -> datetime:
        """Return the time of the tables."""
        return datetime.fromtimestamp(self.set_s + self.passed_s, UTC)


class States:
    """Stands in for the driver: a process is its exit code, None while it runs."""

    node, lasting = "here", True

    def __init__(self) -> None:
        self.codes: dict[str, int | None] = {}
        self.killed: dict[str, str] = {}
        self.crashing = False

    async def spawn(self, agent: AgentRow, spec: SpecRow) -> Started:
        self.codes[agent.id] = 1 if self.crashing else None
        return Started(1, {})

    async def observe(self) -> Mapping[str, Observed]:
        return {
            each: Observed(pid=1, code=code, killed=self.killed.get(each, ""), words="", cpu_s=0.0,
                           memory=0)
            for each, code in self.codes.items()
        }  # fmt: skip

    async def drain(self, agent_id: str) -> None:
        self.codes[agent_id] = 0

    async def kill(self, agent_id: str, reason: str) -> None:
        self.codes[agent_id], self.killed[agent_id] = -9, reason

    async def forget(self, agent_id: str) -> None:
        self.codes.pop(agent_id, None)

    async def alone(self) -> bool:
        return False

    async def end(self) -> None:
        self.codes.clear()

    async def close(self) -> None:
        """Nothing is open."""


class Load(Figures):
    """Queues with so many arrivals a second, of tasks of one second."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace())  # type: ignore[arg-type]
        self.per_second = 0.0

    async def queues(self, namespace: str) -> list[limits_service_pb2.QueueStats]:
        busy = round(self.per_second)
        return [
            limits_service_pb2.QueueStats(
                queue="default", task_type="pack", arrivals_per_second=self.per_second,
                service_ms=1_000, running=busy,
            )
        ]  # fmt: skip


@dataclass
class Simulated:
    """One instance of the fleet; another one has the same tables and clock."""

    clock: SetClock = field(default_factory=SetClock)
    tables: MemoryTables = field(default_factory=MemoryTables)
    driver: States = field(default_factory=States)
    load: Load = field(default_factory=Load)
    silent: set[str] = field(default_factory=set)
    holder: str = "one"
    rounds: int = 0

    def __post_init__(self) -> None:
        self.store, now_us = FleetStore(self.tables), steady(self.clock)
        log = SimpleNamespace(info=lambda *_, **__: None, warning=lambda *_, **__: None)
        numbers = count()

        def new_id() -> str:
            return f"agent-{self.holder}-{next(numbers)}"

        self.loop = FleetLoop(
            store=self.store,
            driver=self.driver,
            credentials=NoCredentials(),
            wishes=WishReader(
                store=self.store, figures=self.load, log=log, now_us=now_us,
                clock=lambda: self.clock.passed_s,
            ),
            metrics=FleetMetrics(Metrics()),
            holder=self.holder,
            new_id=new_id,
            log=log,
            now_us=now_us,
        )  # fmt: skip
        isolation = IsolationRules(least=pb.ISOLATION_NONE, egress="open", allowed=())
        self.fleet = Fleet(
            store=self.store, isolation=isolation, announce=self.loop.wake, new_id=new_id
        )

    async def apply(self, replicas: int, **content: Any) -> None:
        spec = pb.AgentSpec(spec="packers", command=["cat"], replicas=replicas, **content)
        await self.fleet.apply(NAMESPACE, spec)

    async def passes(self, seconds: float) -> None:
        """Let time pass: a round of the loop each half second, and heartbeats of its agents."""
        for _ in range(round(seconds / ROUND_S)):
            self.clock.passed_s += ROUND_S
            self.rounds += 1
            if self.rounds % BEAT_ROUNDS == 0:
                alive = [
                    each
                    for each, code in self.driver.codes.items()
                    if code is None and each not in self.silent
                ]
                await self.store.beat(dict.fromkeys(alive, Beat(1, 0)))
            await self.loop.run_once()

    async def agents(self) -> list[AgentRow]:
        return [each for each in await self.store.agents(NAMESPACE) if each.alive]

    async def ids(self) -> set[str]:
        return {each.id for each in await self.agents()}
