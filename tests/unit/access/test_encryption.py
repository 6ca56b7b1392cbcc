"""Encryption at rest: what opens, and what does not."""

import pytest

from flowmesh.access.encryption import MARK, DataKey, DataKeys, history_place
from flowmesh.errors import Unavailable, WrongState

KEY, OTHER = bytes(32), bytes(range(32))
PLACE = history_place("exec-1")
# As releases have stored them with the key KEY.
STORED = bytes.fromhex(
    "00666d733100000001000161f7126451afe35d5fc55aa9973d3cf95592eeabf0168324d7645f82e5c69742fffe4d"
)
HASHED = "\uf8ffhashed:7e009852eecd18cf24ef89d708a8313c5bbbd67b34a5c41917d4024fe9f0adb8"


def keys(*more: DataKey) -> DataKeys:
    return DataKeys((DataKey("a", 1, KEY), DataKey("b", 1, OTHER), *more))


def test_a_value_opens_at_its_place_only() -> None:
    """Not elsewhere, not with a flipped bit, and not for a process without the key."""
    sealed = keys().seal("a", b"secret", PLACE)
    assert sealed.startswith(MARK)
    assert b"secret" not in sealed
    assert keys().open(sealed, PLACE) == b"secret"
    flipped = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    renamed = sealed.replace(b"\0\1a", b"\0\1b")
    for known, value, place in (
        (keys(), sealed, history_place("exec-2")),
        (keys(), flipped, PLACE),
        (keys(), renamed, PLACE),
        (keys(), sealed[:20], PLACE),
        (DataKeys(), sealed, PLACE),
    ):
        with pytest.raises(WrongState, match="DATA_UNREADABLE") as refused:
            known.open(value, place)
        assert refused.value.reason == "DATA_UNREADABLE"


def test_values_without_a_key_stay_as_they_are() -> None:
    """Those of other namespaces, and those from before the first key."""
    assert keys().seal("c", b"plain", PLACE) == b"plain"
    assert keys().open(b"plain", PLACE) == b"plain"


def test_a_new_key_opens_at_once_and_seals_when_it_is_used() -> None:
    """So no process receives what it cannot open."""
    ring = keys()
    more = DataKey("a", 2, OTHER)
    ring.replace((DataKey("a", 1, KEY), more))
    former = ring.seal("a", b"1", PLACE)
    ring.use()
    newer = ring.seal("a", b"2", PLACE)
    assert keys().open(former, PLACE) == b"1"
    assert keys(more).open(newer, PLACE) == ring.open(newer, PLACE) == b"2"


def test_destroyed_keys_neither_open_nor_let_anything_stay_plain() -> None:
    """Each namespace is reported once."""
    ring = keys()
    sealed = ring.seal("a", b"secret", PLACE)
    assert ring.replace((DataKey("a", 1, b""),)) == {"a"}
    late = ring.seal("a", b"late", PLACE)
    assert ring.replace((DataKey("a", 1, b""),)) == frozenset()
    for known, value in ((ring, sealed), (ring, late), (keys(), late)):
        with pytest.raises(WrongState):
            known.open(value, PLACE)
    with pytest.raises(WrongState):
        ring.require("a")


def test_what_releases_have_stored_is_opened_and_found() -> None:
    """The forms of sealed values and of hashed texts stay as they are."""
    assert keys().open(STORED, PLACE) == b"secret"
    assert keys().hashed("a", "ada") == HASHED
    assert keys(DataKey("a", 2, OTHER)).hashed("a", "ada") == HASHED


def test_texts_are_sealed_whole() -> None:
    """A plain one cannot look like a sealed one."""
    sealed = keys().seal_text("a", "secret", PLACE)
    assert keys().open_text(sealed, PLACE) == "secret"
    forged = keys().seal_text("c", sealed, PLACE)
    assert keys().open_text(forged, PLACE) == forged != sealed


def test_encrypted_namespaces_wait_while_their_keys_are_locked() -> None:
    """Other namespaces work; the error has the delay of the retry."""
    ring = keys()
    ring.lock("the wrapping key is away")
    with pytest.raises(Unavailable, match="the wrapping key is away") as refused:
        ring.require("a")
    assert (refused.value.reason, refused.value.retry_after_ms) == (
        "WRAPPING_KEY_UNAVAILABLE",
        5_000,
    )
    ring.require("c")
    ring.lock("")
    ring.require("a")
