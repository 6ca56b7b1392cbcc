"""The health of an instance, derived from its last heartbeat and the age of it. Pure."""

from dataclasses import dataclass

from flowmesh.api.registry.v1 import registry_service_pb2 as pb

# Ages of the last heartbeat, in heartbeat intervals. A heartbeat counts as missed only when the
# next one is due too, so that a late one changes nothing.
DEGRADED_INTERVALS = 2
UNHEALTHY_INTERVALS = 4
LEASE_INTERVALS = 6

_SEVERITY: tuple["pb.InstanceStatus.ValueType", ...] = (
    pb.INSTANCE_STATUS_HEALTHY,
    pb.INSTANCE_STATUS_DEGRADED,
    pb.INSTANCE_STATUS_UNHEALTHY,
    pb.INSTANCE_STATUS_OFFLINE,
)


@dataclass(frozen=True, slots=True)
class Record:
    """An instance as stored; times in microseconds of the clock of the store."""

    instance: pb.Instance
    interval_ms: int
    registered_at_us: int
    heartbeat_at_us: int
    reported: "pb.InstanceStatus.ValueType"
    left: bool
    draining: bool = False
    checked: "pb.InstanceStatus.ValueType" = pb.INSTANCE_STATUS_UNSPECIFIED
    problem: str = ""


def derive(record: Record, now_us: int) -> "pb.InstanceStatus.ValueType":
    """Return the worst of the reported status, that of checks, and that by age of the heartbeat.

    A draining instance is unhealthy at best.
    """
    if record.left:
        return pb.INSTANCE_STATUS_OFFLINE
    drained = pb.INSTANCE_STATUS_UNHEALTHY if record.draining else pb.INSTANCE_STATUS_HEALTHY
    known = (_by_age(record, now_us), drained, record.reported, record.checked)
    # An unknown status of a newer version counts as healthy: the instance is alive.
    return _SEVERITY[max(_SEVERITY.index(each) for each in known if each in _SEVERITY)]


def next_change_us(record: Record, now_us: int) -> int | None:
    """Return the time of the next status change without a heartbeat, or None if there is none."""
    if record.left:
        return None
    for intervals in (DEGRADED_INTERVALS, UNHEALTHY_INTERVALS, LEASE_INTERVALS):
        at_us = record.heartbeat_at_us + intervals * record.interval_ms * 1_000
        if at_us >= now_us:
            return at_us + 1
    return None


def instance_message(record: Record, now_us: int) -> pb.Instance:
    """Return the instance with its times and derived status."""
    message = pb.Instance()
    message.CopyFrom(record.instance)
    message.status = derive(record, now_us)
    message.registered_at_us = record.registered_at_us
    message.heartbeat_at_us = record.heartbeat_at_us
    message.draining = record.draining
    message.check_problem = record.problem
    return message


def _by_age(record: Record, now_us: int) -> "pb.InstanceStatus.ValueType":
    age_us = now_us - record.heartbeat_at_us
    interval_us = record.interval_ms * 1_000
    if age_us > LEASE_INTERVALS * interval_us:
        return pb.INSTANCE_STATUS_OFFLINE
    if age_us > UNHEALTHY_INTERVALS * interval_us:
        return pb.INSTANCE_STATUS_UNHEALTHY
    if age_us > DEGRADED_INTERVALS * interval_us:
        return pb.INSTANCE_STATUS_DEGRADED
    return pb.INSTANCE_STATUS_HEALTHY
