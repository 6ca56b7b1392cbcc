"""Functions over texts, arrays, objects and truths: kinds of arguments, and sides of limits."""

from typing import Any

import pytest

from flowmesh.expressions import RenderError, TemplateInvalid, compile_template
from flowmesh.expressions.functions import FUNCTIONS

REFUSED = RenderError
TEXT_MAX = 256 * 1024
ITEMS_MAX = 100_000


def render(expression: str, data: Any = None) -> Any:
    return compile_template(f"{{{{ {expression} }}}}", ("input",)).render({"input": data})


def check(expression: str, data: Any, expected: Any) -> None:
    """Compare values and their types; REFUSED is an error at registration or at rendering."""
    if expected is REFUSED:
        with pytest.raises((RenderError, TemplateInvalid)):
            render(expression, data)
        return
    found = render(expression, data)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("expression", "fits", "exceeds"),
    [
        ("length(upper(input))", "x" * TEXT_MAX, "x" * (TEXT_MAX + 1)),
        ("length(input)", [1] * ITEMS_MAX, [1] * (ITEMS_MAX + 1)),
        ("length(range(0, input))", ITEMS_MAX, ITEMS_MAX + 1),
        ("length(range(input, 5))", 5 - ITEMS_MAX, 4 - ITEMS_MAX),
        ("length(repeat('ab', input))", TEXT_MAX // 2, TEXT_MAX // 2 + 1),
        ("length(padStart('a', input))", TEXT_MAX, TEXT_MAX + 1),
        ("length(padEnd('a', input))", TEXT_MAX, TEXT_MAX + 1),
        ("length(replace(input, 'a', 'bc'))", "a" * (TEXT_MAX // 2), "a" * (TEXT_MAX // 2 + 1)),
        ("length(split(input, ','))", "," * 9_999, "," * 10_000),
        ("length(concat(input, 'a'))", "x" * (TEXT_MAX - 1), "x" * TEXT_MAX),
        ("length(toJson(input))", "x" * (TEXT_MAX - 2), "x" * (TEXT_MAX - 1)),
        ("length(join(input, ''))", ["x" * TEXT_MAX], ["x" * TEXT_MAX, "x"]),
        ("length(join(input, '--'))", ["x" * (TEXT_MAX - 4), ""], ["x" * (TEXT_MAX - 3), ""]),
        ("length(concat(input, input))", [1] * (ITEMS_MAX // 2), [1] * (ITEMS_MAX // 2 + 1)),
        ("length(upper(input))", "ß" * (TEXT_MAX // 2), "ß" * (TEXT_MAX // 2 + 1)),
        ("length(fromJson(input))", "[" * 64 + "]" * 64, "[" * 65 + "]" * 65),
        ("length(fromJson(input))", '{"a":' * 63 + "{}" + "}" * 63, '{"a":' * 64 + "{}" + "}" * 64),
    ],
)
def test_the_last_permitted_size_works_and_the_next_is_refused(
    expression: str, fits: Any, exceeds: Any
) -> None:
    """Of arguments and results: texts, arrays, parts and levels."""
    assert render(expression, fits) > 0
    check(expression, exceeds, REFUSED)


@pytest.mark.parametrize("name", ["max", "and", "concat"])
def test_a_call_has_at_most_32_arguments(name: str) -> None:
    """For functions whose last parameter is repeated."""
    value = {"max": "1", "and": "true", "concat": "'a'"}[name]
    assert render(f"{name}({', '.join([value] * 32)})")
    check(f"{name}({', '.join([value] * 33)})", None, REFUSED)


# A value of each kind, and the words for it.
KINDS: dict[str, tuple[Any, ...]] = {
    "null": (None,),
    "boolean": (True, False),
    "integer": (0, -3, 2.0),
    "number": (0.5, -1.5),
    "string": ("", "2026-01-01"),
    "array": ([], [1]),
    "object": ({}, {"a": 1}),
}


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        ("upper(input)", "string"),
        ("abs(input)", "integer number"),
        ("repeat('a', abs(input)) | length", "integer"),
        ("not(input)", "boolean"),
        ("keys(input)", "object"),
        ("first(input)", "array"),
        ("toJson(input)", "null boolean integer number string array object"),
        ("length(input)", "string array object"),
        ("get(input, 'a', 'x')", "array object"),
        ("number(default(input, 'x'))", "boolean integer number"),
        ("date(input)", "integer number"),
        ("lt(input, 5)", "integer number"),
        ("if(input, 1, 2)", "boolean"),
        ("and(input, input)", "boolean"),
        ("or(input, input)", "boolean"),
    ],
)
def test_an_argument_has_the_kinds_of_its_parameter(call: str, kinds: str) -> None:
    """A boolean is no number, and a float without a fraction is a whole one."""
    for kind, values in KINDS.items():
        for value in values:
            if kind in kinds.split():
                assert render(call, value) is not None or value == []
            elif not (call.startswith("date") and value):
                check(call, value, REFUSED)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("upper(input)", "text is a number, it must be a string"),
        ("length(input)", "value is a number, it must be a string or an array or an object"),
        ("repeat('a', 'b')", "count is a string, it must be a whole number"),
        ("dateAdd(0, 1, input)", "unit is a number, it must be one of milliseconds"),
        ("not(input)", "value is a number, it must be true or false"),
        ("first(null)", "items is null, it must be an array"),
        ("keys(true)", "value is a boolean, it must be an object"),
    ],
)
def test_a_wrong_kind_is_named(call: str, words: str) -> None:
    """With those that fit."""
    with pytest.raises((RenderError, TemplateInvalid), match=words):
        render(call, 5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_call_has_the_arguments_of_its_signature(name: str) -> None:
    """As few as the required, as many as all; one less or more is refused with their number."""
    inside = FUNCTIONS[name].signature.partition("(")[2].partition(")")[0]
    parameters = [each for each in inside.split(", ") if each]
    least = sum("?:" not in each for each in parameters)
    most = 32 if inside and "...:" in parameters[-1] else len(parameters)
    for count in {least - 1, least, most, most + 1} - {-1}:
        source = f"{{{{ {name}({', '.join(['input'] * count)}) }}}}"
        if least <= count <= most:
            assert compile_template(source, ("input",))
            continue
        between = str(least) if least == most else f"{least} to {most}"
        plural = "" if between == "1" else "s"
        with pytest.raises(TemplateInvalid, match=f"takes {between} argument{plural}, not {count}"):
            compile_template(source, ("input",))


@pytest.mark.parametrize(
    ("a", "b", "order"),
    [
        (1, 2, -1),
        (2, 2, 0),
        (2, 2.0, 0),
        (2.5, 2, 1),
        ("a", "b", -1),
        ("b", "b", 0),
        ("b", "a", 1),
        ("", "a", -1),
        (1, "1", None),
        ("1", 1, None),
    ],
)
def test_two_values_are_less_equal_or_greater(a: Any, b: Any, order: int | None) -> None:
    """Numbers or texts; both in one comparison are refused, but can be unequal."""
    expected = {
        "lt": order == -1,
        "le": order in {-1, 0},
        "gt": order == 1,
        "ge": order in {0, 1},
    }
    for name, holds in expected.items():
        check(f"{name}(input[0], input[1])", [a, b], REFUSED if order is None else holds)
    check("eq(input[0], input[1])", [a, b], order == 0)
    check("ne(input[0], input[1])", [a, b], order != 0)


@pytest.mark.parametrize(
    ("value", "exists", "empty"),
    [
        (None, False, True),
        ("", True, True),
        ([], True, True),
        ({}, True, True),
        (0, True, False),
        (False, True, False),
        ("a", True, False),
        ([None], True, False),
        ({"a": None}, True, False),
    ],
)
def test_what_is_there_and_what_is_empty(value: Any, exists: bool, empty: bool) -> None:
    """0 and false are neither missing nor empty."""
    data = {"v": value}
    check("exists(input.v)", data, exists)
    check("empty(input.v)", data, empty)
    check("default(input.v, 'x')", data, value if exists else "x")
    check("coalesce(input.no, input.v, 'x')", data, value if exists else "x")
    check("ifEmpty(input.v, 'x')", data, "x" if empty else value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("exists(input.no)", False),
        ("empty(input.no)", True),
        ("ifEmpty(input.no, 'x')", "x"),
        ("default(input.no, 'x')", "x"),
        ("default(input.no, input.no)", None),
        ("if(true, 1, input.no)", 1),
        ("if(false, input.no, 2)", 2),
        ("if(input.no, 1, 2)", REFUSED),
        ("if(1, 1, 2)", REFUSED),
        ("and(false, input.no)", False),
        ("and(true, input.no)", REFUSED),
        ("and(true, false, true)", False),
        ("and(true, true)", True),
        ("and(true, 1)", REFUSED),
        ("or(true, input.no)", True),
        ("or(false, input.no)", REFUSED),
        ("or(false, false)", False),
        ("or(false, true)", True),
        ("or(false, 'x')", REFUSED),
        ("not(true)", False),
        ("not(false)", True),
    ],
)
def test_only_the_arguments_that_decide_are_evaluated(expression: str, expected: Any) -> None:
    """So a missing one fails only where it is reached."""
    check(expression, {}, expected)


ROW = {"l": [1, "b", None], "o": {"a": 1, "b": None}, "s": "abc", "e": []}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("get(input.l, 0)", 1),
        ("get(input.l, 2, 'x')", None),
        ("get(input.l, 3, 'x')", "x"),
        ("get(input.l, -3, 'x')", 1),
        ("get(input.l, -4, 'x')", "x"),
        ("get(input.l, true, 'x')", "x"),
        ("get(input.l, 1.0, 'x')", "x"),
        ("get(input.l, '0', 'x')", "x"),
        ("get(input.o, 'a', 'x')", 1),
        ("get(input.o, 'b', 'x')", None),
        ("get(input.o, 'c', 'x')", "x"),
        ("get(input.o, 1, 'x')", "x"),
        ("get(input.o, 'c')", None),
        ("first(input.l)", 1),
        ("last(input.l)", None),
        ("first(input.e)", None),
        ("last(input.e)", None),
        ("slice(input.l, 1)", ["b", None]),
        ("slice(input.l, 0, 1)", [1]),
        ("slice(input.l, -1)", [None]),
        ("slice(input.l, 0, -1)", [1, "b"]),
        ("slice(input.l, 5)", []),
        ("reverse(input.l)", [None, "b", 1]),
        ("sort(array(2, 1.5, -1))", [-1, 1.5, 2]),
        ("sort(array('b', 'a'))", ["a", "b"]),
        ("sort(array('b', 1))", REFUSED),
        ("sort(array(true, false))", REFUSED),
        ("sort(array(1, true))", REFUSED),
        ("sort(input.e)", []),
        ("unique(array(1, 1, true, '1', 1.0))", [1, True, "1", 1.0]),
        ("unique(array(input.o, input.o))", [{"a": 1, "b": None}]),
        ("pick(input.o, 'b', 'c')", {"b": None}),
        ("omit(input.o, 'b', 'c')", {"a": 1}),
        ("merge(input.o, pick(input.o, 'c'))", {"a": 1, "b": None}),
        ("values(input.o)", [1, None]),
        ("range(2, 5)", [2, 3, 4]),
        ("range(5, 2)", []),
        ("array(input.s, array(1))", ["abc", [1]]),
        ("substring(input.s, 1)", "bc"),
        ("substring(input.s, 0, 1)", "a"),
        ("substring(input.s, -2, -1)", "b"),
        ("substring(input.s, 9)", ""),
        ("capitalize(input.s)", "Abc"),
        ("capitalize('')", ""),
        ("trim(' a b\n')", "a b"),
        ("replace(input.s, '', 'x')", REFUSED),
        ("replace('aXbX', 'X', '')", "ab"),
        ("split(input.s, '')", REFUSED),
        ("split('a,b,', ',')", ["a", "b", ""]),
        ("join(input.l)", "1,b,null"),
        ("join(input.e, '-')", ""),
        ("padStart(input.s, 5)", "  abc"),
        ("padStart(input.s, 2, 'x')", "abc"),
        ("padEnd(input.s, 5, '.')", "abc.."),
        ("padEnd(input.s, 5, '')", REFUSED),
        ("padEnd(input.s, 5, '..')", REFUSED),
        ("padStart(input.s, -5)", "abc"),
        ("repeat(input.s, 2)", "abcabc"),
        ("repeat(input.s, -1)", REFUSED),
        ("contains(input.s, 'bc')", True),
        ("contains(input.s, 'cb')", False),
        ("contains(input.s, 1)", REFUSED),
        ("contains(input.l, 'b')", True),
        ("contains(input.l, null)", True),
        ("contains(input.l, true)", False),
        ("contains(input.e, 1)", False),
        ("startsWith(input.s, 'b')", False),
        ("endsWith(input.s, 'c')", True),
        ("endsWith(input.s, 'b')", False),
        ("concat(input.l, input.e, array(2))", [1, "b", None, 2]),
        ("concat(input.s, input.e)", "abc[]"),
        ("concat(input.s, 1, null, true)", "abc1nulltrue"),
        ("string(input.o)", '{"a":1,"b":null}'),
        ("fromJson('{')", REFUSED),
        ("type(null)", "null"),
        ("type(true)", "boolean"),
        ("type(1)", "number"),
        ("type('a')", "string"),
        ("type(input.l)", "array"),
        ("type(input.o)", "object"),
        ("base64Encode('a')", "YQ=="),
        ("base64Decode('YQ')", "a"),
        ("base64Decode('YWI=')", "ab"),
        ("base64Decode('YWJj')", "abc"),
        ("base64Decode('YWJjZ')", REFUSED),
        ("base64Decode('a b')", REFUSED),
        ("base64Decode('_w==')", REFUSED),
        ("hexEncode('hi')", "6869"),
        ("urlEncode('a/b ?')", "a%2Fb%20%3F"),
        ("urlDecode('%ff')", REFUSED),
        ("urlDecode('a+b%2B')", "a b+"),
        ("md5('')", "d41d8cd98f00b204e9800998ecf8427e"),
        ("sha256('') | length", 64),
        ("sha512('') | substring(0, 8)", "cf83e135"),
    ],
)
def test_what_functions_yield(expression: str, expected: Any) -> None:
    """At their ends: empty texts and arrays, indexes from either side, values of other types."""
    check(expression, ROW, expected)
