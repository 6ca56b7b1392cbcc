"""Masks of values in texts."""

import pytest

from flowmesh.apps.release_process.masking import masking


@pytest.mark.parametrize(
    ("values", "text", "expected"),
    [
        (["secret-1", "secret-1-and-more"], "not 'secret-1-and-more'", "not '***'"),
        (["abc", "80"], "abc on 80", "abc on 80"),
        (["pass"], "pass, pass and pas", "***, *** and pas"),
        (["a-long-secret-value"], "not 'xx a-long-sec'", "not 'xx ***'"),
        (["a-long-secret-value"], "a-long-drive", "a-long-drive"),
        (["line\none's"], "not " + repr("line\none's"), 'not "***"'),
        (["padded-key\n"], "not 'padded-key'", "not '***'"),
        ([""], "a text", "a text"),
    ],
    ids=["longest", "short", "each", "shortened", "other", "quoted", "space", "empty"],
)
def test_values_are_masked(values: list[str], text: str, expected: str) -> None:
    """The longest first, also shortened and quoted ones; not what occurs in any text."""
    assert masking(values)(text) == expected
