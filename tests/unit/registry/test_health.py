"""Health is derived from the reported status and the age of the heartbeat."""

from typing import cast

import pytest

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.registry.health import Record, derive, next_change_us

BEAT_US = 1_000_000_000
INTERVAL_MS = 100
INTERVAL_US = INTERVAL_MS * 1_000


def record(
    said: "pb.InstanceStatus.ValueType" = pb.INSTANCE_STATUS_UNSPECIFIED, *, left: bool = False
) -> Record:
    return Record(pb.Instance(id="a"), INTERVAL_MS, BEAT_US, BEAT_US, said, left)


@pytest.mark.parametrize(
    ("intervals", "status"),
    [
        (0, pb.INSTANCE_STATUS_HEALTHY),
        (1.9, pb.INSTANCE_STATUS_HEALTHY),
        (2.1, pb.INSTANCE_STATUS_DEGRADED),
        (4.1, pb.INSTANCE_STATUS_UNHEALTHY),
        (6.1, pb.INSTANCE_STATUS_OFFLINE),
    ],
)
def test_silence_makes_an_instance_worse(intervals: float, status: int) -> None:
    """One missed heartbeat means degraded, three unhealthy, the end of the lease offline."""
    assert derive(record(), BEAT_US + int(intervals * INTERVAL_US)) == status


@pytest.mark.parametrize("said", pb.InstanceStatus.values())
def test_a_worse_reported_status_is_used(said: int) -> None:
    """A fresh heartbeat carries the reported status; unspecified means healthy."""
    expected = said or pb.INSTANCE_STATUS_HEALTHY
    assert derive(record(cast("pb.InstanceStatus.ValueType", said)), BEAT_US) == expected


def test_silence_outweighs_a_healthy_report() -> None:
    """An old healthy report does not count."""
    assert (
        derive(record(pb.INSTANCE_STATUS_HEALTHY), BEAT_US + 5 * INTERVAL_US)
        == pb.INSTANCE_STATUS_UNHEALTHY
    )


def test_a_deregistered_instance_is_offline_at_once() -> None:
    """Deregistration does not wait for the lease."""
    assert derive(record(left=True), BEAT_US) == pb.INSTANCE_STATUS_OFFLINE
    assert next_change_us(record(left=True), BEAT_US) is None


def test_the_next_change_is_the_moment_the_status_differs() -> None:
    """The status changes exactly then, not before."""
    now_us, seen = BEAT_US, []
    while (change_us := next_change_us(record(), now_us)) is not None:
        assert derive(record(), change_us - 1) == derive(record(), now_us)
        now_us = change_us
        seen.append(derive(record(), now_us))
    assert seen == [
        pb.INSTANCE_STATUS_DEGRADED,
        pb.INSTANCE_STATUS_UNHEALTHY,
        pb.INSTANCE_STATUS_OFFLINE,
    ]
