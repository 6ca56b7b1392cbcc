"""Least agents at times of the day or week."""

from functools import lru_cache
from typing import Final

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.triggers import Schedule

KEPT: Final = 1_000


@lru_cache(KEPT)
def schedule_of(cron: str, time_zone: str) -> Schedule:
    """Return a schedule. Raises ScheduleInvalid."""
    return Schedule(cron, time_zone)


def scheduled(policy: pb.ScalingPolicy, at_us: int) -> int:
    """Return the least agents that the schedule of a policy has at a time."""
    return max((each.min for each in policy.schedule if _holds(each, at_us)), default=0)


def _holds(each: pb.ScheduledMinimum, at_us: int) -> bool:
    schedule = schedule_of(each.cron, each.time_zone)
    begun_us = schedule.next_after(at_us - each.duration_ms * 1_000)
    return begun_us is not None and begun_us <= at_us
