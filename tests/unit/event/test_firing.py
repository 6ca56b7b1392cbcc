"""Firings of a schedule whose instant is due, or overdue."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import trigger_pb2 as pb
from flowmesh.event.triggers.firing import Due, due_of

MINUTE = 60 * 1_000_000
NOON = int(datetime(2027, 1, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000


def due(
    now_us: int,
    *,
    first_us: int = NOON,
    expression: str = "* * * * *",
    template: bytes = b"",
    **cron: Any,
) -> Due:
    cron_trigger = pb.CronTrigger(expression=expression, **cron)
    trigger = pb.Trigger(id="t", cron=cron_trigger, input_template=template)
    row = {
        "namespace": "default",
        "workflow": "w",
        "id": "t",
        "body": trigger.SerializeToString(),
        "next_us": first_us,
        "now_us": now_us,
    }
    return due_of(row)


def fired(found: Due) -> list[int]:
    return [(each.at_us - NOON) // MINUTE for each in found.firings]


def test_an_instant_fires_and_the_next_one_is_set() -> None:
    """With an input that contains the instant."""
    found = due(NOON + 5)
    assert (fired(found), found.missed, found.next_us) == ([0], 0, NOON + MINUTE)
    assert orjson.loads(found.firings[0].input)["scheduledAt"] == "2027-01-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("policy", "most", "expected", "missed"),
    [
        (pb.CATCH_UP_UNSPECIFIED, 0, [59, 60], 59),
        (pb.CATCH_UP_ONE, 0, [60], 60),
        (pb.CATCH_UP_ALL, 3, [58, 59, 60], 58),
        (pb.CATCH_UP_ALL, 100, list(range(61)), 0),
    ],
)
def test_missed_instants_fire_by_the_catch_up_policy(
    policy: int, most: int, expected: list[int], missed: int
) -> None:
    """After an outage of an hour; instants in the last minute are not missed."""
    found = due(NOON + 60 * MINUTE, catch_up=policy, catch_up_max=most)
    assert (fired(found), found.missed) == (expected, missed)
    assert found.next_us == NOON + 61 * MINUTE


def test_a_rare_schedule_that_is_hours_late_fires_nothing_unless_it_catches_up() -> None:
    """Once a day, three hours late."""
    late = NOON + 180 * MINUTE
    found = due(late, expression="0 12 * * *")
    assert (fired(found), found.missed) == ([], 1)
    assert fired(due(late, expression="0 12 * * *", catch_up=pb.CATCH_UP_ONE)) == [0]


def test_a_clock_set_back_repeats_no_instant() -> None:
    """The next instant is after the last one, independent of the clock."""
    found = due(NOON + 5)
    assert found.next_us is not None
    back = due(found.next_us, first_us=found.next_us)
    assert fired(back) == [1]


def test_years_of_seconds_are_bounded() -> None:
    """Both the firings and the count of missed instants are limited."""
    year = 365 * 24 * 60 * MINUTE
    found = due(NOON + year, expression="* * * * * *", catch_up=pb.CATCH_UP_ALL, catch_up_max=1_000)
    assert (len(found.firings), found.missed) == (1_000, 1_000)


def test_the_same_instant_is_the_same_start() -> None:
    """The request id is derived from the trigger and the instant."""
    (first,), (again,) = due(NOON).firings, due(NOON + 3).firings
    assert first.id == again.id
    (other,) = due(NOON + MINUTE, first_us=NOON + MINUTE).firings
    assert other.id != first.id


def test_an_instant_without_an_input_is_missed_for_a_reason() -> None:
    """The problem of the trigger names its template; the schedule continues."""
    template = b'{"n": "{{trigger.scheduledAt.deep}}"}'
    found = due(NOON, template=template)
    assert (found.firings, found.missed, found.next_us) == ([], 1, NOON + MINUTE)
    (each,) = found.misfits
    assert (each.trigger, each.misfit.refused) == ("t", True)
    assert str(each.misfit).startswith("INPUT_INVALID")
