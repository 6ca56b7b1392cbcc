"""Masks of secrets in values and in texts."""

from typing import Any

import pytest

from flowmesh.jsontext.masks import texts_of, without, without_in_json

HIDDEN = ["made-up", "made-up-longer"]


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("a made-up text", "a *** text"),
        ("made-up-longer", "***"),
        ({"made-up": ["x", "made-up", 5, None]}, {"***": ["x", "***", 5, None]}),
        (7, 7),
    ],
)
def test_hidden_texts_are_masked_in_every_member(value: Any, masked: Any) -> None:
    """Also in names; the longest text first."""
    assert without(value, HIDDEN) == masked
    assert without(value, []) is value


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (b"", b""),
        (b'{"a": "made-up"}', b'{"a":"***"}'),
        (b"not JSON: made-up", b"not JSON: ***"),
        (b"not JSON: \xff", b"not JSON: \xff"),
    ],
)
def test_texts_of_requests_are_masked(data: bytes, masked: bytes) -> None:
    """JSON, and what is none."""
    assert without_in_json(data, HIDDEN) == masked


def test_texts_are_hidden_as_others_encode_them() -> None:
    """Of every member that is long enough."""
    found = set(texts_of({"a": ["b c&d", "abc", 5], "e": None}))
    assert found == {"b c&d", "b%20c%26d", "b+c%26d", "YiBjJmQ"}
