"""Hostile filters: each is refused with its place, or becomes SQL without any of its text."""

import random
import re

import pytest

from flowmesh.errors import Invalid
from flowmesh.filters import (
    FILTER_BYTES_MAX,
    FILTER_DEPTH_MAX,
    FILTER_TERMS_MAX,
    parse_filter,
    parse_groups,
    parse_order,
)
from flowmesh.orchestrator.search.filter_sql import Where

NOW_US = 1_790_000_000_000_000
PARTS = (
    "AND", "OR", "NOT", "IN", "(", ")", ",", "=", "!=", "<", "<=", ">", ">=", "^=", "~",
    "workflow", "status", "started", "ended", "duration", "version", "id", "error", "error.class",
    "label.team", "attr.amount", "input.customerId", "requestId", "running", "null", "true",
    "'a'", '"b"', "1", "-2.5e3", '"2026-11-01"', '"-24h"', "5s", "'; drop table executions; --",
    "\\", "$1", "%", "e.id", "\u2028", "\ud800", "\0", "''", "1e999", "9" * 400,
)  # fmt: skip
INJECTIONS = (
    "x' or '1'='1",
    "'; drop table executions; --",
    'x" or "" = "',
    "$1::text)) or true --",
    "%' or 1=1 /*",
    "\\'; select pg_sleep(60); --",
    "a) union select body from plans --",
    "ünïcödé ' \" \\ ;",
)


def refused(text: str) -> Invalid:
    with pytest.raises(Invalid) as error:
        parse_filter(text, NOW_US)
    return error.value


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_text_of_a_filter_is_in_its_sql(text: str) -> None:
    """Values are parameters whatever they hold, for every field and operator."""
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for field, op in (
        ("workflow", "="),
        ("id", "^="),
        ("error", "~"),
        ("error.class", "!="),
        ("label.team", "="),
        ("attr.amount", "<"),
        ("input.customerId", "^="),
        ("requestId", "="),
    ):
        tree = parse_filter(f"NOT {field} {op} {quoted} OR {field} = {quoted}", NOW_US)
        assert tree is not None
        where = Where("default")
        sql = where.condition(tree)
        assert text not in sql
        assert re.fullmatch(r"[A-Za-z0-9_$.,:;=<>@^~!'\[\]() -]*", sql), sql
        given = [each for v in where.values for each in (v if isinstance(v, list) else [v])]
        assert text in given
        assert len(re.findall(r"\$\d+", sql)) >= 2


@pytest.mark.parametrize("seed", range(2_000))
def test_any_words_are_a_filter_or_refused(seed: int) -> None:
    """Never another error, and never without the place."""
    rng = random.Random(seed)
    text = " ".join(rng.choice(PARTS) for _ in range(rng.randint(1, 14)))
    problem = None
    try:
        tree = parse_filter(text, NOW_US)
    except Invalid as error:
        problem = error
    if problem is not None:
        assert problem.reason == "FILTER_INVALID"
        assert problem.violations[0].column >= 1
    elif tree is not None:
        Where("default").condition(tree)


def test_filters_are_bounded() -> None:
    """In bytes, in values and in levels: the limit is taken, one more is not."""
    parse_filter("workflow = a" + " " * (FILTER_BYTES_MAX - 12), NOW_US)
    assert "bytes" in refused("workflow = a" + " " * (FILTER_BYTES_MAX - 11)).message
    parse_filter(" OR ".join(["version = 1"] * FILTER_TERMS_MAX), NOW_US)
    assert "values" in refused(" OR ".join(["version = 1"] * (FILTER_TERMS_MAX + 1))).message
    many = ", ".join(["a"] * (FILTER_TERMS_MAX + 1))
    assert "values" in refused(f"label.a IN ({many})").message
    deep, shut = "(" * FILTER_DEPTH_MAX, ")" * FILTER_DEPTH_MAX
    parse_filter(f"{deep}version = 1{shut}", NOW_US)
    assert "levels" in refused(f"({deep}version = 1{shut})").message
    assert "levels" in refused("NOT " * 1_000 + "version = 1").message
    assert "characters" in refused(f"workflow = '{'x' * 257}'").message


@pytest.mark.parametrize(
    "text", ["statuss", "started up", "attr.", "label.a'b", "a b c", "id desc"]
)
def test_a_wrong_order_is_refused(text: str) -> None:
    """A name that lists are not ordered by, or more than a name and a direction."""
    with pytest.raises(Invalid, match="order_by"):
        parse_order(text)


@pytest.mark.parametrize(
    "names", [["workflw"], ["status"] * 2, ["status", "day", "hour", "version"], ["id"], [""]]
)
def test_wrong_groups_are_refused(names: list[str]) -> None:
    """Unknown names, names twice, too many."""
    with pytest.raises(Invalid, match="group_by"):
        parse_groups(names)
