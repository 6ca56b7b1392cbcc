"""Mistyped built-in task types, and names of other tasks."""

import orjson
import pytest

from flowmesh.definitions import errors_in, read_source
from flowmesh.definitions.formats.steps import ACTIONS
from flowmesh.definitions.formats.task_types import is_typo_of


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *((each, "transform") for each in ("transfrom", "tranform", "Transform", "rtansform")),
        *((each, "http.request") for each in ("http_request", "httpRequest", "http.reqest")),
        ("trasnfrom", "transform"),
        ("delayy", "delay"),
        ("pubilsh", "publish"),
        ("db-query", "db.query"),
    ],
)
def test_a_word_that_is_mistyped_has_one_that_was_meant(word: str, meant: str) -> None:
    """A letter too many, too few, another one or misplaced; upper case, other signs."""
    assert [each for each in ACTIONS if is_typo_of(word, each)] == [meant]


@pytest.mark.parametrize(
    "word",
    [
        "transfer", "transport", "relay", "decay", "junction", "python3", "delay2", "http2",
        "loop", "nope", "blog", "logs", "login", "publisher", "unpublish", "approve", "email",
    ],
)  # fmt: skip
def test_a_word_of_its_own_is_none_mistyped(word: str) -> None:
    """A digit, another first letter, a short word, or more differences."""
    assert not any(is_typo_of(word, each) for each in ACTIONS)


@pytest.mark.parametrize(
    ("word", "right", "typo"),
    [
        ("grpcc", "grpc", True),
        ("grp", "grpc", True),
        ("loog", "log", False),
        ("lo", "log", False),
        ("relays", "delays", False),
        ("dezays", "delays", True),
        ("dezay", "delay", False),
        ("delaysss", "delays", False),
        ("delays5", "delays", False),
        ("delya", "delay", True),
        ("edlay", "delay", True),
        ("", "delay", False),
    ],
)
def test_how_far_a_typo_may_be(word: str, right: str, *, typo: bool) -> None:
    """Words from four letters; another letter in words from six only, and never the first."""
    assert is_typo_of(word, right) is typo


def test_an_error_behind_many_warnings_is_reported() -> None:
    """Also behind more warnings than the limit."""
    warned = [{"id": f"s{n}", "action": "noops"} for n in range(100)]
    steps = [*warned, {"id": "last", "timeout": "soon"}]
    reading = read_source(orjson.dumps({"id": "w", "steps": steps}), "application/json")
    (error,) = errors_in(reading.problems)
    assert error.place == "steps[100].timeout"
