"""JSON text that comes in."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.errors import Invalid
from flowmesh.jsontext import NESTING_MAX, dump_json, parse_json
from flowmesh.jsontext.integers import INTEGER_MAX, INTEGER_MIN

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A surrogate is no character; JSON text can hold one and is refused then.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_a_value_goes_in_and_out_unchanged(value: Any) -> None:
    """Integers of 64 bits, floats and texts come out as they went in."""
    text = json.dumps(value).encode()
    assert parse_json(text) == value
    assert json.loads(dump_json(parse_json(text))) == value


@pytest.mark.parametrize("number", [INTEGER_MIN - 1, INTEGER_MAX + 1, 10**30])
def test_an_integer_beyond_64_bits_is_refused_with_its_place(number: int) -> None:
    """Digits in texts and in fractions are none."""
    with pytest.raises(Invalid, match=r"n\[1\] is an integer that cannot be kept") as refused:
        parse_json(b'{"input": {"n": [1, %d]}}' % number)
    assert refused.value.reason == "JSON_INVALID"
    assert refused.value.violations[0].field == "input.n[1]"
    fine = {"text": str(number), "fraction": 1.2345678901234567e30, "exact": 12345678901234567890}
    assert parse_json(json.dumps(fine).encode()) == fine


@pytest.mark.parametrize("open_", [b"[", b'{"a":'])
def test_nesting_is_bounded(open_: bytes) -> None:
    """The deepest level allowed is accepted, one more is refused."""
    close = b"]" if open_ == b"[" else b"}"
    assert parse_json(open_ * NESTING_MAX + b"1" + close * NESTING_MAX)
    with pytest.raises(Invalid) as refused:
        parse_json(open_ * (NESTING_MAX + 1) + b"1" + close * (NESTING_MAX + 1))
    assert refused.value.reason == "NESTING_TOO_DEEP"


def test_brackets_in_strings_are_no_nesting() -> None:
    """Only real levels count."""
    assert parse_json(b'{"a": "' + b"[" * 1_000 + b'"}') == {"a": "[" * 1_000}
    assert parse_json(b"[" + b"[]," * 1_000 + b"[]]")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "JSON_INVALID"),
        (b"{}{}", "JSON_INVALID"),
        (b"\xef\xbb\xbf{}", "JSON_INVALID"),
        (b"Infinity", "JSON_INVALID"),
        (b"-1e400", "JSON_INVALID"),
        (b"1" * 5_000, "JSON_INVALID"),
        (b'{"a": {"b": 1, "b": 2}}', "JSON_INVALID"),
        (b'{"a": 1, "a": 2}{', "JSON_INVALID"),
        (b'{"a": {"a": 1, "a": 2}', "JSON_INVALID"),
        (b'{"a": 1, "a": 2, "b": 1e999}', "JSON_INVALID"),
        (b'{"a": 1, "a": 2, "b": ' + b"[" * 100_000, "NESTING_TOO_DEEP"),
        (b'"\xc0\xaf"', "INVALID_UTF8"),
        (b'{"\\uDFFF": 1}', "INVALID_UTF8"),
    ],
)
def test_what_cannot_be_kept_is_refused(text: bytes, reason: str) -> None:
    """Nothing is rounded, dropped or repaired in silence."""
    with pytest.raises(Invalid) as refused:
        parse_json(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "a"),
        (b'{"lines": [{"sku": 1}, {"sku": {"n": 1, "m": 2, "n": 3}}]}', "lines[1].sku.n"),
        (b'[[{"a": 1, "a": 1}]]', "[0][0].a"),
        (b'{"a": {"b": 1, "b": 2}, "a": 3}', "a"),
        (b"{" + b",".join(b'"%d": 1' % n for n in range(100_000)) + b',"99999": 2}', "99999"),
    ],
)
def test_a_duplicate_key_is_named(text: bytes, path: str) -> None:
    """The refusal says which key is there twice, and where."""
    with pytest.raises(Invalid) as refused:
        parse_json(text)
    assert refused.value.violations[0].field == path
    assert refused.value.message.endswith(f"occurs twice in one object: {path}.")


def test_the_place_of_a_key_that_is_there_twice_costs_what_the_text_costs() -> None:
    """A long key with many values below it is not copied for each of them."""
    key = "k" * 100_000
    tracemalloc.start()
    try:
        with pytest.raises(Invalid) as refused:
            parse_json(f'{{"{key}": [{"[0]," * 2_000}{{"a": 1, "a": 2}}]}}'.encode())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.violations[0].field == f"{key}[2000].a"
    assert peak_bytes < 20_000_000
