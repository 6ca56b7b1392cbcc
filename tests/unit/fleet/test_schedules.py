"""Least agents at times of the day or week."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet.scaling.schedules import scheduled

POLICY = pb.ScalingPolicy(
    schedule=[
        pb.ScheduledMinimum(
            cron="0 8 * * 1-5", time_zone="Europe/Berlin", duration_ms=10 * 3_600_000, min=5
        ),
        pb.ScheduledMinimum(
            cron="30 9 * * *", time_zone="Europe/Berlin", duration_ms=60_000, min=8
        ),
    ]
)


@pytest.mark.parametrize(
    ("at", "least"),
    [
        ("2026-11-27 07:59:59", 0),
        ("2026-11-27 08:00:00", 5),
        ("2026-11-27 09:30:30", 8),
        ("2026-11-27 09:31:00", 5),
        ("2026-11-27 17:59:59", 5),
        ("2026-11-27 18:00:00", 0),
        # A Saturday, and a day of the summer.
        ("2026-11-28 12:00:00", 0),
        ("2026-07-01 08:00:00", 5),
    ],
)
def test_the_highest_minimum_of_the_time_holds(at: str, least: int) -> None:
    """From the instant on, until the time is over."""
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert scheduled(POLICY, round(moment.timestamp() * 1_000_000)) == least
