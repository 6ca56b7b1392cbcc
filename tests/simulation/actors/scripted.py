"""Scenarios: a script of steps, with checks on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.simulation.actors.peers import Client
from tests.simulation.actors.plans import chain
from tests.simulation.actors.workload import Workload
from tests.simulation.checks.invariants import violations
from tests.simulation.servers.hosts import OrchestratorHost
from tests.simulation.servers.loop import elapsed, virtual_loop
from tests.simulation.servers.world import World

SEEN_WITHIN_S = 30.0
STEP_S = 0.001


class Stage:
    """A small world with one client, and a hand on everything in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.workload = Workload(world, starts=0, within_s=0.0)
        self.client: Client = self.workload.clients[0]
        world.definitions.added["long"] = chain("long", "a", "b")
        world.definitions.added["short"] = chain("short", "x", "y")
        world.work.fixed.update(a=2.0, b=0.01, x=0.01, y=0.01)

    async def until(self, seen: Callable[[], object]) -> None:
        """Lets time pass until something can be seen."""
        until = self.world.loop.time() + SEEN_WITHIN_S
        while not seen():
            assert self.world.loop.time() < until, "it did not come about"
            await elapsed(STEP_S)

    def start(self, workflow_id: str, request_id: str) -> None:
        """Has a client start an execution, in its own time."""
        self.client.spawn(self.client.start(workflow_id, request_id))

    def has(self, request_id: str) -> bool:
        return ("default", request_id) in self.world.tables.requests

    def execution(self, request_id: str) -> str:
        return self.world.tables.requests["default", request_id]

    def ended(self, request_id: str) -> bool:
        row = (
            self.world.tables.executions.get(self.execution(request_id))
            if self.has(request_id)
            else None
        )
        return row is not None and row["status"] > 2

    def effects(self, request_id: str, node: str) -> int:
        """Return the number of deliveries of a node's tasks."""
        wanted = (self.execution(request_id), node) if self.has(request_id) else None
        effects = self.world.record.effects
        return sum((effect.execution_id, effect.node) == wanted for effect in effects)

    def owner(self, request_id: str) -> OrchestratorHost:
        """The process that owns an execution."""
        return self.owner_of(self.execution(request_id))

    def owner_of(self, execution_id: str) -> OrchestratorHost:
        partition = self.world.tables.executions[execution_id]["partition"]
        incarnation = self.world.tables.partitions[partition].incarnation
        for host in self.world.orchestrators.values():
            if host.core.memory.ownership.incarnation == incarnation:
                return host
        raise AssertionError("no host owns it")

    def other(self, host: OrchestratorHost) -> OrchestratorHost:
        return next(one for one in self.world.orchestrators.values() if one is not host)


Script = Callable[[Stage], Awaitable[None]]


def play(
    script: Script, *, orchestrators: int = 1, workers: int = 1, slots: int = 2, seed: str = ""
) -> Stage:
    """Plays a script to its end and checks every invariant."""
    with virtual_loop() as loop:
        world = World(loop, seed or script.__name__)
        stage = Stage(world)

        async def run() -> None:
            for number in range(orchestrators):
                world.add_orchestrator(f"o{number}")
            for number in range(workers):
                world.add_worker_service(f"ws{number}", slots=1)
            world.add_remote("rw", slots=slots)
            world.add_events()
            await elapsed(1.5)
            await script(stage)
            world.heal()
            world.finished(settled=await world.until_settled(stage.workload))

        loop.run_until_complete(run())
        problems = [*world.problems, *loop.failures, *violations(world.record)]
        assert not problems, "\n".join(problems)
        return stage
