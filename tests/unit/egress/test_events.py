"""Server-sent events of a whole body."""

import pytest

from flowmesh.egress import data_of_events


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_complete_event_has_its_data(end: str) -> None:
    """Comments, names and events without data are left out, and so is an event that is cut."""
    lines = (": ping", "", "event: a", "data: one", "data:two", "", "id: 3", "", "data: cut")
    assert data_of_events(end.join(lines).encode()) == ["one\ntwo"]


def test_separators_of_unicode_are_text() -> None:
    """Only line feeds and carriage returns end a line."""
    assert data_of_events("data: a\u2028data: b\n\n".encode()) == ["a\u2028data: b"]
    assert data_of_events(b"") == []
    with pytest.raises(UnicodeDecodeError):
        data_of_events(b"data: \xff\n\n")
