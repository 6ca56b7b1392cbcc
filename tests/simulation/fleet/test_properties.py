"""Properties of every decision, on random histories."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.scaling.decide import (
    DOWN_COOLDOWN_MS,
    IDLE_AFTER_MS,
    UP_COOLDOWN_MS,
    WINDOW_MS,
    Memory,
    Seen,
    decide,
    wish_of,
)

HISTORIES, STEPS, PARTS = 2_000, 200, 4
STRATEGIES = (
    pb.SCALING_STRATEGY_WORKLOAD_BASED,
    pb.SCALING_STRATEGY_PERFORMANCE_BASED,
    pb.SCALING_STRATEGY_AUTO,
)
Load = tuple[int, float, float, int, int, float]
loads = st.tuples(
    st.integers(0, 20_000),
    st.floats(0, 200),
    st.floats(0, 5_000),
    st.integers(0, 500),
    st.integers(0, 60_000),
    st.floats(0, 3),
)


def drawn(rng: random.Random) -> Load:
    """Return a load: in half of them, nothing waits."""
    return (
        rng.randint(0, 20_000),
        rng.uniform(0, 200),
        rng.choice((0.0, rng.uniform(1, 5_000))),
        rng.choice((0, rng.randint(0, 500))),
        rng.randint(0, 60_000),
        rng.uniform(0, 3),
    )


def policy(strategy: pb.ScalingStrategy.ValueType, least: int, most: int) -> pb.ScalingPolicy:
    return pb.ScalingPolicy(policy="p", spec="s", strategy=strategy, min=least, max=most)


def seen(load: Load, now: int, count: int) -> Seen:
    _, arrivals, service, ready, oldest, used = load
    return Seen(
        now_ms=now,
        count=count,
        slots=4,
        arrivals_per_second=arrivals,
        service_ms=service,
        ready=ready,
        oldest_ms=oldest,
        utilization=(used,) * count,
    )


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_counts_stay_in_bounds_and_pauses_between_steps(part: int) -> None:
    """A step up waits for the pause after the last one up, a step down for that after any."""
    for seed in range(part, HISTORIES, PARTS):
        rng = random.Random(seed)
        least, most = rng.randint(0, 5), rng.randint(5, 40)
        wanted, memory, now, count = policy(rng.choice(STRATEGIES), least, most), Memory(), 0, least
        up = down = -(2**53)
        calm = rng.random()
        load = drawn(rng)
        for step in range(STEPS):
            if rng.random() > calm:
                load = drawn(rng)
            now += load[0]
            found = seen(load, now, count)
            made = decide(wanted, memory, found)
            where = f"seed {seed}, step {step}: {count} to {made.count}"
            assert least <= made.count <= most, where
            if made.count > count:
                assert count == 0 or now - up >= UP_COOLDOWN_MS, where
                assert made.count <= max(2 * count, count + 4), where
                up = now
            elif made.count < count:
                assert now - max(up, down) >= DOWN_COOLDOWN_MS, where
                down = now
            assert made.count or not count or found.idle, where
            memory, count = made.memory, made.count


@pytest.mark.long
@settings(max_examples=HISTORIES, deadline=None)
@given(st.sampled_from(STRATEGIES), loads, loads, st.integers(1, 40))
def test_more_load_never_wishes_fewer_agents(
    strategy: pb.ScalingStrategy.ValueType,
    one: Load,
    other: Load,
    count: int,
) -> None:
    """The wish is monotone in every figure of the load."""
    more: Any = tuple(max(pair) for pair in zip(one, other, strict=True))
    wanted = policy(strategy, 0, 500)
    # A service time of 0 is one that is not known.
    one, more = (*one[:2], one[2] + 1_000, *one[3:]), (*more[:2], more[2] + 1_000, *more[3:])
    low, _ = wish_of(wanted, seen(one, 0, count))
    high, _ = wish_of(wanted, seen(more, 0, count))
    assert low <= high


def test_nothing_to_do_leaves_none_and_the_first_task_wakes_one() -> None:
    """With a minimum of 0, agents end after the idle time and one starts at once."""
    wanted = policy(pb.SCALING_STRATEGY_WORKLOAD_BASED, 0, 5)
    memory, count = Memory(), 3
    for now in range(0, 2 * IDLE_AFTER_MS + 70_000, 2_000):
        made = decide(wanted, memory, Seen(now_ms=now, count=count))
        memory, count = made.memory, made.count
    assert count == 0
    made = decide(wanted, memory, Seen(now_ms=now + 1, count=0, ready=1))
    assert made.count == 1


def test_a_schedule_raises_the_minimum() -> None:
    """Its agents are there at once and stay, though nothing is to do; afterwards they end."""
    wanted = policy(pb.SCALING_STRATEGY_AUTO, 0, 10)
    memory, count, counts = Memory(), 0, {}
    for now in range(0, 4 * WINDOW_MS, 5_000):
        least = 7 if WINDOW_MS <= now < 2 * WINDOW_MS else 0
        made = decide(wanted, memory, Seen(now_ms=now, count=count, scheduled=least))
        memory, count = made.memory, made.count
        counts[now] = count
    assert set(counts.values()) == {0, 7}
    assert (counts[WINDOW_MS - 5_000], counts[WINDOW_MS], counts[2 * WINDOW_MS - 5_000]) == (
        0,
        7,
        7,
    )
    assert counts[2 * WINDOW_MS + DOWN_COOLDOWN_MS] == 0


@pytest.mark.parametrize(
    ("gauges", "wish"),
    [((), 4), ((10.0,) * 4, 4), ((25.0,) * 4, 10), ((5.0,) * 4, 2), ((5.0,), 4), ((100.0,), 10)],
)
def test_a_gauge_asks_for_its_target(gauges: tuple[float, ...], wish: int) -> None:
    """Agents that report nothing count as 0 where the count grows, else as at the target."""
    wanted = policy(pb.SCALING_STRATEGY_AUTO, 1, 50)
    wanted.gauge, wanted.gauge_target = "open-orders", 10.0
    idle = (0.0,) * 4 if gauges else ()
    load = Seen(now_ms=0, count=4, utilization=idle, gauge=gauges)
    assert wish_of(wanted, load)[0] == wish


def test_a_new_policy_keeps_the_agents_for_its_window() -> None:
    """The need for them is not known yet."""
    wanted = policy(pb.SCALING_STRATEGY_WORKLOAD_BASED, 1, 50)
    memory, count, fell = Memory(), 20, 0
    for now in range(0, 2 * WINDOW_MS, 5_000):
        made = decide(wanted, memory, Seen(now_ms=now, count=count, arrivals_per_second=1.0))
        fell = fell or (now if made.count < count else 0)
        memory, count = made.memory, made.count
    assert fell == WINDOW_MS


def test_agents_that_are_a_little_busier_stay_as_they_are() -> None:
    """At 90 % of their slots nothing is added; at 96 %, and where tasks wait, an agent is."""
    wanted = policy(pb.SCALING_STRATEGY_WORKLOAD_BASED, 1, 50)

    def wish(share: float, ready: int = 0) -> int:
        load = Seen(
            now_ms=0, count=10, arrivals_per_second=10 * share, service_ms=1_000, ready=ready
        )
        return wish_of(wanted, load)[0]

    assert (wish(0.9), wish(0.96), wish(0.9, 30)) == (10, 12, 13)


def test_a_clock_that_is_set_back_does_not_freeze_decisions() -> None:
    """A pause never lasts longer than its length."""
    wanted = policy(pb.SCALING_STRATEGY_WORKLOAD_BASED, 1, 50)
    far = {"up_ms": 10**12, "down_ms": 10**12, "busy_ms": 10**12, "wishes": [[10**12, 50]]}
    memory = Memory.of(far, 1_000)
    assert decide(wanted, memory, Seen(now_ms=1_000, count=1, ready=400)).count == 1
    assert decide(wanted, memory, Seen(now_ms=7_000, count=1, ready=400)).count > 1
