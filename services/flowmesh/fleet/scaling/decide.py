"""The count of agents that a policy wants.

A strategy gives a wish; bounds hold it in this order: tolerance, quota, minimum and maximum, the
highest wish of the window, the rate of one step, the pauses between steps. Clock and figures are
passed in.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flowmesh.api.fleet.v1 import agent_pb2 as pb

TOLERANCE: Final = 0.1
# So many times the wish run before a step down.
DOWN_FACTOR: Final = 4 / 3
# Share of busy slots that arrivals may lead to, and the time in which a backlog is to be gone.
BUSY_SHARE: Final = 0.8
FULL_SHARE: Final = 0.95
BACKLOG_S: Final = 30.0
# Of a queue none of whose tasks has ended yet.
SERVICE_MS: Final = 1_000.0
STEP_UP: Final = 4
WAIT_TARGET_MS: Final = 5_000
UTILIZATION_PERCENT: Final = 70
UP_COOLDOWN_MS: Final = 5_000
DOWN_COOLDOWN_MS: Final = 60_000
WINDOW_MS: Final = 300_000
IDLE_AFTER_MS: Final = 60_000
NEVER: Final = -(2**53)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is seen of the agents of a spec and of the queues of their tasks."""

    now_ms: int
    # Agents that run or start, and those of them that start.
    count: int
    starting: int = 0
    slots: int = 1
    arrivals_per_second: float = 0.0
    service_ms: float = 0.0
    ready: int = 0
    running: int = 0
    oldest_ms: int = 0
    # Shares of the limits, one by agent that was measured: the higher of processor and memory.
    utilization: tuple[float, ...] = ()
    # The gauge of the policy, of each agent that reported it.
    gauge: tuple[float, ...] = ()
    # Least agents that the schedule of the policy has now.
    scheduled: int = 0
    # Agents that the quota of the namespace leaves to the spec.
    quota: int | None = None

    @property
    def idle(self) -> bool:
        return not (self.ready or self.running)


@dataclass(frozen=True, slots=True)
class Memory:
    """The state of a policy between decisions."""

    up_ms: int = NEVER
    down_ms: int = NEVER
    busy_ms: int = NEVER
    wishes: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, stored: Mapping[str, Any], now_ms: int) -> "Memory":
        """Read a stored state; times after now are those of a clock that was set back."""
        wishes = stored.get("wishes", ())
        return cls(
            min(stored.get("up_ms", NEVER), now_ms),
            min(stored.get("down_ms", NEVER), now_ms),
            min(stored.get("busy_ms", NEVER), now_ms),
            tuple((min(at, now_ms), wish) for at, wish in wishes),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The count, what the strategy wished, and the bounds that held it."""

    count: int
    wish: int
    reason: str
    held: tuple[str, ...] = ()
    memory: Memory = field(default_factory=Memory)


def decide(policy: pb.ScalingPolicy, memory: Memory, seen: Seen) -> Decision:
    """Return the count of agents and the state after it."""
    wish, reason = wish_of(policy, seen)
    now, count = seen.now_ms, seen.count
    busy_ms = memory.busy_ms if seen.idle and memory.busy_ms != NEVER else now
    # Arrivals of the last minute do not keep agents that have nothing to do.
    by_tasks = policy.strategy != pb.SCALING_STRATEGY_PERFORMANCE_BASED
    zero = seen.idle and (by_tasks or wish == 0) and not any(seen.gauge)
    least, most = bounds_of(policy, seen)
    asleep = not least and zero and now - busy_ms >= (policy.idle_after_ms or IDLE_AFTER_MS)
    found, held = _bounded(least, most, wish, seen, asleep=asleep)
    window_ms = policy.window_ms or WINDOW_MS
    # The count before the first decision is a wish too, of someone who may have known why.
    known = memory.wishes if memory.busy_ms != NEVER else ((now, count),)
    recent = [each for each in known if each[0] > now - window_ms]
    wishes = () if asleep else (*_higher(recent, found), (now, found))
    memory = replace(memory, busy_ms=busy_ms, wishes=wishes)
    before = max((each[1] for each in wishes), default=found)
    outside = not least <= count <= most
    if found < count and not outside and before > found:
        found, held = min(before, count), (*held, "WINDOW")
    # A small step down is soon taken back.
    if not outside and not asleep and count > found > count / DOWN_FACTOR:
        found, held = count, (*held, "TOLERANCE")
    lowest, highest = count // 2, max(2 * count, count + STEP_UP)
    if not outside and not asleep and not lowest <= found <= highest:
        found, held = min(max(found, lowest), highest), (*held, "RATE")
    if found != count and not outside:
        wait = _pause(policy, memory, seen, up=found > count)
        if wait > 0:
            found, held = count, (*held, f"COOLDOWN {math.ceil(wait / 1_000)} s")
    if found > count:
        memory = replace(memory, up_ms=now)
    elif found < count:
        memory = replace(memory, down_ms=now)
    return Decision(found, wish, reason, held, memory)


def wish_of(policy: pb.ScalingPolicy, seen: Seen) -> tuple[int, str]:
    """Return the agents that the strategy asks for, and why."""
    workload, performance = _workload(policy, seen), _performance(policy, seen)
    if policy.strategy == pb.SCALING_STRATEGY_WORKLOAD_BASED:
        return workload
    if policy.strategy == pb.SCALING_STRATEGY_PERFORMANCE_BASED:
        return performance
    return max(workload, performance, _gauge(policy, seen))


def bounds_of(policy: pb.ScalingPolicy, seen: Seen) -> tuple[int, int]:
    """Return the fewest and the most agents that the policy admits now."""
    return max(policy.min, seen.scheduled), policy.max


def _workload(policy: pb.ScalingPolicy, seen: Seen) -> tuple[int, str]:
    service_s = (seen.service_ms or SERVICE_MS) / 1_000
    flow = seen.arrivals_per_second * service_s / BUSY_SHARE
    backlog = seen.ready * service_s / BACKLOG_S
    steady = _ceil((flow + backlog) / seen.slots)
    # Agents that are a little busier than wanted are enough.
    if steady > seen.count >= _ceil((flow * BUSY_SHARE / FULL_SHARE + backlog) / seen.slots):
        steady = seen.count
    wish = max(
        steady,
        # Without a known duration, the tasks that run are the only measure.
        0 if seen.service_ms else _ceil(seen.running / seen.slots),
        1 if seen.ready or seen.running else 0,
    )
    target = policy.wait_target_ms or WAIT_TARGET_MS
    # Agents that start are the answer to the wait already.
    if seen.oldest_ms > target and seen.ready and not seen.starting:
        late = _ceil(max(seen.count, 1) * min(2.0, seen.oldest_ms / target))
        # No more than those that work the backlog off within the target.
        late = min(late, _ceil((flow + 1_000 * seen.ready * service_s / target) / seen.slots))
        if late > wish:
            return late, f"the oldest task waits {seen.oldest_ms / 1_000:.1f} s"
    return wish, (
        f"{seen.arrivals_per_second:.1f} tasks/s of {service_s:.2f} s, {seen.ready} wait,"
        f" {seen.running} run"
    )


def _performance(policy: pb.ScalingPolicy, seen: Seen) -> tuple[int, str]:
    target = (policy.utilization_percent or UTILIZATION_PERCENT) / 100
    if not seen.utilization or seen.count <= seen.starting:
        return seen.count, "no agent is measured"
    mean = sum(seen.utilization) / len(seen.utilization)
    reason = f"{mean:.0%} of processor or memory in use, {target:.0%} is the target"
    return _shared(seen.utilization, target, seen), reason


def _gauge(policy: pb.ScalingPolicy, seen: Seen) -> tuple[int, str]:
    if not seen.gauge or seen.count <= seen.starting:
        return 0, ""
    mean = sum(seen.gauge) / len(seen.gauge)
    reason = f"{policy.gauge} is {mean:.4g}, {policy.gauge_target:.4g} is the target"
    return _shared(seen.gauge, policy.gauge_target, seen), reason


def _shared(figures: tuple[float, ...], target: float, seen: Seen) -> int:
    """Return the agents that bring the mean of a figure to its target."""
    settled = seen.count - seen.starting
    # Agents that say nothing have 0 when the count grows, and the target when it shrinks.
    grown = sum(figures) / target
    if grown > settled:
        return _ceil(grown) + seen.starting
    silent = max(settled - len(figures), 0)
    return min(_ceil(grown + silent) + seen.starting, seen.count)


def _bounded(
    least: int, most: int, wish: int, seen: Seen, *, asleep: bool
) -> tuple[int, tuple[str, ...]]:
    """Apply the tolerance, the quota, the minimum and the maximum."""
    found = 0 if asleep else wish
    held: tuple[str, ...] = ()
    if found != seen.count and abs(found - seen.count) <= TOLERANCE * seen.count:
        found, held = seen.count, ("TOLERANCE",)
    if seen.quota is not None and found > seen.quota:
        found, held = seen.quota, (*held, "QUOTA")
    if found == 0 and not asleep and least == 0 and seen.count:
        found, held = 1, (*held, "IDLE")
    if found < least:
        found, held = least, (*held, "MIN")
    if found > most:
        found, held = most, (*held, "MAX")
    if seen.quota is not None and found > seen.quota:
        found, held = seen.quota, (*held, "QUOTA")
    return found, held


def _pause(policy: pb.ScalingPolicy, memory: Memory, seen: Seen, *, up: bool) -> int:
    """Return the time until a step is allowed, in ms."""
    if up and seen.count == 0:
        return 0
    if up:
        return memory.up_ms + (policy.up_cooldown_ms or UP_COOLDOWN_MS) - seen.now_ms
    last = max(memory.up_ms, memory.down_ms)
    return last + (policy.down_cooldown_ms or DOWN_COOLDOWN_MS) - seen.now_ms


def _higher(wishes: list[tuple[int, int]], found: int) -> list[tuple[int, int]]:
    """Return the former wishes that can still be the highest of a window."""
    return [each for each in wishes if each[1] > found]


def _ceil(value: float) -> int:
    return math.ceil(value - 1e-9)
