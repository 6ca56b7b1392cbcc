"""Routing keys, patterns and headers: the answers of RabbitMQ 3.10.8 to the same bindings."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.routing.headers import HeadersMatcher, typed
from flowmesh.broker.routing.topics import TopicTable, words_of

KEYS = ("data", "data.raw", "data.x.raw", "raw", "", "data.", ".raw", "a.b.c", "data..raw")
# As RabbitMQ answered.
ANSWERS = {
    "#": set(KEYS),
    "#.#": set(KEYS),
    "*": {"data", "raw"},
    "*.#": set(KEYS) - {""},
    "data.#": {"data", "data.raw", "data.x.raw", "data.", "data..raw"},
    "data.*": {"data.raw", "data."},
    "*.raw": {"data.raw", ".raw"},
    "#.raw": {"data.raw", "data.x.raw", "raw", ".raw", "data..raw"},
    "data.#.raw": {"data.raw", "data.x.raw", "data..raw"},
    "*.*.*": {"data.x.raw", "a.b.c", "data..raw"},
    "": {""},
}
WORDS = st.sampled_from(["a", "b", "", "*", "#"])


@pytest.mark.parametrize("pattern", ANSWERS)
def test_patterns_match_as_in_rabbitmq(pattern: str) -> None:
    """Each pattern against nine keys, with empty words and none."""
    table = TopicTable([(pattern, pattern)])
    assert {key for key in KEYS if list(table.match(key))} == ANSWERS[pattern]


def matches(pattern: list[str], key: list[str]) -> bool:
    """The definition of a match, by recursion."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return matches(pattern[1:], key) or (bool(key) and matches(pattern, key[1:]))
    return bool(key) and pattern[0] in ("*", key[0]) and matches(pattern[1:], key[1:])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.lists(WORDS, max_size=6).map(".".join), max_size=8),
    st.lists(st.sampled_from(["a", "b", ""]), max_size=6).map(".".join),
)
def test_a_table_of_patterns_finds_those_that_match_by_definition(
    patterns: list[str], key: str
) -> None:
    """Random patterns and keys over few words."""
    table = TopicTable((pattern, pattern) for pattern in patterns)
    expected = {each for each in patterns if matches(words_of(each), words_of(key))}
    assert set(table.match(key)) == expected


def test_hostile_patterns_cost_no_more_than_their_length() -> None:
    """The longest accepted pattern and key, full of `#` and of repeated words; 1,000 bindings."""
    hostile = [".".join(["#", "a"] * 63 + ["#"]) for _ in range(1_000)]
    table = TopicTable((pattern, number) for number, pattern in enumerate(hostile))
    key = ".".join(["a"] * 127 + ["b"])
    began = time.perf_counter()
    assert len(set(table.match(key))) == 1_000
    assert time.perf_counter() - began < 1.0


def value(given: object) -> message_pb2.HeaderValue:
    match given:
        case None:
            return message_pb2.HeaderValue()
        case bool():
            return message_pb2.HeaderValue(flag=given)
        case int():
            return message_pb2.HeaderValue(whole=given)
        case float():
            return message_pb2.HeaderValue(number=given)
    return message_pb2.HeaderValue(text=str(given))


@pytest.mark.parametrize(
    ("match", "arguments", "headers", "expected"),
    [
        ("UNSPECIFIED", {"a": 1, "b": "x"}, {"a": 1, "b": "x", "c": True}, True),
        ("UNSPECIFIED", {"a": 1, "b": "x"}, {"a": 1}, False),
        ("UNSPECIFIED", {"a": 1}, {"a": "1"}, False),
        ("UNSPECIFIED", {"a": 1}, {"a": 1.0}, True),
        ("UNSPECIFIED", {"a": 1}, {"a": 1.5}, False),
        ("UNSPECIFIED", {"a": True}, {"a": 1}, False),
        ("UNSPECIFIED", {"a": None}, {"a": "any"}, True),
        ("UNSPECIFIED", {}, {}, True),
        ("UNSPECIFIED", {"x-a": 1}, {}, True),
        ("ALL_WITH_X", {"x-a": 1}, {}, False),
        ("ALL_WITH_X", {"x-a": 1}, {"x-a": 1}, True),
        ("ANY", {"a": 1, "b": 2}, {"b": 2}, True),
        ("ANY", {"a": 1}, {"b": 2}, False),
        ("ANY", {}, {"b": 2}, False),
        ("ANY_WITH_X", {"x-a": 1}, {"x-a": 1}, True),
    ],
)
def test_headers_match_by_value_and_type(
    match: str, arguments: dict[str, object], headers: dict[str, object], expected: bool
) -> None:
    """All or any of them, with and without names that begin with `x-`."""
    binding = pb.Binding(match=pb.HeadersMatch.Value(f"HEADERS_MATCH_{match}"))
    for name, given_value in arguments.items():
        binding.arguments[name].CopyFrom(value(given_value))
    message = message_pb2.Message()
    for name, given_value in headers.items():
        message.headers[name].CopyFrom(value(given_value))
    assert HeadersMatcher.of(binding).matches(typed(message.headers)) == expected
