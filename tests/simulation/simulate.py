"""A whole run from a seed: its draws, its steps, its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from flowmesh.worker import limits
from tests.simulation.actors.callers import Callers
from tests.simulation.actors.chaos import Chaos
from tests.simulation.actors.operators import Operators
from tests.simulation.actors.people import People
from tests.simulation.actors.workload import Workload
from tests.simulation.checks.invariants import events_of, violations
from tests.simulation.servers.loop import Stuck, elapsed, virtual_loop
from tests.simulation.servers.world import World

FRAME_BYTES = (limits.FRAME_BYTES_MAX, limits.FRAME_BYTES_MAX, 256)
"""Byte limits of a message to an orchestrator: room for everything, or for less."""


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a seed. `states` are digests of the stored state of single executions."""

    seed: int
    problems: tuple[str, ...]
    digest: str
    steps: int
    events: int
    executions: int
    commits: int
    virtual_s: float
    states: frozenset[int]
    injected: dict[str, int]


def simulate(seed: int, traced: Callable[..., object] | None = None) -> Run:
    """Runs a seed and checks what it left behind."""
    with virtual_loop() as loop:
        world = World(loop, str(seed), traced)
        try:
            loop.run_until_complete(run(world))
        except Stuck as stuck:
            world.problem("loop", str(stuck))
        problems = [*world.problems, *loop.failures, *violations(world.record)]
        executions = world.record.executions
        return Run(
            seed=seed,
            problems=tuple(problems),
            digest=world.digest,
            steps=loop.steps,
            events=sum(events_of(stored) for stored in executions.values()),
            executions=len(executions),
            commits=len(world.tables.commits),
            virtual_s=loop.time(),
            states=frozenset(world.states_seen),
            injected=dict(world.faults.injected),
        )


async def run(world: World) -> None:
    """Draws a setup, a workload and what breaks, and lets it come to its end."""
    random = Random(f"{world.seed}/setup")
    limits.FRAME_BYTES_MAX = Random(f"{world.seed}/frames").choice(FRAME_BYTES)
    shared_dir = "data" if random.random() < 0.2 else ""
    world.add_orchestrator("o1", data_dir_id=shared_dir)
    if not shared_dir and random.random() < 0.6:
        world.add_orchestrator("o2")
    for number in range(random.randint(1, 2)):
        world.add_worker_service(f"ws{number}", slots=random.randint(1, 3))
    by_sdk = Random(f"{world.seed}/workers").random() < 0.5
    world.add_remote("rw1", slots=random.randint(1, 3), by_sdk=by_sdk)
    if random.random() < 0.6:
        world.add_remote("rw2", slots=1, repeats=0.3)
    world.add_events()
    await elapsed(random.choice((0.0, 0.3, 2.5)))
    within_s = random.choice((1.0, 3.0, 6.0))
    workload = Workload(world, starts=random.randint(1, 8), within_s=within_s)
    workload.begin()
    People(world).begin()
    Operators(world).begin()
    callers = Callers(world)
    callers.begin(within_s)
    await Chaos(world).run(within_s)
    world.heal()
    settled = await world.until_settled(workload, callers)
    world.finished(settled=settled)
