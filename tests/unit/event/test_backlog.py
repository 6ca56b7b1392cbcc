"""What waits for one subscriber is bounded."""

import pytest

from flowmesh.errors import Overloaded
from flowmesh.event.subscriptions.backlog import BYTES_MAX, EVENTS_MAX, Backlog


async def test_everything_that_waits_is_taken_at_once() -> None:
    """In the order in which it came."""
    backlog: Backlog[str] = Backlog()
    backlog.put("a", events=1, size=1)
    backlog.put("b", events=1, size=1)
    assert await backlog.take() == ["a", "b"]


@pytest.mark.parametrize(("events", "size"), [(EVENTS_MAX, 1), (1, BYTES_MAX)])
async def test_too_many_events_or_bytes_end_it(events: int, size: int) -> None:
    """What waits is given up, and the reader is told the reason."""
    backlog: Backlog[str] = Backlog()
    backlog.put("a", events=events, size=size)
    backlog.put("b", events=1, size=1)
    backlog.put("c", events=1, size=1)
    with pytest.raises(Overloaded) as refused:
        await backlog.take()
    assert refused.value.reason == "SLOW_CONSUMER"


async def test_one_large_item_is_not_too_much() -> None:
    """A reader that waits for it gets it."""
    backlog: Backlog[str] = Backlog()
    backlog.put("a", events=EVENTS_MAX + 1, size=BYTES_MAX + 1)
    assert await backlog.take() == ["a"]


async def test_a_cleared_backlog_is_as_new() -> None:
    """Nothing is left of an overflow."""
    backlog: Backlog[str] = Backlog()
    for _ in range(2):
        backlog.put("a", events=EVENTS_MAX, size=1)
    assert backlog.overflowed
    backlog.clear()
    backlog.put("b", events=1, size=1)
    assert await backlog.take() == ["b"]
