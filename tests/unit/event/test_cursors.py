"""Cursors lead back to their place and nowhere else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.errors import Invalid
from flowmesh.event.cursors import END, Cursor, Place, decode, encode

numbers = st.integers(min_value=0, max_value=END)


@given(made=st.integers(0, 2**62), sequence=st.integers(0, 2**62), row=numbers, event=numbers)
def test_a_cursor_is_read_as_it_was_written(made: int, sequence: int, row: int, event: int) -> None:
    """Whatever the place, the text gives it back."""
    cursor = Cursor(made, Place(sequence, row, event))
    assert decode(encode(cursor)) == cursor


@given(st.text())
def test_other_text_is_refused_with_a_reason(text: str) -> None:
    """No text at all leads to anything but a cursor or a refusal."""
    with suppress(Invalid):
        assert isinstance(decode(text), Cursor)


def test_a_place_behind_a_message_is_behind_all_its_events() -> None:
    """Places compare as the events they are behind of were sent."""
    assert Place(4) < Place(5, 0, 0) < Place(5, 0, 1) < Place(5, 1, 0) < Place(5)


@pytest.mark.parametrize("text", ["MS4x", "Mi4xLjEuMS4x", "MS4tMS4xLjEuMQ"])
def test_the_shape_of_a_cursor_is_checked(text: str) -> None:
    """Wrong version, too few parts, negative numbers."""
    with pytest.raises(Invalid):
        decode(text)
