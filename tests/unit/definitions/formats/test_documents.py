"""Text to documents: nothing is lost, rounded, guessed or fetched."""

import time

import pytest

from flowmesh.definitions.limits import KEY_CHARACTERS_MAX, NESTING_MAX, SOURCE_BYTES_MAX
from flowmesh.definitions.reading.documents import parse
from flowmesh.definitions.reading.yaml_text import Unreadable

JSON, YAML = "application/json", "application/yaml"


def refusal(source: bytes | str, content_type: str = "") -> tuple[str, int, int]:
    text = source.encode() if isinstance(source, str) else source
    with pytest.raises(Unreadable) as refused:
        parse(text, content_type)
    problem = refused.value.problem
    return problem.code, problem.line, problem.column


def document(source: str, content_type: str = "") -> object:
    (found,) = parse(source.encode(), content_type).documents
    return found


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ('{"a": 1, "a": 2}', (1, 10)),
        ('{"x": [{"a": 1,\n "a": 2}]}', (2, 2)),
        ('{"a" 1}', (1, 6)),
        ("[1, 2", (1, 6)),
        ('{"a": NaN}', (1, 7)),
        ('{"a": Infinity}', (1, 7)),
        ('{"a": 1e400}', (1, 7)),
        ('{"a": 01}', (1, 7)),
        ("{'a': 1}", (1, 2)),
    ],
)
def test_json_that_is_not_strict_is_refused_where_it_is_wrong(
    source: str, place: tuple[int, int]
) -> None:
    """Duplicate keys included; the place is a line and a column."""
    assert refusal(source, JSON) == ("JSON_INVALID", *place)


@pytest.mark.parametrize(
    "number", ["123456789012345678901234567890", str(2**64), str(-(2**63) - 1)]
)
def test_integers_are_never_rounded(number: str) -> None:
    """Integers beyond 64 bits are refused."""
    assert refusal(f'{{"a": {number}}}')[0] == "JSON_INVALID"
    assert refusal(f"a: {number}")[0] == "JSON_INVALID"


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1, -(2**63)])
def test_integers_of_64_bits_are_kept_exactly(number: int) -> None:
    """Beyond the precision of a float."""
    assert document(f'{{"a": {number}}}') == {"a": number}
    assert document(f"a: {number}") == {"a": number}


def test_a_number_of_a_million_digits_is_refused() -> None:
    """It is not even converted."""
    assert refusal('{"a": ' + "9" * 1_000_000 + "}")[0] == "JSON_INVALID"


@pytest.mark.parametrize(
    "source",
    ["[" * 100_000, '{"a":' * 100_000, "a: " + "[" * 100_000, "- " * 5_000 + "x", "[" * 1_000_000],
)
@pytest.mark.parametrize("content_type", ["", YAML])
def test_deep_nesting_is_refused_without_recursion(source: str, content_type: str) -> None:
    """However deep."""
    assert refusal(source, content_type)[0] == "NESTING_TOO_DEEP"


def test_a_string_that_nothing_closes_is_looked_through_once() -> None:
    """With any number of escaped quotes, each of which could begin another string."""
    started = time.perf_counter()
    assert refusal('{"' + '\\"' * 80_000, JSON)[0] == "JSON_INVALID"
    assert refusal('{"' + '\\"' * 80_000 + "[" * 100, JSON)[0] == "JSON_INVALID"
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("content_type", [JSON, YAML])
def test_nesting_is_counted_exactly(content_type: str) -> None:
    """64 levels pass, 65 do not; brackets in strings are no levels."""
    assert document("[" * NESTING_MAX + "]" * NESTING_MAX, content_type)
    deep = "[" * (NESTING_MAX + 1) + "]" * (NESTING_MAX + 1)
    assert refusal(deep, content_type)[0] == "NESTING_TOO_DEEP"
    assert document('["' + "[" * 100 + '"]', content_type)


@pytest.mark.parametrize(
    "source",
    [
        "a: &x 1\nb: *x",
        "a: &x 1",
        "a: !!str 1",
        "a: !!python/object:os.system x",
        "a: ! 1",
        "<<: {a: 1}",
        "a: 1\nb: 2\na: 3",
        "? [1]\n: 2",
    ],
)
def test_yaml_that_is_more_than_data_is_refused(source: str) -> None:
    """Anchors, aliases, tags, merge keys, duplicate keys, keys that are no strings."""
    assert refusal(source)[0] == "YAML_FORBIDDEN"


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    """At its first anchor."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert refusal("\n".join(lines)) == ("YAML_FORBIDDEN", 1, 5)


def test_yaml_scalars_follow_the_core_schema() -> None:
    """`no`, `on` and `1:30` are text; `012` is twelve; quotes make text."""
    text = 'a: [no, on, y, 1:30, 012, 0o14, 0x1F, 1e3, .5, +5, "1", ~, "~", true, Null, 2026-11-20]'
    assert document(text) == {
        "a": [
            "no", "on", "y", "1:30", 12, 12, 31, 1000.0, 0.5, 5, "1", None, "~", True, None,
            "2026-11-20",
        ]
    }  # fmt: skip


def test_the_placeholder_of_the_documents_is_data() -> None:
    """`{ ... }` is an object with one member."""
    assert document("inputSchema: { ... }") == {"inputSchema": {"...": None}}


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (b'{"a": "\xff"}', "INVALID_UTF8"),
        (b'{"a": "\\ud800"}', "INVALID_UTF8"),
        (b'{"a": "\\u0000"}', "STRING_HAS_NUL"),
        (b'{"a\\u0000": 1}', "STRING_HAS_NUL"),
        (b'a: "\\0"', "STRING_HAS_NUL"),
        (b"a: .inf", "YAML_INVALID"),
        (b"a:\n\t- b", "YAML_INVALID"),
        (b"a: [1", "YAML_INVALID"),
        (b"a: \x01", "YAML_INVALID"),
        (b"", "DEFINITION_INVALID"),
        (b" \n ", "DEFINITION_INVALID"),
        (b"[" + b" " * SOURCE_BYTES_MAX, "DEFINITION_TOO_LARGE"),
    ],
)
def test_text_that_cannot_be_kept_is_refused(source: bytes, code: str) -> None:
    """Encodings, control characters, size."""
    assert refusal(source)[0] == code


def test_several_documents_are_read_and_empty_ones_left_out() -> None:
    """Separated by `---`."""
    assert parse(b"---\na: 1\n---\n---\nb: 2\n").documents == ({"a": 1}, {"b": 2})


def test_surrogate_pairs_and_order_survive() -> None:
    """The document is what was sent."""
    assert document('{"z": "\\ud83d\\ude00", "a": 1}') == {"z": "😀", "a": 1}
    assert list(parse(b'{"z": 1, "a": 2}').documents[0]) == ["z", "a"]


def test_yaml_flow_collections_are_yaml_when_they_are_called_so() -> None:
    """Without a content type they are read as JSON."""
    assert document("{a: b}", YAML) == {"a": "b"}
    assert refusal("{a: b}")[0] == "JSON_INVALID"


def test_a_byte_order_mark_is_no_content() -> None:
    """Windows editors write it."""
    assert document("\ufeff{}") == {}


@pytest.mark.parametrize("content_type", [JSON, YAML])
def test_a_key_is_part_of_the_paths_below_it_and_has_a_bound(content_type: str) -> None:
    """One character more than that is refused with the place of the object."""
    longest = "k" * KEY_CHARACTERS_MAX
    source = '{"a": 1,\n "b": {"%s": [1, 2]}}'
    assert document(source % longest, content_type) == {"a": 1, "b": {longest: [1, 2]}}
    assert refusal(source % f"{longest}k", content_type) == ("DEFINITION_INVALID", 2, 7)
