"""N1, N4: many kills at commit points drawn from a seed, several processes in each round."""

import random

import pytest

from flowmesh.testing.polling import pause
from tests.drills.breaking import owned_by
from tests.faults.harness.rig import POINTS_FILE
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import share
from tests.faults.test_points import (
    BY_THEMSELVES,
    IN_EVENT,
    IN_GATEWAY,
    IN_ORCHESTRATOR,
    IN_WORKER,
    ORCHESTRATOR,
)

ROUNDS = 24
KILLS_MIN = 100
NTH_MAX = 4
HIT_WITHIN_S = 10.0
OWNER_KILLS = 10
# Who can die in one round, and where.
VICTIMS = {
    "orchestrator-1": (*IN_ORCHESTRATOR, "orchestrator.epoch_raised"),
    "orchestrator-2": IN_ORCHESTRATOR,
    "worker-1": IN_WORKER,
    "worker-2": IN_WORKER,
    "event": IN_EVENT,
    "gateway": IN_GATEWAY,
    "registry": ("registry.renewed",),
}
VICTIMS_MIN = 4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.fault("F1", "F2", "F3", "F4", "F5")
async def test_kills_at_commit_points_cost_nothing(scenario: Scenario, seed: int) -> None:
    """Several processes die at points of their own in each round; after each all adds up."""
    draw = random.Random(seed)
    kills = executions = 0
    for number in range(ROUNDS):
        plan = drawn(draw)
        async with scenario.drill(f"sweep {number + 1} of seed {seed}: {plan}") as running:
            await scenario.whole()
            await running.in_flight()
            for name, text in plan.items():
                scenario.rig.arm(name, text)
            running.breaks()
            await running.all_ended()
            hit = await hits(scenario, list(plan))
            running.outcome.fault = "kills at drawn points"
            outcome = await scenario.finish(running, "F1", n=hit, extra_deliveries=len(plan))
        kills += hit
        executions += outcome.executions
        if kills >= KILLS_MIN:
            break
    scenario.tally.figure("N1", kills=kills, n=kills, executions=executions, failures=0)
    assert kills >= KILLS_MIN


def drawn(draw: random.Random) -> dict[str, str]:
    """Who dies in a round, and at which pass of which point."""
    names = draw.sample(sorted(VICTIMS), draw.randint(VICTIMS_MIN, len(VICTIMS)))
    plan = {}
    for name in names:
        point = draw.choice(VICTIMS[name])
        nth = 1 if point in BY_THEMSELVES else draw.randint(1, NTH_MAX)
        plan[name] = f"{point}=kill9@{nth}"
    return plan


async def hits(scenario: Scenario, names: list[str]) -> int:
    """How many of them died at their point; the others are disarmed."""
    files = {name: scenario.rig.folder_of(name) / f"{POINTS_FILE}.hit" for name in names}
    await pause(1.0)
    hit = [name for name, file in files.items() if file.exists()]
    for name in names:
        if name not in hit:
            scenario.rig.arm(name, "")
    return len(hit)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("F1")
async def test_an_owner_is_replaced_in_time(scenario: Scenario, seed: int) -> None:
    """From the kill of an owner to the next transition of what it had: N4."""
    rig, draw = scenario.rig, random.Random(seed)
    waits: list[float] = []
    for _ in range(OWNER_KILLS):
        async with scenario.drill("kill -9 owner") as running:
            await scenario.whole()
            await running.in_flight()
            victims = await owned_by(rig, ORCHESTRATOR)
            # The lease is renewed once a second: at any moment of that second.
            await pause(draw.random())
            pid = rig.send(ORCHESTRATOR)
            running.breaks(victims)
            await rig.replaced(ORCHESTRATOR, pid)
            outcome = await scenario.finish(running, "F1", extra_deliveries=2)
        waits.append(min(outcome.recoveries_s))
    p50, p99, most = (share(waits, part) for part in (0.5, 0.99, 1.0))
    scenario.tally.figure("N4", n=OWNER_KILLS, p50_s=p50, p99_s=p99, max_s=most)
