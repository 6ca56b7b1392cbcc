"""Cursors identify their place exactly."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.errors import Invalid
from flowmesh.event.live.cursors import (
    END,
    PASSED_MAX,
    Cursor,
    Passed,
    Place,
    decode,
    encode,
)

numbers = st.integers(min_value=0, max_value=END)
large = st.integers(min_value=0, max_value=2**62)
spots = st.tuples(large, numbers, numbers, numbers)
passed = st.dictionaries(large, spots, max_size=PASSED_MAX).map(lambda d: tuple(sorted(d.items())))


@given(
    cursor=st.builds(Cursor, large, st.builds(Place, large, numbers, numbers), passed),
)
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    """For any place."""
    assert decode(encode(cursor)) == cursor


@given(st.text())
def test_other_text_is_refused_with_a_reason(text: str) -> None:
    """Any text is either a cursor or rejected."""
    with suppress(Invalid):
        assert isinstance(decode(text), Cursor)


def test_a_place_after_a_message_is_after_all_its_events() -> None:
    """Places are ordered like the events they follow."""
    assert Place(4) < Place(5, 0, 0) < Place(5, 0, 1) < Place(5, 1, 0) < Place(5)


@pytest.mark.parametrize("text", ["MS4x", "Mi4xLjEuMS4x", "MS4tMS4xLjEuMQ", "MS4xLjEuMS4xOzE"])
def test_the_shape_of_a_cursor_is_checked(text: str) -> None:
    """Wrong version, too few parts, negative numbers, an incomplete incarnation."""
    with pytest.raises(Invalid):
        decode(text)


def test_a_cursor_of_an_older_release_is_read() -> None:
    """It has no incarnations."""
    assert decode("MS43LjUuMC4y") == Cursor(7, Place(5, 0, 2))


def test_sent_events_are_counted_by_event() -> None:
    """All events of a row before the spot, none of a row after it, a part of the row itself."""
    known = Passed(((7, (3, 0, 1, 4)),))
    rows = [(7, 2, 9, 9), (7, 3, 0, 0), (7, 3, 0, 1), (7, 3, 0, 2), (7, 4, 0, 0), (8, 1, 0, 0)]
    assert [known.sent(row) for row in rows] == [END, END, 5, 0, 0, 0]


def test_an_incarnation_is_removed_when_the_place_covers_it() -> None:
    """But not while already sent events are repeated."""
    known = Passed(((7, (3, END, END, END)),))
    known.forget(7, (2, END, END, END))
    assert known.sent((7, 3, 0, 0)) == END
    known.forget(7, (4, END, END, END))
    assert known.spots == ()


def test_a_cursor_names_a_bounded_number_of_incarnations() -> None:
    """The newest incarnations; older ones no longer publish."""
    known = Passed()
    for incarnation in range(2 * PASSED_MAX):
        known.note(incarnation, (1, END, END, END))
    assert [each for each, _ in known.spots] == list(range(PASSED_MAX, 2 * PASSED_MAX))
    joined = known.joined(Cursor(1, Place(1), ((500, (1, 0, 0, 0)),)))
    assert len(joined.passed) == PASSED_MAX
    assert decode(encode(joined)) == joined
