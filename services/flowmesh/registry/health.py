"""How an instance is, derived from what it said last and how long ago. Pure; stores nothing."""

from dataclasses import dataclass

from flowmesh.api.registry.v1 import registry_service_pb2 as pb

# Ages of the last heartbeat, in heartbeat intervals. A heartbeat counts as missed when the next
# one is due too, so that a late one alone changes nothing.
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
    """One instance as stored; times in microseconds on the store's clock."""

    instance: pb.Instance
    interval_ms: int
    registered_at_us: int
    heartbeat_at_us: int
    said: "pb.InstanceStatus.ValueType"
    left: bool


def derive(record: Record, now_us: int) -> "pb.InstanceStatus.ValueType":
    """The worse of what the instance says and what its silence says."""
    if record.left:
        return pb.INSTANCE_STATUS_OFFLINE
    by_age = _by_age(record, now_us)
    # What a newer version may say is no reason to turn away from an instance that lives.
    said = record.said if record.said in _SEVERITY else pb.INSTANCE_STATUS_HEALTHY
    return _SEVERITY[max(_SEVERITY.index(by_age), _SEVERITY.index(said))]


def next_change_us(record: Record, now_us: int) -> int | None:
    """When silence alone would change the status next; None when it cannot any more."""
    if record.left:
        return None
    for intervals in (DEGRADED_INTERVALS, UNHEALTHY_INTERVALS, LEASE_INTERVALS):
        at_us = record.heartbeat_at_us + intervals * record.interval_ms * 1_000
        if at_us >= now_us:
            return at_us + 1
    return None


def instance_message(record: Record, now_us: int) -> pb.Instance:
    """The instance with its times and derived status."""
    message = pb.Instance()
    message.CopyFrom(record.instance)
    message.status = derive(record, now_us)
    message.registered_at_us = record.registered_at_us
    message.heartbeat_at_us = record.heartbeat_at_us
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
