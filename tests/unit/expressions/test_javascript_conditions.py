"""Conditions of the JavaScript dialect, measured against a JavaScript engine."""

import time
from typing import Any

import _quickjs  # type: ignore[import-not-found]
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition
from tests.draws import draws

CONTEXT: dict[str, Any] = {
    "amount": 120,
    "f": 99.5,
    "validate-order": {"valid": True},
    "previousStep": 150,
    "own": {"result": 5},
    "obj": {"a": 1},
    "s": "abc",
    "l": [1, 2, "x"],
    "n": None,
    "e": "",
    "z": 0,
    "five": "5",
}
STEPS = ("validate-order", "previousStep", "own", "obj", "n")


def holds(source: str, context: Any = CONTEXT) -> bool:
    condition = compile_condition(source, dialect="javascript", steps=STEPS)
    assert condition is not None, "expected to be in the subset"
    return condition.evaluate({"context": context})


@pytest.mark.parametrize(
    "source",
    [
        "context.amount > 100",
        "context.amount >= 120 && !(context.amount > 120)",
        'context["validate-order"].valid',
        "context['validate-order'].valid === true",
        "context.previousStep.result > 100",
        "context.previousStep > 100",
        "context.previousStep.result === 150",
        "context.own.result === 5",
        "context.obj.result.a === 1",
        "context.amount === 120.0",
        "context.nope === undefined && context.nope == null && context.n == null",
        "context.n === null && context.n !== undefined",
        "!(context.nope > 1) && !(context.nope < 1)",
        "!context.e && !context.z && context.obj",
        "context.l.includes(2) && !context.l.includes('2') && context.l.length === 3",
        "context.s.includes('b') && context.s.startsWith('a') && context.s.endsWith('c')",
        "context.five > 4 && context.five == 5 && context.five !== 5",
        "context.five + 1 === '51' && context.five - 1 === 4",
        "context.amount % 7 === 1 && -context.amount < 0 && +context.five === 5",
        "context.amount > 100 ? context.s === 'abc' : false",
        "typeof context.s === 'string' && typeof context.nope === 'undefined'",
        "(context.nope || 7) > 5 && (context.z ?? 9) === 0",
        "!(context.nope && context.nope.x > 1)",
        "!context.nope?.x.y",
        "context.obj == context.obj && context.obj !== context.l",
        "context.l[0] === 1 && context.l[9] === undefined",
        "context.amount / 0 > 1e300 && 0x10 === 16 && .5 < 1",
        "'\\u0041\\n' === 'A\\x0a'",
        "true",
    ],
)
def test_what_people_write_holds(source: str) -> None:
    """Comparisons, truth, steps' results and missing members work as in JavaScript."""
    assert holds(source) is True


REFERENCES = st.sampled_from(
    [
        "context.a",
        "context.b",
        'context["c-d"]',
        "context.l[0]",
        "context.l.length",
        "context.no",
        "context.o.k",
        "context.o",
        "context.l",
    ]
)
LITERALS = st.sampled_from(
    [
        "0",
        "1",
        "2.5",
        "-3",
        "100",
        "''",
        "'5'",
        "'abc'",
        "' 12 '",
        "true",
        "false",
        "null",
        "undefined",
    ]
)
SOURCES = st.recursive(
    REFERENCES | LITERALS,
    lambda inner: st.one_of(
        st.tuples(
            inner,
            st.sampled_from(
                [
                    "==",
                    "!=",
                    "===",
                    "!==",
                    "<",
                    "<=",
                    ">",
                    ">=",
                    "+",
                    "-",
                    "*",
                    "/",
                    "%",
                    "&&",
                    "||",
                ]
            ),
            inner,
        ).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        inner.map(lambda one: f"(!{one})"),
        inner.map(lambda one: f"(- {one})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})"),
        st.tuples(REFERENCES, inner).map(lambda two: f"({two[0]} ?? {two[1]})"),
        REFERENCES.map(lambda one: f"(typeof {one})"),
    ),
    max_leaves=8,
)
VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2.5,
        100,
        10**15,
        1e21,
        1e-7,
        "",
        "0",
        "5",
        "abc",
        " 12 ",
        "1e3",
        "é",
        "😀",
        "0x1F",
        "x,1",
    ]
)
CONTEXTS = st.fixed_dictionaries(
    {
        "a": VALUES,
        "b": VALUES | st.lists(VALUES, max_size=2),
        "c-d": VALUES,
        "l": st.lists(VALUES, min_size=1, max_size=2),
        "o": st.fixed_dictionaries({"k": VALUES}),
    }
)


@settings(max_examples=draws(600), deadline=None)
@given(SOURCES, CONTEXTS)
def test_every_expression_agrees_with_a_javascript_engine(source: str, context: Any) -> None:
    """What compiles to CEL yields what JavaScript yields."""
    condition = compile_condition(source, dialect="javascript")
    if condition is None:
        return
    engine = _quickjs.Context()
    engine.set("text", orjson.dumps(context).decode())
    engine.eval("const context = JSON.parse(text)")
    assert condition.evaluate({"context": context}) is engine.eval(f"!!{source}")


def test_a_member_of_nothing_fails_only_where_it_is_reached() -> None:
    """`a.b` of a missing `a` fails as in JavaScript, unless a guard keeps it from being read."""
    for source in ("context.nope.x > 1", "context.n.result", "context.z || context.nope.x"):
        with pytest.raises(RenderError) as caught:
            holds(source)
        assert "cannot be read of it" in caught.value.message
    assert holds("context.amount || context.nope.x")
    assert not holds("context.z && context.nope.x > 1")
    assert not holds("context.nope ? context.nope.x : false")


def test_a_method_of_a_value_without_it_fails() -> None:
    """`includes` needs a text or an array."""
    with pytest.raises(RenderError, match="has no such method"):
        holds("context.amount.includes(1)")


def test_a_missing_scope_is_an_error_of_rendering() -> None:
    """A root that the caller does not provide is told, not assumed."""
    condition = compile_condition("input.a > 1", dialect="javascript")
    assert condition is not None
    with pytest.raises(RenderError, match="input is missing"):
        condition.evaluate({"context": {}})


@pytest.mark.parametrize(
    "source",
    [
        "context.items.map(x => x.a).length > 1",
        "context.items.some(i => i.price > 10)",
        "Math.max(context.a, 2) > 1",
        "9**9**9",
        "context[context.key] > 1",
        "`${context.a}` === 'x'",
        "/a/.test(context.s)",
        "'a' in context",
        "new Date() > 1",
        "context.a /* why */ > 1",
        "context.s.trim() === 'a'",
        "context.a instanceof Object",
        "(context.a, context.b)",
        "context.a = 1",
        "[1, 2].includes(context.a)",
    ],
)
def test_other_javascript_is_for_the_sandbox(source: str) -> None:
    """Valid JavaScript outside the subset is told apart, and nothing of it runs here."""
    assert compile_condition(source, dialect="javascript") is None


@pytest.mark.parametrize(
    "source",
    [
        "context.a >",
        "a b",
        "1 +",
        "(1",
        "context.a > 1)",
        "'abc",
        "",
        "  ",
        "if (1) {}",
        "return 1",
        "context.a = = 1",
        "context.a ?? 1 || 2",
        "a => ",
        "...",
        "1; 2",
        "1)];while(true){};([2",
        "1)}); while(true){}; (function(){return (1",
        "*/",
        "/* open",
        "context.a > 1 //\n)",
    ],
)
def test_bad_syntax_is_refused(source: str) -> None:
    """What is not one JavaScript expression is refused at registration, and never run."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_condition(source, dialect="javascript")
    assert caught.value.reason == "EXPRESSION_INVALID"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("amount > 1", "EXPRESSION_INVALID"),
        ("process.exit()", "EXPRESSION_INVALID"),
        ("context.__proto__", "EXPRESSION_FORBIDDEN"),
        ("context['__proto__'].x", "EXPRESSION_FORBIDDEN"),
        ("context.constructor.constructor('return 1')()", "EXPRESSION_FORBIDDEN"),
        ("(" * 20_000 + "1" + ")" * 20_000, "EXPRESSION_TOO_COMPLEX"),
        ("(" * 100 + "1" + ")" * 100, "EXPRESSION_TOO_COMPLEX"),
        ("!" * 4_000 + "1", "EXPRESSION_TOO_COMPLEX"),
        ("+".join(["context.a"] * 150), "EXPRESSION_TOO_COMPLEX"),
        ("[" * 4_000, "EXPRESSION_INVALID"),
    ],
)
def test_bombs_and_escapes_are_refused_at_once(source: str, reason: str) -> None:
    """Unknown names, prototypes and oversize are refused, and refusing them is quick."""
    started = time.perf_counter()
    if source.startswith("process"):
        assert compile_condition(source, dialect="javascript") is None
        return
    with pytest.raises(ExpressionInvalid) as caught:
        compile_condition(source, dialect="javascript")
    assert caught.value.reason == reason
    assert time.perf_counter() - started < 0.5


@given(st.text("context.ab[]()'\"<>=!&|?:+-*/%0123 \\", max_size=40))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    """No text makes the compiler or the condition fail in an unknown way."""
    try:
        condition = compile_condition(source, dialect="javascript")
    except ExpressionInvalid:
        return
    if condition is not None:
        try:
            condition.evaluate({"context": CONTEXT})
        except RenderError:
            return
