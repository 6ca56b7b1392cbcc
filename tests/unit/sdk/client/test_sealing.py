"""Sealed values: keys, members, rotation, and what is refused."""

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.sdk import SealingKeys
from flowmesh.sdk.values.payloads import encode

FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))
# The form of a value in every language.
VECTOR = (
    '{"$sealed":{"kid":"k1","data":'
    '"VHoXGR6e5DwDQZCkkIlTOS6takmzgIQRtF39nrTGlIA/SdTpGyLdVpsGzjSlnY2U"}}'
)


def through(keys: SealingKeys, value: Json, opener: SealingKeys | None = None) -> Json:
    return json.loads((opener or keys).decode(keys.encode(encode(value))))


@pytest.mark.parametrize("value", [None, "", 1.5, 2**70, [1, {"a": "ä"}], {"$sealed": 1}, {}])
def test_a_value_is_sealed_whole_and_opened_exactly(value: Json) -> None:
    """Integers of any size, too."""
    keys = SealingKeys({"k1": FIRST})
    data = json.dumps(value).encode()
    sealed = keys.encode(data)
    assert list(json.loads(sealed)) == ["$sealed"]
    assert json.loads(keys.decode(sealed)) == value


def test_members_of_the_given_names_are_sealed_at_any_depth() -> None:
    """The rest stays readable; a sealed value is not sealed again."""
    keys = SealingKeys({"k1": FIRST}, only=["card"])
    value: Json = {"id": 1, "card": {"no": 4}, "rows": [{"card": "x", "at": 2}], "big": 2**70}
    sealed = json.loads(keys.encode(json.dumps(value).encode()))
    assert sealed["id"] == 1
    assert sealed["rows"][0]["at"] == 2
    assert sealed["card"] == keys.seal({"no": 4})
    assert json.loads(keys.encode(json.dumps(sealed).encode())) == sealed
    assert json.loads(keys.decode(json.dumps(sealed).encode())) == value
    whole = SealingKeys({"k1": FIRST})
    assert json.loads(keys.decode(whole.encode(json.dumps(sealed).encode()))) == value


def test_the_first_key_seals_and_all_open() -> None:
    """So a new key is put first, and the former one is removed once nothing needs it."""
    old = SealingKeys({"k1": FIRST})
    both = SealingKeys({"k2": SECOND, "k1": FIRST})
    assert through(old, "x", opener=both) == "x"
    assert json.loads(both.encode(b'"x"'))["$sealed"]["kid"] == "k2"
    with pytest.raises(FlowmeshError, match="sealed by the key 'k2', which is not") as error:
        through(both, "x", opener=old)
    assert error.value.reason == "SEALED_UNREADABLE"


def test_equal_values_have_equal_forms_and_others_do_not() -> None:
    """Request ids and caches compare values."""
    keys = SealingKeys({"k1": FIRST})
    assert keys.seal("a") == keys.seal("a")
    assert keys.seal("a") != keys.seal("b")
    assert keys.seal("a") != SealingKeys({"k1": SECOND}).seal("a")


def test_the_form_is_that_of_all_languages() -> None:
    """A vector, which the other SDKs open too."""
    keys = SealingKeys({"k1": FIRST})
    assert keys.encode(b'{"card":"4242 4242"}') == VECTOR.encode()
    assert json.loads(keys.decode(VECTOR.encode())) == {"card": "4242 4242"}


@pytest.mark.parametrize("change", ["bit", "kid", "short", "text"])
def test_a_changed_value_is_refused(change: str) -> None:
    """A flipped bit, another key's name, a part of it, and what is no base64."""
    keys = SealingKeys({"k1": FIRST, "k2": FIRST})
    value: Json = keys.seal("secret")
    inner = value["$sealed"]
    data = bytearray(b64decode(inner["data"]))
    data[-1] ^= 1
    inner |= {
        "bit": {"data": b64encode(data).decode()},
        "kid": {"kid": "k2"},
        "short": {"data": "AAAA"},
        "text": {"data": "no base64"},
    }[change]
    with pytest.raises(FlowmeshError) as error:
        keys.decode(json.dumps(value).encode())
    assert error.value.reason == "SEALED_UNREADABLE"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no key"),
        ("k1 AAAA", "has 3 bytes, not 32"),
        ("k1", "line 1 of"),
        ("k1 not-base64!", "line 1 of"),
        ("k/1 " + b64encode(FIRST).decode(), "is not 1 to 64 of"),
        (f"k1 {b64encode(FIRST).decode()}\nk1 {b64encode(SECOND).decode()}", "line 2 of"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line(tmp_path: Path, text: str, message: str) -> None:
    """And never by its content."""
    path = tmp_path / "values.keys"
    path.write_text(text)
    with pytest.raises(FlowmeshError, match=message) as error:
        SealingKeys.read(path)
    assert error.value.reason == "SEALING_KEY_INVALID"


def test_a_file_has_a_line_for_each_key(tmp_path: Path) -> None:
    """Empty lines do not count."""
    path = tmp_path / "values.keys"
    path.write_text(f"\nk2 {b64encode(SECOND).decode()}\nk1 {b64encode(FIRST).decode()}\n")
    assert through(SealingKeys({"k1": FIRST}), [1], opener=SealingKeys.read(path)) == [1]
