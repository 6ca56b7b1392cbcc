"""Faults at random, one after the other, on a cluster that is never given time to be whole."""

import os
import random
import signal
from functools import partial

import pytest

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import done
from tests.drills.breaking import drill
from tests.guarantees.conftest import Worlds

ROUNDS = 12
SEED = int(os.environ.get("FLOWMESH_STORM_SEED", "20261120"))
MEMBERS = (
    "orchestrator-1",
    "orchestrator-2",
    "worker-1",
    "worker-2",
    "event",
    "gateway",
    "registry",
    "definition",
)
SERVERS = ("postgres", "nats", "redis")
# Each fault of a round may catch a delivery before it is committed.
FAULTS_MAX = 3
UP_WITHIN_S = 60.0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.feature("S2-53", "S2-54", "S3-104")
@pytest.mark.fault("F1", "F2", "F3", "F4", "F5", "F6", "F9", "F14", "F20")
async def test_a_storm_of_kills_costs_nothing(cluster: Cluster, world_of: Worlds) -> None:
    """One to three processes or servers die in each round; after each everything adds up."""
    draw = random.Random(SEED)
    for number in range(ROUNDS):
        victims = draw.sample((*MEMBERS, *SERVERS), draw.randint(1, FAULTS_MAX))
        for member in MEMBERS:
            await done(f"{member} up", partial(pid, cluster, member), within_s=UP_WITHIN_S)
        fault = f"round {number + 1} of seed {SEED}: {', '.join(victims)}"
        async with world_of() as world, drill(cluster, world, fault) as running:
            await running.in_flight()
            for victim in victims:
                os.kill(pid(cluster, victim), signal.SIGKILL)
            running.breaks()
            await running.finish(extra_deliveries=len(victims))


def pid(cluster: Cluster, name: str) -> int:
    return cluster.pids[name] if name in SERVERS else cluster.member(name).pid
