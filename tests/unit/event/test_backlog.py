"""The pending items of a subscriber are bounded."""

import pytest

from flowmesh.errors import Overloaded
from flowmesh.event.live.backlog import BYTES_MAX, EVENTS_MAX, Backlog


async def test_all_pending_items_are_taken_at_once() -> None:
    """In the order of their arrival."""
    backlog: Backlog[str] = Backlog()
    backlog.put("a", events=1, size=1)
    backlog.put("b", events=1, size=1)
    assert await backlog.take() == ["a", "b"]


@pytest.mark.parametrize(("events", "size"), [(EVENTS_MAX, 1), (1, BYTES_MAX)])
async def test_too_many_events_or_bytes_overflow(events: int, size: int) -> None:
    """Pending items are dropped, and the reader gets the reason."""
    backlog: Backlog[str] = Backlog()
    backlog.put("a", events=events, size=size)
    backlog.put("b", events=1, size=1)
    backlog.put("c", events=1, size=1)
    with pytest.raises(Overloaded) as refused:
        await backlog.take()
    assert refused.value.reason == "SLOW_CONSUMER"


async def test_one_large_item_does_not_overflow() -> None:
    """A waiting reader gets it."""
    backlog: Backlog[str] = Backlog()
    backlog.put("a", events=EVENTS_MAX + 1, size=BYTES_MAX + 1)
    assert await backlog.take() == ["a"]


async def test_a_cleared_backlog_is_as_new() -> None:
    """The overflow is reset."""
    backlog: Backlog[str] = Backlog()
    for _ in range(2):
        backlog.put("a", events=EVENTS_MAX, size=1)
    assert backlog.overflowed
    backlog.clear()
    backlog.put("b", events=1, size=1)
    assert await backlog.take() == ["b"]
