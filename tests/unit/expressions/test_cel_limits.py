"""What a CEL condition reads, searches and costs, at both sides of each limit."""

from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition
from flowmesh.expressions.cel_source import Reads, Shape, reads, shape, tokenize, with_quoted_steps
from flowmesh.expressions.conditions import ROOTS, Condition

NESTED = "input.l.all(a, input.l.all(b, a == b))"


def condition(source: str, dialect: Any = "cel") -> Condition:
    made = compile_condition(source, dialect=dialect, roots=("input", "tasks"))
    assert made is not None
    return made


def items(count: int) -> dict[str, Any]:
    return {"input": {"l": [1] * count}}


def letters(count: int) -> dict[str, Any]:
    return {"input": {"s": "x" * count}}


def costs(made: Condition, scope: dict[str, Any]) -> bool:
    """Return whether the data is too large for the condition."""
    code = ""
    try:
        made.evaluate(scope)
    except RenderError as error:
        code = error.code
    assert code in {"", "EXPRESSION_BUDGET"}
    return bool(code)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 == 1", Shape(0, False, False, 1, 0, 1)),
        ("input.a == 1", Shape(0, False, False, 1, 0, 1)),
        ("input.input == tasks.b", Shape(0, False, False, 2, 0, 1)),
        ("other.a == 1 + 2 + 3", Shape(0, False, False, 1, 0, 3)),
        ("input.l.all(x, x > 0)", Shape(1, False, False, 3, 1, 1)),
        ("input.l.exists(x, x > input.a)", Shape(1, False, True, 4, 1, 1)),
        ("input.l.exists_one(x, (x > 0))", Shape(1, False, False, 3, 1, 1)),
        ("input.l.map(x, x).size() > 0", Shape(1, True, False, 3, 1, 1)),
        ("input.l.filter(x, x).size() > 0", Shape(1, True, False, 3, 1, 1)),
        ("input.l.all(x, x > 0) && input.a", Shape(1, False, False, 4, 1, 1)),
        ("(input.l.all(x, x > 0)) && (input.a)", Shape(1, False, False, 4, 1, 1)),
        ("input.l.all(x, x) && input.l.all(y, y)", Shape(1, False, False, 6, 2, 1)),
        ("input.l.all(x, [1, 2].map(y, x + y) == x)", Shape(2, True, False, 6, 3, 2)),
        ("map(input.l)", Shape(0, False, False, 1, 0, 1)),
        ("input.map == 1 && size(input.map)", Shape(0, False, False, 2, 0, 1)),
        (NESTED, Shape(2, False, True, 6, 2, 1)),
    ],
)
def test_the_cost_of_an_expression_follows_from_its_shape(source: str, expected: Shape) -> None:
    """Nesting, lists that are built, bodies that read more, names, literals and growth."""
    assert shape(tokenize(source), ROOTS) == expected


@pytest.mark.parametrize(
    ("form", "repeats", "cost"),
    [
        (Shape(1, False, False, 3, 1, 1), 1, (20 + 1) * 3),
        (Shape(1, True, False, 3, 1, 1), 1, (20 + 1) * 3 * 10),
        (Shape(1, False, True, 4, 1, 1), 10, (20 + 1) * 4 * 10),
        (Shape(2, False, False, 5, 2, 1), 10, (20 + 2) * 5 * 10),
        (Shape(2, False, True, 6, 2, 1), 100, (20 + 2) * 6 * 100),
        (Shape(2, True, True, 6, 2, 2), 400, (20 + 2) * 6 * 400 * 20),
        (Shape(2, False, False, 1, 15, 2), 30, (20 + 15) * 1 * 30),
        (Shape(0, False, False, 1, 0, 1), 1, 20),
    ],
)
def test_the_cost_counts_the_repeats_of_the_longest_array(
    form: Shape, repeats: int, cost: int
) -> None:
    """Of 20 values with an array of 10, or of the literals if those are more."""
    assert form.repeats(10) == repeats
    assert form.cost(10, 20) == cost


# The most items: with NESTED (n + 3 values + 2 literals) * 6 names * n * n steps.
@pytest.mark.parametrize(
    ("source", "data", "evaluated", "prompt", "among"),
    [
        (NESTED, items, 92, 42, 28),
        ("input.l.map(a, input.l).size() > 0", items, 117, 53, 36),
        ("size(input.l) > 0", items, 49_997, 1_997, 663),
        ("input.s != ''", letters, 49_998 * 64 - 1, 1_998 * 64 - 1, 664 * 64 - 1),
    ],
)
def test_the_last_permitted_size_is_evaluated_and_the_next_is_not(
    source: str, data: Callable[[int], Any], evaluated: int, prompt: int, among: int
) -> None:
    """At once, as one of three, or at all."""
    made = condition(source)
    assert not costs(made, data(evaluated))
    assert costs(made, data(evaluated + 1))
    assert [made.is_prompt(data(prompt + each)) for each in (0, 1)] == [True, False]
    assert [made.is_prompt(data(among + each), among=3) for each in (0, 1)] == [True, False]


@pytest.mark.parametrize(
    ("source", "dialect", "most"),
    [("input.l.includes(1)", "javascript", 1_999), ("$.l[0]", "jsonpath", 1_998)],
)
def test_other_dialects_are_prompt_over_as_many_values(
    source: str, dialect: str, most: int
) -> None:
    """2,000, with the arrays and objects that hold them."""
    made = condition(source, dialect)
    assert [made.is_prompt(items(most + each)) for each in (0, 1)] == [True, False]


# A pattern `a{n}` has n + 4 instructions.
@pytest.mark.parametrize(
    ("source", "prompt"),
    [
        ("input.s.matches('a{1000}')", True),
        ("input.s.matches('a{996}') || input.s.matches('a{996}')", True),
        ("input.s.matches('a{996}') || input.s.matches('a{997}')", False),
        ("input.s.matches('a{997}') || input.s.matches('a{996}')", False),
        ("input.s.matches('a{996}') || matches(input.s, 'a{996}')", False),
        (r"input.s.matches('\\pL{500}')", False),
        (r"input.s.matches('\\pL{500}') || input.s.matches('a')", False),
        (r"input.s.matches('a') || input.s.matches('\\pL{500}')", False),
        ("input.s.matches(input.s)", False),
        ("input.s.matches(input.s) || input.s.matches('a')", False),
        ("input.s.matches('a') || input.s.matches(input.s)", False),
        ("input.s.matches('a' + 'b')", False),
        (r"input.s.matches('\\d')", True),
        (r"input.s.matches(r'\d')", True),
        (r"input.s.matches(R'''\d''')", True),
        (r"input.s.matches('\n')", False),
        ("input.s.matches('(')", False),
        ("input.matches == 'a'", True),
    ],
)
def test_a_condition_is_prompt_with_small_known_patterns(source: str, prompt: bool) -> None:
    """Literals of 2,000 instructions together; one that is unknown or wrong may be any."""
    assert condition(source).is_prompt({"input": {"s": "x"}}) is prompt


def test_the_time_of_a_pattern_grows_with_the_text() -> None:
    """Each instruction and character is a step, once per item of an outer comprehension."""
    made = condition("input.s.matches('a{46}')")
    most = 500_000 // 50 - 3
    assert [made.is_prompt(letters(most + each)) for each in (0, 1)] == [True, False]
    nested = condition("input.l.all(x, input.l.all(y, x.matches('a{46}')))")

    def texts(count: int) -> dict[str, Any]:
        return {"input": {"l": ["x"] * count}}

    # Per item a value and a character, and the steps of the comprehensions.
    for count in (10, 20, 30, 60):
        size, repeats = count + 3, count * count
        steps = 50 * (count + size) * repeats + (size + 2) * 5 * repeats
        assert nested.is_prompt(texts(count)) is (steps <= 500_000)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"'^\\d$'", "5", True),
        (r"'^\\d$'", "d", False),
        (r"r'^\d$'", "5", True),
        (r"r'^\d$'", "d", False),
        ('"^b$"', "b", True),
        ('"""^b$"""', "b", True),
        ("'b'", "abc", True),
        ("'b'", "ac", False),
    ],
)
def test_a_pattern_is_searched_as_it_is_written(pattern: str, text: str, found: bool) -> None:
    """In each form of a literal, raw or not; it is also compiled to see its size."""
    made = condition(f"input.s.matches({pattern}) && 1 == 1")
    assert made.evaluate({"input": {"s": text}}) is found
    assert made.is_prompt({"input": {"s": text}})


def plain(found: Reads) -> Any:
    """Return the members as dictionaries, and True for one that is read whole."""
    return True if found.whole else {name: plain(each) for name, each in found.members.items()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("input.a.b == 1", {"input": {"a": {"b": True}}}),
        ("input.a.b == input.c", {"input": {"a": {"b": True}, "c": True}}),
        ("input['a'].b == 1", {"input": {"a": {"b": True}}}),
        ('input["a b"]["c"] == 1', {"input": {"a b": {"c": True}}}),
        ("input.a[0].b == 1", {"input": {"a": True}}),
        ("input[r'a'] == 1", {"input": True}),
        (r"input['a\n'] == 1", {"input": True}),
        ("input['a' + 'b'] == 1", {"input": True}),
        ("input[tasks.x] == 1", {"input": True, "tasks": {"x": True}}),
        ("input.a.size() == 1", {"input": {"a": True}}),
        ("input.size() == 1", {"input": True}),
        ("1 == input.a", {"input": {"a": True}}),
        ("true == input", {"input": True}),
        ("1 == input['a']", {"input": {"a": True}}),
        ("x.input.a == 1", {}),
        ("input.l.all(x, x.a == tasks.b.c)", {"input": {"l": True}, "tasks": {"b": {"c": True}}}),
        ("input.l.all(tasks, tasks.a)", {"input": {"l": True}, "tasks": True}),
        ("has(input.a.b)", {"input": {"a": {"b": True}}}),
    ],
)
def test_only_the_members_of_constant_paths_are_read(source: str, expected: Any) -> None:
    """Any other access reads all of the value."""
    found = reads(tokenize(source), ROOTS)
    assert {name: plain(each) for name, each in found.members.items()} == expected


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        ("tasks.a-b.output", 'tasks["a-b"].output'),
        ("tasks.a-b-c.output", 'tasks["a-b-c"].output'),
        ("tasks.a-b-d == 1", 'tasks["a-b"]-d == 1'),
        ("context.a-b", 'context["a-b"]'),
        ("tasks.a-x", "tasks.a-x"),
        ("input.a-b", "input.a-b"),
        ("mytasks.a-b", "mytasks.a-b"),
        ("'tasks.a-b' == tasks.a-b", "'tasks.a-b' == tasks[\"a-b\"]"),
        ("tasks.a-b + 'x' + tasks.a-b", 'tasks["a-b"] + \'x\' + tasks["a-b"]'),
        ("§ tasks.a-b", '§ tasks["a-b"]'),
        ("", ""),
    ],
)
def test_the_longest_step_with_hyphens_is_quoted(source: str, rewritten: str) -> None:
    """Outside of texts, below `tasks` and `context`; the rest is a subtraction."""
    assert with_quoted_steps(source, ("a-b", "a-b-c")) == rewritten


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        ("(" * 64 + "true" + ")" * 64, "(" * 65 + "true" + ")" * 65),
        ("[" * 64 + "]" * 64 + " == []", "[" * 65 + "]" * 65 + " == []"),
        ("true" + " && true" * 99, "true" + " && true" * 100),
        ("size([" + "1," * 98 + "1])", "size([" + "1," * 99 + "1])"),
        (
            "input.l.all(a, a.all(b, b))",
            "input.l.all(a, a.all(b, b.all(c, c)))",
        ),
        ("true" + " " * 4_092, "true" + " " * 4_093),
    ],
)
def test_an_expression_is_refused_above_its_bounds(fits: str, exceeds: str) -> None:
    """64 levels, 200 parts, 2 comprehensions in each other and 4,096 characters."""
    tokenize(fits)
    shape(tokenize(fits), ROOTS)
    with pytest.raises(ExpressionInvalid) as caught:
        compile_condition(exceeds, dialect="cel")
    assert caught.value.reason == "EXPRESSION_TOO_COMPLEX"
    if len(fits) != 4_096:
        return
    assert compile_condition(fits, dialect="cel")


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        ("input.a == §", 11),
        ("tasks.a-b == §", -1),
        ("input.__x", 6),
        ("tasks.a-b.__x", -1),
        ("other == 1", -1),
        ("input.l.all(a, a.all(b, b.all(c, c)))", 0),
        ("true" + " && true" * 100, 0),
        ("(" * 65, 64),
        ("input.a ==", -1),
        (" ", 0),
    ],
)
def test_an_error_has_its_place_in_what_was_written(source: str, offset: int) -> None:
    """Not in what it was rewritten to."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_condition(source, dialect="cel", steps=("a-b",))
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "source",
    [
        "x == 1",
        "input.l.all(x, x == y)",
        "foo(input.a)",
        "input.a.bar()",
        "__matches(input.a, 'a')",
    ],
)
def test_unknown_names_and_functions_are_refused(source: str) -> None:
    """Variables of comprehensions are known."""
    with pytest.raises(ExpressionInvalid):
        compile_condition(source, dialect="cel")


@pytest.mark.parametrize(
    ("value", "holds"), [([], False), ([None], False), ([False], False), ([0], True), ([""], True)]
)
def test_a_path_holds_if_its_first_value_is_neither_false_nor_null(
    value: list[Any], holds: bool
) -> None:
    """0 and an empty text are values."""
    made = condition("$.l[*]", "jsonpath")
    assert made.evaluate({"input": {"l": value}}) is holds
    assert made.evaluate({"input": {"l": [*value, True]}}) is (holds or not value)


def test_a_missing_root_is_named() -> None:
    """An error of rendering; a condition over no data is prompt."""
    made = condition("input.a == tasks.b")
    with pytest.raises(RenderError, match="tasks: is not there"):
        made.evaluate({"input": {"a": 1}})
    assert made.is_prompt({"input": {"a": 1}})
    assert made.evaluate({"input": {"a": 1}, "tasks": {"b": 1.0}})
