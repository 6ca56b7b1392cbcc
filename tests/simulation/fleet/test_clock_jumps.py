"""The time of day is set by an hour, on the machine of the fleet and in its database."""

import pytest

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.storage import memory
from tests.simulation.fleet.jumping import NAMESPACE, SetClock, Simulated

HOUR_S = 3_600.0
JUMPS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Simulated:
    clock = SetClock()
    monkeypatch.setattr(memory, "_now", clock.time_of_day)
    return Simulated(clock)


@JUMPS
async def test_agents_are_not_killed_for_silence(fleet: Simulated, jump_s: float) -> None:
    """Those that attend stay; one that falls silent is replaced as ever."""
    await fleet.apply(3)
    await fleet.passes(20)
    before = await fleet.ids()
    assert len(before) == 3
    fleet.clock.set_s += jump_s
    await fleet.passes(60)
    assert await fleet.ids() == before
    assert not fleet.driver.killed
    silent = next(iter(before))
    fleet.silent.add(silent)
    await fleet.passes(9)
    assert silent in await fleet.ids()
    await fleet.passes(6)
    assert "HEARTBEAT_LOST" in fleet.driver.killed[silent]
    assert len(await fleet.ids()) == 3


@JUMPS
async def test_start_and_drain_keep_their_time(fleet: Simulated, jump_s: float) -> None:
    """An agent that starts has its 30 s, before and after the jump together."""
    await fleet.apply(1)
    await fleet.passes(0.5)
    (starting,) = await fleet.ids()
    fleet.silent.add(starting)
    await fleet.passes(20)
    fleet.clock.set_s += jump_s
    await fleet.passes(9)
    assert starting in await fleet.ids()
    await fleet.passes(3)
    assert "START_TIMEOUT" in fleet.driver.killed[starting]


@JUMPS
async def test_a_crash_loop_keeps_its_pause(fleet: Simulated, jump_s: float) -> None:
    """One try a minute, neither at once nor in an hour."""
    fleet.driver.crashing = True
    await fleet.apply(1)
    await fleet.passes(60)
    spec = await fleet.fleet.spec(NAMESPACE, "packers")
    assert spec.problem.startswith("CRASH_LOOP")
    tries = await _tries(fleet)
    fleet.clock.set_s += jump_s
    await fleet.passes(30)
    assert await _tries(fleet) <= tries + 1
    await fleet.passes(90)
    assert tries + 1 <= await _tries(fleet) <= tries + 3


@JUMPS
async def test_a_policy_keeps_its_pauses(fleet: Simulated, jump_s: float) -> None:
    """The step down comes after the 60 s, and no sooner or later for the jump."""
    await fleet.apply(1)
    await fleet.fleet.apply_policy(NAMESPACE, pb.ScalingPolicy(
        policy="p", spec="packers", strategy=pb.SCALING_STRATEGY_WORKLOAD_BASED, min=1, max=8,
        window_ms=1_000,
    ))  # fmt: skip
    fleet.load.per_second = 3.0
    await fleet.passes(20)
    assert len(await fleet.ids()) == 4
    fleet.load.per_second = 0.5
    await fleet.passes(20)
    fleet.clock.set_s += jump_s
    await fleet.passes(10)
    assert len(await fleet.ids()) == 4
    await fleet.passes(40)
    assert len(await fleet.ids()) == 2


@JUMPS
async def test_the_next_instance_leads(fleet: Simulated, jump_s: float) -> None:
    """The lease of an instance that ended holds for its 5 s, that of one that lives for good."""
    await fleet.apply(1)
    await fleet.passes(5)
    other = Simulated(fleet.clock, fleet.tables, fleet.driver, holder="two")
    await other.loop.run_once()
    await fleet.passes(0.5)
    fleet.clock.set_s -= HOUR_S
    await other.loop.run_once()
    await fleet.passes(0.5)
    await other.loop.run_once()
    assert fleet.tables.leader["holder"] == "one"
    fleet.clock.set_s += jump_s
    await other.passes(6)
    assert fleet.tables.leader["holder"] == "two"
    assert len(await other.ids()) == 1


async def _tries(fleet: Simulated) -> int:
    return len(await fleet.store.agents(NAMESPACE, ended=True))
