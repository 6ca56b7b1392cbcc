"""Encryption at rest: what opens, and what does not."""

import pytest

from flowmesh.access.encryption import MARK, DataKey, DataKeys, history_place
from flowmesh.errors import WrongState

KEY, OTHER = bytes(32), bytes(range(32))
PLACE = history_place("exec-1")


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
    assert ring.replace((DataKey("a", 1, b""),)) == frozenset()
    for value in (sealed, ring.seal("a", b"late", PLACE)):
        with pytest.raises(WrongState):
            ring.open(value, PLACE)
    with pytest.raises(WrongState):
        ring.require("a")
