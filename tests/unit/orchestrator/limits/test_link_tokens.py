"""Links as text: a changed character or another key makes a link invalid."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.orchestrator.links.tokens import (
    TOKEN_CHARACTERS_MAX,
    ApprovalLink,
    TokenInvalid,
    key_of,
    link_of,
    token_of,
)

SECRET = bytes(range(32))
LINK = ApprovalLink("default", "exec-1", "each[3]/ok", 5, "ann ü", 1, 1_900_000_000_000_000)
TOKEN = token_of(LINK, 7, SECRET)
CHARACTERS = string.ascii_letters + string.digits + "-_.= \0é"


def test_a_token_has_the_values_of_its_link() -> None:
    """Its key's number is read before the key is known."""
    assert key_of(TOKEN) == 7
    assert link_of(TOKEN, SECRET) == LINK
    assert set(TOKEN) <= set(string.ascii_letters + string.digits + "-_.")


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(CHARACTERS))
def test_another_character_anywhere_makes_it_invalid(place: int, character: str) -> None:
    """Also in the bits of base64 that are not used."""
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(TokenInvalid):
            link_of(changed, SECRET)


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    """With one kind of error."""
    with pytest.raises(TokenInvalid):
        link_of(text, SECRET)


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "-1.b.c", "1", "1234567890.b.c", "\u0661.b.c"])
def test_the_number_of_the_key_is_one(text: str) -> None:
    """Before anything is asked for under it."""
    with pytest.raises(TokenInvalid):
        key_of(text)


def test_another_key_takes_nothing() -> None:
    """The same number does not help."""
    with pytest.raises(TokenInvalid):
        link_of(TOKEN, bytes(32))


@pytest.mark.parametrize("cut", [1, 10, 43, 44, 60])
def test_a_part_of_a_token_is_none(cut: int) -> None:
    """Mail programs break lines."""
    with pytest.raises(TokenInvalid):
        link_of(TOKEN[:-cut], SECRET)


def test_what_is_too_long_is_not_looked_at() -> None:
    """A bound on everything."""
    with pytest.raises(TokenInvalid):
        key_of("1." + "a" * TOKEN_CHARACTERS_MAX)
