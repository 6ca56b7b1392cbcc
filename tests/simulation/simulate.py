"""A whole run from a seed: what is drawn, what is done, what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from tests.simulation.invariants import violations
from tests.simulation.loop import Stuck, virtual_loop
from tests.simulation.workload import Workload
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed came to."""

    seed: int
    problems: tuple[str, ...]
    digest: str
    steps: int
    events: int
    executions: int
    commits: int
    virtual_s: float


def simulate(seed: int) -> Outcome:
    """Runs a seed and checks what it left behind."""
    with virtual_loop() as loop:
        world = World(loop, str(seed))
        try:
            loop.run_until_complete(_run(world))
        except Stuck as stuck:
            world.problem("loop", str(stuck))
        problems = [*world.problems, *loop.failures, *violations(world.record)]
        events = sum(1 for _ in world.record.commits)
        return Outcome(
            seed=seed,
            problems=tuple(problems),
            digest=world.digest,
            steps=loop.steps,
            events=events,
            executions=len(world.record.executions),
            commits=len(world.tables.commits),
            virtual_s=loop.time(),
        )


async def _run(world: World) -> None:
    random = Random(f"{world.seed}/setup")
    world.add_orchestrator("o1")
    if random.random() < 0.6:
        world.add_orchestrator("o2")
    world.add_worker_service("ws1", slots=2)
    world.add_worker_service("ws2", slots=2)
    world.add_remote("rw1", slots=2)
    world.add_remote("rw2", slots=1, repeats=0.3)
    world.add_events()
    await asyncio.sleep(0.3)
    workload = Workload(world, starts=random.randint(2, 8), within_s=2.0)
    workload.begin()
    await asyncio.sleep(2.0)
    world.heal()
    world.record.calm = True
    settled = await world.until_settled(workload)
    world.finished(settled=settled)
