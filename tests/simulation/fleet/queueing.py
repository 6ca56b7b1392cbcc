"""A queue, agents that need 5 s to start, and a policy that decides every 5 s: one hour of it."""

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.scaling.decide import Memory, Seen, decide

SLOTS, SERVICE_S, START_S, DECIDE_S, HOUR_S = 4, 1.0, 5, 5, 3_600
TICKS = 10
Load = Callable[[int], float]


@dataclass(slots=True)
class Outcome:
    """What an hour was like."""

    turns: int = 0
    waits: list[float] = field(default_factory=list)
    agent_seconds: float = 0.0
    needed_seconds: float = 0.0
    counts: list[int] = field(default_factory=list)

    @property
    def p99_s(self) -> float:
        return sorted(self.waits)[int(0.99 * (len(self.waits) - 1))]

    @property
    def cost(self) -> float:
        """Agents by time, divided by the need."""
        return self.agent_seconds / self.needed_seconds


def simulate(load: Load, policy: pb.ScalingPolicy, seed: int) -> Outcome:
    """Return the outcome of an hour; arrivals and service times are drawn."""
    rng, outcome = random.Random(seed), Outcome()
    waiting: deque[float] = deque()
    ends: list[float] = []
    arrived: deque[float] = deque()
    served: deque[float] = deque(maxlen=200)
    count, memory, direction = math.ceil(load(0) * SERVICE_S / (0.8 * SLOTS)), Memory(), 0
    born: list[float] = [-START_S] * count
    for tick in range(HOUR_S * TICKS):
        now = tick / TICKS
        drawn = _poisson(rng, load(tick // TICKS) / TICKS)
        arrived.extend([now] * drawn)
        waiting.extend([now] * drawn)
        while ends and ends[0] <= now:
            heappop(ends)
        ready = sum(now - each >= START_S for each in born)
        while waiting and len(ends) < ready * SLOTS:
            outcome.waits.append(now - waiting.popleft())
            took = rng.expovariate(1 / SERVICE_S)
            served.append(took)
            heappush(ends, now + took)
            outcome.needed_seconds += took / SLOTS
        outcome.agent_seconds += count / TICKS
        if tick % (DECIDE_S * TICKS) == 0:
            while arrived and arrived[0] < now - 60:
                arrived.popleft()
            made = decide(policy, memory, Seen(
                now_ms=round(now * 1_000),
                count=count,
                starting=count - ready,
                slots=SLOTS,
                arrivals_per_second=len(arrived) / min(max(now, 1), 60),
                service_ms=1_000 * sum(served) / len(served) if served else 0.0,
                ready=len(waiting),
                running=len(ends),
                oldest_ms=round(1_000 * (now - waiting[0])) if waiting else 0,
            ))  # fmt: skip
            memory, step = made.memory, (made.count > count) - (made.count < count)
            outcome.turns += step != 0 and direction not in (0, step)
            direction = step or direction
            born = born[: made.count] + [now] * (made.count - count)
            count = made.count
            outcome.counts.append(count)
    return outcome


def _poisson(rng: random.Random, mean: float) -> int:
    """Return a number of arrivals within a second."""
    passed, found = rng.expovariate(1.0), 0
    while passed < mean:
        passed += rng.expovariate(1.0)
        found += 1
    return found
