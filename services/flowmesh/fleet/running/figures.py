"""Figures for decisions: queues of the orchestrator, use of the limits by agents."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from flowmesh.access import acting_as
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.fleet.driving.driver import Observed
from flowmesh.fleet.scaling.decide import Seen
from flowmesh.fleet.scaling.schedules import scheduled
from flowmesh.fleet.storage.records import AgentRow, SpecRow
from flowmesh.runtime import Clock

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceAsyncStub

# Weight of the newest share of processor time.
NEWEST = 0.5


class Figures:
    """Reads queues, and turns processor time into shares."""

    def __init__(
        self, queues: "LimitServiceAsyncStub", time_of_day_us: Callable[[], int] = Clock().now_us
    ) -> None:
        self._queues, self._time_of_day_us = queues, time_of_day_us
        self._shares: dict[str, tuple[float, float, float]] = {}

    async def queues(self, namespace: str) -> Sequence[pb.QueueStats]:
        """Return the queues of a namespace."""
        with acting_as(None):
            answer = await self._queues.ListQueues(pb.ListQueuesRequest(namespace=namespace))
        return list(answer.queues)

    def measure(self, seen: Mapping[str, Observed]) -> list[tuple[str, float, int]]:
        """Return the share of one processor and the memory of each agent that runs."""
        now = time.monotonic()
        shares: dict[str, tuple[float, float, float]] = {}
        for agent_id, process in seen.items():
            if process.code is not None:
                continue
            at, used, share = self._shares.get(agent_id, (now, process.cpu_s, 0.0))
            if now > at:
                share += NEWEST * ((process.cpu_s - used) / (now - at) - share)
            shares[agent_id] = (now, process.cpu_s, share)
        self._shares = shares
        return [(each, shares[each][2], seen[each].memory) for each in shares]

    def seen(
        self,
        policy: agent_pb2.ScalingPolicy,
        spec: SpecRow,
        agents: Sequence[AgentRow],
        queues: Sequence[pb.QueueStats],
        quota: int | None,
        now_ms: int,
    ) -> Seen:
        """Return what a decision about a spec is made of."""
        content = spec.content
        mine = [each for each in queues if serves(content, each)]
        measured = [each for each in agents if each.state == agent_pb2.AGENT_STATE_READY]
        busiest = max(mine, key=lambda each: each.arrivals_per_second, default=pb.QueueStats())
        return Seen(
            now_ms=now_ms,
            count=spec.wanted,
            starting=sum(not each.ready_at_us for each in agents),
            slots=content.slots or 1,
            arrivals_per_second=sum(each.arrivals_per_second for each in mine),
            service_ms=busiest.service_ms,
            ready=sum(each.ready - each.waiting_for_limits - each.stopped for each in mine),
            running=sum(each.running for each in mine),
            oldest_ms=max((each.oldest_ms for each in mine), default=0),
            utilization=tuple(utilization(content.limits, each) for each in measured),
            gauge=tuple(
                each.gauges[policy.gauge] for each in measured if policy.gauge in each.gauges
            ),
            scheduled=scheduled(policy, self._time_of_day_us()),
            quota=quota,
        )


def serves(content: agent_pb2.AgentSpec, queue: pb.QueueStats) -> bool:
    """Return whether agents of a spec take tasks of a queue and type."""
    takes = not content.task_types or queue.task_type in content.task_types
    return takes and queue.queue in (content.queues or ("default",))


def utilization(bounds: agent_pb2.AgentLimits, agent: AgentRow) -> float:
    """Return the used share of the processor limit or of the memory limit, the higher one."""
    memory = agent.memory_bytes / bounds.memory_bytes if bounds.memory_bytes else 0.0
    return max(agent.cpu / (bounds.cpu or 1.0), memory)
