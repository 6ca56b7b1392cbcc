"""Operators of the JavaScript dialect in pairs, and its literals, against a JavaScript engine."""

import itertools
from typing import Any

import _quickjs  # type: ignore[import-not-found]
import orjson
import pytest

from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition
from flowmesh.expressions.conditions import Condition

OPERATORS = (
    *("||", "&&", "==", "!=", "===", "!==", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"),
)
VALUES = (0, 2, "0", "1", "")
CONTEXTS = [dict(zip("abc", values, strict=True)) for values in itertools.product(VALUES, repeat=3)]


def condition(source: str, **arguments: Any) -> Condition:
    made = compile_condition(source, dialect="javascript", **arguments)
    assert made is not None, f"{source} is in the subset"
    return made


def truths(source: str, contexts: list[Any]) -> list[bool]:
    """Return what a JavaScript engine says of each context."""
    engine = _quickjs.Context()
    engine.set("text", orjson.dumps(contexts).decode())
    code = f"JSON.stringify(JSON.parse(text).map(context => !!({source})))"
    found: list[bool] = orjson.loads(engine.eval(code))
    return found


def agrees(source: str, contexts: list[Any]) -> None:
    made = condition(source)
    assert [made.evaluate({"context": each}) for each in contexts] == truths(source, contexts)


@pytest.mark.parametrize("first", OPERATORS)
def test_each_pair_of_operators_binds_as_in_javascript(first: str) -> None:
    """Without parentheses, over numbers and texts."""
    for second in OPERATORS:
        source = f"context.a {first} context.b {second} context.c"
        if compile_condition(source, dialect="javascript") is not None:
            agrees(source, CONTEXTS)


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_of_one_operand_binds_first(operator: str) -> None:
    """On the left and on the right; the ternary binds last."""
    for sign in ("!", "-", "+", "typeof "):
        agrees(f"{sign}context.a {operator} context.b", CONTEXTS[::5])
        agrees(f"context.a {operator} {sign}context.b", CONTEXTS[::5])
    agrees(f"context.a {operator} context.b ? context.c : context.a", CONTEXTS)
    agrees(f"context.c ? context.a : context.b {operator} context.a", CONTEXTS)


@pytest.mark.parametrize(
    "source",
    [
        "(context.a ?? context.b) + 1 === 2",
        "context.a ?? context.b === 1",
        "context.a ?? context.b + 1",
        "context.a ? context.b : context.c ? 0 : 1",
        "context.a ? context.b ? 0 : 1 : context.c",
        "!!context.a === !!context.b",
        "- -context.a + +context.b > 0",
        "context.a - context.b - context.c > 0",
        "context.a / context.b / context.c > 0",
        "context.a % context.b * context.c > 0",
        "(context.a && context.b) || context.c",
        "context.a && (context.b || context.c)",
        "(context.a || context.b) && context.c",
        "(context.a && context.b) === context.b",
        "(context.a || context.b) === context.b",
        "(context.a === 1 && context.b === 1) === (context.c === 1)",
        "(context.a === 1 || context.b === 1) !== (context.c === 1)",
        "(context.a ? context.b : context.c) === context.c",
        "(context.a ? 1 : 2) + 1 === 2",
        "(context.a ? '1' : '2') + 1 === '11'",
        "(context.a ? 1 : '2') + 1 === '21'",
        "context.a + context.b === '11'",
        "1 + context.a === 2",
        "1 + 2 + context.a === '31'",
        "context.a + (1 + 2) === '13'",
        "'' + context.a === '1'",
        "(1 - context.a) + 1 === 1",
    ],
)
def test_what_is_grouped_agrees(source: str) -> None:
    """Chains, logical values that are compared, and sums of numbers and texts."""
    agrees(source, [*CONTEXTS, {"b": 1}, {"a": None, "b": None, "c": 1}, {"a": None, "b": 0}])


# `undefined`, too, if the member is missing.
ALL: tuple[Any, ...] = (None, True, False, 0, 1, -1.5, "", "1", [], {})
EVERY: list[dict[str, Any]] = [{}, *({"a": each, "b": "1"} for each in ALL)]


@pytest.mark.parametrize("operand", ["1", "0", "'1'", "''", "true", "false", "null", "undefined"])
def test_a_literal_can_be_the_value_of_a_logical_operator(operand: str) -> None:
    """So can a reference, a step and the name of a type; what is computed is for the sandbox."""
    contexts = EVERY
    for each in (operand, "context.a", "typeof context.a"):
        agrees(f"({each} && context.b) === context.b", contexts)
        agrees(f"({operand} || {each}) === {each}", contexts)
        agrees(f"({each} ?? context.b) === {operand}", contexts)
        agrees(f"{each} == {operand}", contexts)
        agrees(f"{operand} != {each}", contexts)
        agrees(f"{each} === {operand}", contexts)
        agrees(f"{operand} !== {each}", contexts)


@pytest.mark.parametrize(
    "computed", ["context.a + 1", "-context.a", "context.a * 2", "context.a % 2"]
)
def test_a_computed_value_of_a_logical_operator_is_for_the_sandbox(computed: str) -> None:
    """It would be computed twice; its truth alone is in the subset."""
    for source in (
        f"(({computed}) && context.b) === 1",
        f"(context.b || ({computed})) === 1",
        f"(({computed}) ?? context.b) === 1",
    ):
        assert compile_condition(source, dialect="javascript") is None
    agrees(f"({computed}) && context.b", EVERY[1:])


@pytest.mark.parametrize(
    "literal",
    [
        *("0x1F", "0XAb", "0o17", "0b101", "1.", ".5", "1e3", "1E-7", "1.5e+3", "1e308"),
        *("9007199254740993", "1e21", "123456789012345680000", "0.000001", "1e-7", "1.25e-9"),
    ],
)
def test_numbers_are_read_and_written_as_in_javascript(literal: str) -> None:
    """In each form, and with the exponents of `String`."""
    agrees(f"context.a === {literal}", [{"a": 31.0}, {"a": 15}, {"a": 5}, {"a": 1e3}])
    written = _quickjs.Context().eval(f"String({literal})")
    for text, holds in ((written, True), (f"{written}0", False)):
        assert (
            condition(f"context.t + {literal} === '{text}'").evaluate({"context": {"t": ""}})
            is holds
        )


@pytest.mark.parametrize(
    "value",
    [
        *(0.1, -0.1, 1e20, 1e21, -1e21, 123e18, 1.5e21, 1e-6, 1e-7, -1.5e-7, 2.5e-6, 1.25e-6),
        *(2**53, 2**53 + 1, -(2**63), 5e-324, 1.7976931348623157e308, -0.0),
    ],
)
def test_numbers_of_the_data_become_texts_as_in_javascript(value: float) -> None:
    """With an exponent from 1e21 and below 1e-6."""
    engine = _quickjs.Context()
    written = engine.eval(f"String({value!r})")
    assert condition(f"'' + context.a === '{written}'").evaluate({"context": {"a": value}})
    assert condition(f"context.a == '{written}'").evaluate({"context": {"a": value}})


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", " 12 ", "\u00a012\ufeff", "1e3", "0x1F", "0b11", "0o17", "0x", "-0x1", "+5"),
        *("-5", "1.", ".5", ".", "1_0", "Infinity", "-Infinity", "infinity", "NaN", "1e400", "5a"),
        *("\u0661", "0b2", "00012"),
    ],
)
def test_texts_become_numbers_as_in_javascript(text: str) -> None:
    """With blanks, radixes and Infinity."""
    contexts = [{"a": text, "b": 12}, {"a": text, "b": text}]
    for source in ("+context.a > 1", "context.a == context.b", "-context.a < 0", "context.a < 1e9"):
        agrees(source, contexts)
    agrees("+context.a === +context.a", contexts)


@pytest.mark.parametrize("left", [None, True, False, 0, 1, "", "1", "a", [], [1], ["1", None], {}])
def test_each_pair_of_types_compares_as_in_javascript(left: Any) -> None:
    """Loosely, strictly and in order; a missing member is undefined."""
    rights: tuple[Any, ...] = (None, True, False, 0, 1, "", "1", "a", [], [1], [[1], None], {})
    contexts = [{"a": left}, {"b": left}, *({"a": left, "b": right} for right in rights)]
    for operator in ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "+", "%"):
        agrees(f"context.a {operator} context.b", contexts)
    agrees("typeof context.a === typeof context.b", contexts)
    agrees("context.a == context.a && context.b === context.b", contexts)
    agrees("(context.a + context.b) === 'null1' || !context.a", contexts)


@pytest.mark.parametrize(
    "source",
    [
        "context.s.length === 4",
        "context.s[0] === 'a'",
        "context.s[3] === undefined",
        "context.s[9] === undefined",
        "context.l.length === 3",
        "context.l[2] === 'x' && context.l[3] === undefined",
        "context.l['1'] === 2",
        "context.l[0x1] === 2",
        "context.s['length'] === 4",
        "context.l.includes(1) && !context.l.includes(true) && !context.l.includes('1')",
        "context.l.includes('x') && !context.l.includes(null)",
        "context.s.includes(1)",
        "context.s.startsWith('ab') && !context.s.startsWith('b')",
        "context.s.endsWith('1') && !context.s.endsWith('b')",
        "context.s.startsWith(context.no) || context.s.endsWith(1)",
        "context.n?.x === undefined && context.no?.x === undefined",
        "context.o.length === undefined",
        "context.i.length === undefined && context.i.x === undefined",
        "context.s < '\uffff'",
        "'\U0001f600' < '\uffff'",
        "'\\u{1F600}'.length === 2",
        "'a\\\\b\\'c' === context.q",
    ],
)
def test_members_and_methods_agree(source: str) -> None:
    """Of texts, whose length counts UTF-16 units, of arrays and of objects."""
    context: dict[str, Any] = {
        "s": "ab\u00e91",
        "l": [1, 2, "x"],
        "n": None,
        "o": {},
        "i": 5,
        "q": "a\\b'c",
    }
    made = compile_condition(source, dialect="javascript")
    if made is not None:
        assert made.evaluate({"context": context}) is truths(source, [context])[0]


def test_each_character_of_a_text_is_kept() -> None:
    """At the ends of ASCII and of the plane, quotes and controls."""
    codes = (
        *range(1, 128, 6),
        10,
        13,
        31,
        32,
        34,
        39,
        92,
        126,
        127,
        128,
        0x2028,
        0xD7FF,
        0xE000,
        0xFFFF,
        0x10000,
        0x10FFFF,
    )
    for character in map(chr, codes):
        written = "".join(f"\\u{{{ord(each):x}}}" for each in character)
        agrees(f"context.a === '{written}'", [{"a": character}, {"a": f"{character}x"}])
        if character not in "\r\n'\\":
            assert condition(f"context.a === '{character}'").evaluate({"context": {"a": character}})


@pytest.mark.parametrize(
    ("source", "offset"),
    [("context.a > b", 12), ("b > c", 0), ("context.a.__proto__", 10), ("context['__x']", 8)],
)
def test_an_error_has_its_place(source: str, offset: int) -> None:
    """That of the first unknown name, or of the member that is forbidden."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_condition(source, dialect="javascript")
    assert caught.value.offset == offset


@pytest.mark.parametrize(("unit", "most"), [("true", 200), ("context.a", 100), ("(true)", 100)])
def test_an_expression_has_at_most_200_parts(unit: str, most: int) -> None:
    """The last permitted part compiles, and one more is refused."""
    assert condition(" && ".join([unit] * most))
    with pytest.raises(ExpressionInvalid, match="at most 200 parts"):
        condition(" && ".join([unit] * (most + 1)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("!", ""),
        ("- ", ""),
        ("+ ", ""),
        ("typeof ", ""),
        ("(", ")"),
        ("true ? ", " : 1"),
        ("true ? 1 : ", ""),
        ("context.s.includes(", ")"),
    ],
)
def test_an_expression_is_nested_at_most_64_levels(before: str, after: str) -> None:
    """By each operator before an operand, parentheses, choices and calls."""
    compile_condition(before * 64 + "1" + after * 64, dialect="javascript")
    with pytest.raises(ExpressionInvalid, match="at most 64 levels"):
        compile_condition(before * 65 + "1" + after * 65, dialect="javascript")


def test_an_operand_on_the_right_is_a_level() -> None:
    """And its parentheses another."""
    compile_condition("1 + (" * 32 + "1" + ")" * 32, dialect="javascript")
    with pytest.raises(ExpressionInvalid, match="at most 64 levels"):
        compile_condition("1 + (" * 32 + "1 + 1" + ")" * 32, dialect="javascript")


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("context.done.result === 5", True),
        ("context.plain.result === 5", True),
        ("context.other.result === undefined", True),
        ("context.done.result.result === undefined", True),
        ("input.done.result === undefined", True),
        ("context.done.value === undefined", True),
    ],
)
def test_only_the_result_of_a_step_in_the_context_is_its_output(source: str, holds: bool) -> None:
    """Deeper, elsewhere or by another name it is a member as any."""
    data = {"done": {"result": 5}, "plain": 5, "other": 7}
    made = condition(source, steps=("done", "plain"))
    assert made.evaluate({"context": data, "input": {"done": 5}}) is holds


def test_an_array_becomes_a_text_of_at_most_64_kib() -> None:
    """The last permitted length is compared, and one more is refused."""
    made = condition("context.l == 'x'")
    most = 64 * 1024
    for fits in (["x" * most], [None] * (most // 2 + 1), ["x" * (most - 2), "", ""]):
        assert not made.evaluate({"context": {"l": fits}})
    large: list[Any] = ["x"] * most
    for source in ("context.l != null", "undefined != context.l"):
        assert condition(source).evaluate({"context": {"l": large}})
    for large in (["x" * (most + 1)], ["x" * (most - 1), "", ""], [1] * most):
        with pytest.raises(RenderError, match="too large to be compared as text"):
            made.evaluate({"context": {"l": large}})
