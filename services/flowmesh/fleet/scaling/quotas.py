"""The agents that a quota leaves to a spec."""

import math
from collections.abc import Iterable

from flowmesh.api.fleet.v1 import agent_pb2 as pb

Held = tuple[int, pb.AgentLimits]


def used_of(held: Iterable[Held]) -> pb.AgentQuota:
    """Return what counts of agents with their limits use."""
    found = pb.AgentQuota()
    for count, limits in held:
        found.agents += count
        found.cpu += count * limits.cpu
        found.memory_bytes += count * limits.memory_bytes
    return found


def left_of(quota: pb.AgentQuota, others: Iterable[Held], limits: pb.AgentLimits) -> int | None:
    """Return the most agents beside the others; None without a bound.

    An agent without a limit cannot be counted against a quota of what it limits.
    """
    used = used_of(others)
    bounds: list[float] = []
    if quota.agents:
        bounds.append(quota.agents - used.agents)
    for most, taken, each in (
        (quota.cpu, used.cpu, limits.cpu),
        (quota.memory_bytes, used.memory_bytes, limits.memory_bytes),
    ):
        if most:
            bounds.append((most - taken) / each + 1e-6 if each else 0)
    return max(math.floor(min(bounds)), 0) if bounds else None
