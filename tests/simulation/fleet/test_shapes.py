"""The default bounds of scaling hold the figures of their table for each shape of load."""

import math
import random

import pytest

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from tests.simulation.fleet.queueing import Load, simulate

SEEDS = (1, 2, 3)
POLICY = pb.ScalingPolicy(
    policy="p", spec="s", strategy=pb.SCALING_STRATEGY_WORKLOAD_BASED, min=1, max=100
)


def step(second: int) -> float:
    return 5.0 if second < 600 else 60.0


def sine(second: int) -> float:
    return 40 + 30 * math.sin(2 * math.pi * second / 1_200)


def spike(second: int) -> float:
    return 100.0 if 1_200 <= second < 1_260 else 5.0


def noise(second: int) -> float:
    return random.Random(second // 10).uniform(0, 60)


@pytest.mark.long
@pytest.mark.parametrize(
    ("load", "turns", "p99_s", "cost"),
    [
        (lambda _: 20.0, 1, 0.8, 1.5),
        (step, 1, 2.0, 1.8),
        (sine, 6, 3.5, 2.0),
        (spike, 1, 15.8, 7.5),
        (noise, 3, 5.0, 5.1),
    ],
    ids=["constant", "step", "sine", "spike", "noise"],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_shape_of_load_is_followed_without_flapping(
    load: Load, turns: int, p99_s: float, cost: float, seed: int
) -> None:
    """Few changes of direction in an hour, short waits, and few agents more than needed."""
    found = simulate(load, POLICY, seed)
    figures = f"seed {seed}: {found.turns} turns, p99 {found.p99_s} s, cost {found.cost:.2f}"
    assert found.turns <= turns, figures
    assert found.p99_s <= p99_s, figures
    assert found.cost <= cost, figures
