"""Conditions of the CEL dialect: names checked, cost bounded, only what is read handed over."""

import contextlib
import time
from typing import Any, Literal

import pytest

from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition

SCOPE: dict[str, Any] = {
    "input": {"amount": 3, "tier": "gold", "tags": ["a", "b"], "big": {"unused": object()}},
    "tasks": {"fetch-user": {"output": {"n": 5, "ok": True, "l": list(range(50))}}},
}


def holds(source: str, scope: Any = SCOPE) -> bool:
    condition = compile_condition(source, dialect="cel", steps=["fetch-user", "fetch"])
    assert condition is not None
    return condition.evaluate(scope)


@pytest.mark.parametrize(
    "source",
    [
        "input.amount > 2 && input.amount == 3.0 && input.amount < 3.5",
        "input.tier in ['gold', 'silver'] && 'a' in input.tags",
        "tasks.fetch-user.output.n > 3",
        'tasks["fetch-user"].output.ok',
        "!has(tasks.fetch-user.output.zz) && has(input.amount)",
        "tasks.fetch-user.output.l.exists(x, x > 48)",
        "size(input.tags) == 2 && input.tier.startsWith('go')",
        "input.tags.all(a, input.tags.exists(b, a == b))",
        "'tasks.fetch-user' == 'tasks.fetch-' + 'user'",
        "input.tier.matches('^g.*d$')",
    ],
)
def test_what_people_write_holds(source: str) -> None:
    """CEL works over input and task outputs, ids with hyphens included."""
    assert holds(source) is True


def test_only_what_is_read_is_handed_over() -> None:
    """A member that the expression does not name is never converted."""
    assert holds("input.amount == 3")
    with pytest.raises(RenderError):
        holds("input == input")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("input.a >", "EXPRESSION_INVALID"),
        ("9**9**9", "EXPRESSION_INVALID"),
        ("foo.x > 1", "EXPRESSION_INVALID"),
        ("f(1)", "EXPRESSION_INVALID"),
        ("open('/etc/passwd')", "EXPRESSION_INVALID"),
        ("input.x.foo()", "EXPRESSION_INVALID"),
        ("input @ 1", "EXPRESSION_INVALID"),
        ("input.__class__.__bases__", "EXPRESSION_FORBIDDEN"),
        ("(" * 20_000 + "1" + ")" * 20_000, "EXPRESSION_TOO_COMPLEX"),
        ("(" * 100 + "true" + ")" * 100, "EXPRESSION_TOO_COMPLEX"),
        ("+".join(["1"] * 200), "EXPRESSION_TOO_COMPLEX"),
        (
            "input.l.all(a, input.l.all(b, input.l.all(c, a + b + c > 0)))",
            "EXPRESSION_TOO_COMPLEX",
        ),
    ],
)
def test_what_is_wrong_or_too_much_is_refused(source: str, reason: str) -> None:
    """Bad syntax, unknown names, escapes and oversize are refused at registration, quickly."""
    started = time.perf_counter()
    with pytest.raises(ExpressionInvalid) as caught:
        compile_condition(source, dialect="cel")
    assert caught.value.reason == reason
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "source",
    [
        "input.l.all(a, input.l.all(b, a + b >= 0))",
        "input.l.map(a, input.l).size() > 0",
        "input.l.map(a, input.l.map(b, [a, b])).size() > 0",
        "input.l.filter(a, a in input.l).size() > 0",
        "(input.l + input.l).map(a, a).size() > 0",
        "input.l.map(a, input.s + input.s).size() > 0",
    ],
)
def test_comprehensions_are_bounded_by_the_data(source: str) -> None:
    """A comprehension over too much data fails at once; the most that is allowed is quick."""

    def data(length: int) -> dict[str, Any]:
        return {"input": {"l": list(range(length)), "s": "x" * length * 50}, "tasks": {}}

    with pytest.raises(RenderError) as caught:
        holds(source, data(3_000))
    assert caught.value.code == "EXPRESSION_BUDGET"
    length, allowed = 1, 0
    while length < 3_000:
        started = time.perf_counter()
        with contextlib.suppress(RenderError):
            allowed += holds(source, data(length))
        assert time.perf_counter() - started < 0.5
        length *= 2
    assert allowed >= 4


def test_rows_of_an_ordinary_size_are_within_the_bound() -> None:
    """A few hundred rows, and thousands for a plain test of each, are no trouble."""
    rows = [{"price": i, "name": "abc"} for i in range(5_000)]
    assert holds("input.rows.exists(r, r.price > 4990)", {"input": {"rows": rows}})
    assert holds("input.rows.filter(r, r.price > 3).size() > 1", {"input": {"rows": rows[:300]}})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("input.zz == 1", "no member"),
        ("input.amount", "yields a number"),
        ("input.tier + 1 == 2", "operands of wrong types"),
        ("9223372036854775807 + input.amount > 0", "out of range"),
        ("input.amount / 0 == 1", "operands of wrong types"),
    ],
)
def test_a_failed_evaluation_is_an_error_of_rendering(source: str, words: str) -> None:
    """What only the data can show fails the evaluation, with our own words."""
    with pytest.raises(RenderError) as caught:
        holds(source)
    assert words in caught.value.message


def test_regular_expressions_are_linear() -> None:
    """An evil pattern on a long text takes no time."""
    started = time.perf_counter()
    assert not holds("input.s.matches('^(a+)+$')", {"input": {"s": "a" * 50_000 + "b"}})
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "source",
    [
        "input.o == input.o",
        "input.l.all(x, input.l.exists(y, y == x))",
        "input.l.map(a, input.l).size() > 0",
        "input.l.map(a, input.s + input.s).size() > 0",
    ],
)
def test_what_is_prompt_takes_no_more_than_some_ms(source: str) -> None:
    """The most data of which that is said; with more of it others need not wait."""
    condition = compile_condition(source, dialect="cel")
    assert condition is not None

    def data(length: int) -> dict[str, Any]:
        items = {f"k{number}": number for number in range(length)}
        return {"input": {"l": list(range(length)), "s": "x" * length, "o": items}}

    most = max(length for length in range(1, 3_000, 10) if condition.is_prompt(data(length)))
    assert most < 2_100
    scope, took = data(most), []
    for _ in range(5):
        begun = time.perf_counter()
        condition.evaluate(scope)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.02


@pytest.mark.parametrize(
    ("source", "dialect"), [("input.l == input.l", "cel"), ("input.l.includes(1)", "javascript")]
)
def test_what_several_conditions_look_at_counts_together(
    source: str, dialect: Literal["cel", "javascript"]
) -> None:
    """One over so much data is prompt, each of eight is not."""
    condition = compile_condition(source, dialect=dialect)
    assert condition is not None
    scope = {"input": {"l": list(range(1_000))}}
    assert condition.is_prompt(scope)
    assert not condition.is_prompt(scope, among=8)
