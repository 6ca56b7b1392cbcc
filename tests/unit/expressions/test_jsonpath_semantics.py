"""JSONPath as RFC 9535 defines it: comparisons, slices, functions; and what a query costs."""

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import jsonpath_rfc9535
import pytest

from flowmesh.expressions import ExpressionInvalid, RenderError
from flowmesh.expressions import jsonpath as module
from flowmesh.expressions.jsonpath import compile_jsonpath


def select(query: str, value: Any) -> list[Any]:
    return compile_jsonpath(query).select(value)


# The examples of section 2.3.5.3.1 of RFC 9535.
COMPARED = {"obj": {"x": "y"}, "arr": [2, 3]}


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("$.absent1 == $.absent2", True),
        ("$.absent1 <= $.absent2", True),
        ("$.absent == 'g'", False),
        ("$.absent1 != $.absent2", False),
        ("$.absent != 'g'", True),
        ("1 <= 2", True),
        ("1 > 2", False),
        ("13 == '13'", False),
        ("'a' <= 'b'", True),
        ("'a' > 'b'", False),
        ("$.obj == $.arr", False),
        ("$.obj != $.arr", True),
        ("$.obj == $.obj", True),
        ("$.obj != $.obj", False),
        ("$.arr == $.arr", True),
        ("$.arr != $.arr", False),
        ("$.obj == 17", False),
        ("$.obj != 17", True),
        ("$.obj <= $.arr", False),
        ("$.obj < $.arr", False),
        ("$.obj <= $.obj", True),
        ("$.arr <= $.arr", True),
        ("1 <= $.arr", False),
        ("1 >= $.arr", False),
        ("1 > $.arr", False),
        ("1 < $.arr", False),
        ("true <= true", True),
        ("true > true", False),
    ],
)
def test_the_comparisons_of_the_rfc(test: str, holds: bool) -> None:
    """Of its table of examples."""
    assert bool(select(f"$[?{test}]", COMPARED)) is holds


# Scalars and containers, equal and different, of the same and of other types.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 1.0, -1.5, "", "a", "ab", "b"),
    *([], [1], [1, 2], [2, 1], [[1]], {}, {"a": 1}, {"a": 2}, {"b": 1}),
    *({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
)


ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@pytest.mark.parametrize("name", ORDERS)
def test_each_pair_of_values_compares_as_in_the_library(name: str) -> None:
    """Booleans are no numbers, and only texts and numbers have an order."""
    pairs = [{"l": left, "r": right} for left, right in itertools.product(VALUES, repeat=2)]
    query = f"$[?@.l {name} @.r]"
    expected = jsonpath_rfc9535.find(query, pairs).values()
    assert repr(select(query, pairs)) == repr(expected)
    for left, right in itertools.product((1, 2, "a", "b"), repeat=2):
        found = bool(select(query, [{"l": left, "r": right}]))
        same = isinstance(left, str) == isinstance(right, str)
        assert found is (ORDERS[name](left, right) if same else name == "!=")


@pytest.mark.parametrize(("left", "right"), [(1, True), (0, False), (True, 1), (1, "1")])
def test_values_inside_of_others_compare_by_their_type(left: Any, right: Any) -> None:
    """A number is no boolean in an array or object either."""
    for one, other in (([left], [right]), ({"a": left}, {"a": right}), ([[left]], [[right]])):
        assert select("$[?@.l == @.r]", [{"l": one, "r": other}]) == []
        assert select("$[?@.l <= @.r]", [{"l": one, "r": other}]) == []
        assert len(select("$[?@.l != @.r]", [{"l": one, "r": other}])) == 1


def sliced(length: int, start: int | None, end: int | None, step: int) -> Iterator[int]:
    """Yield the indexes of a slice by the algorithm of section 2.3.4.2.2 of RFC 9535."""

    def normal(index: int) -> int:
        return index if index >= 0 else length + index

    if step > 0:
        lower = min(max(normal(0 if start is None else start), 0), length)
        upper = min(max(normal(length if end is None else end), 0), length)
        yield from range(lower, upper, step)
    elif step < 0:
        upper = min(max(normal(length - 1 if start is None else start), -1), length - 1)
        lower = min(max(-1 if end is None else normal(end), -1), length - 1)
        yield from range(upper, lower, step)


@pytest.mark.parametrize("step", [None, 1, 2, 3, -1, -2, 0])
def test_slices_follow_the_algorithm_of_the_rfc(step: int | None) -> None:
    """With each start and end around those of an array of three."""
    bounds = (None, *range(-4, 5))
    for start, end in itertools.product(bounds, repeat=2):
        written = [("" if each is None else str(each)) for each in (start, end, step)]
        expected = list(sliced(3, start, end, 1 if step is None else step))
        assert select(f"$[{':'.join(written)}]", [0, 1, 2]) == expected, written
    assert select("$[0:1]", {"0": 1}) == select("$[0:1]", "ab") == []


@pytest.mark.parametrize(
    ("index", "expected"), [(0, [7]), (1, [8]), (2, []), (-1, [8]), (-2, [7]), (-3, [])]
)
def test_an_index_counts_from_either_end(index: int, expected: list[int]) -> None:
    """Of arrays only."""
    assert select(f"$[{index}]", [7, 8]) == expected
    assert select(f"$[{index}]", "ab") == select(f"$[{index}]", {"0": 1}) == []
    assert select("$['0']", [7, 8]) == select("$.a", "a") == []


@pytest.mark.parametrize(
    ("test", "selected"),
    [
        ("@.a && @.b", [2]),
        ("@.a || @.b", [0, 1, 2]),
        ("!@.a", [1, 3]),
        ("!(@.a && @.b)", [0, 1, 3]),
        ("!(@.a || @.b)", [3]),
        ("@.a && @.b || @.c", [2, 3]),
        ("@.c || @.a && @.b", [2, 3]),
        ("(@.c || @.a) && @.b", [2]),
        ("@.a == 1 && @.b == 2", [2]),
        ("length(@) == 3", [2]),
        ("length(@.t) == 2", [3]),
        ("length(@.a) == 1", []),
        ("count(@.*) == 2", [0, 1]),
        ("value(@.*) == 1", []),
        ("value(@.a) == 1", [0, 2]),
        ("count($.*) == 4", [0, 1, 2, 3]),
        ("@ == $[3]", [3]),
        ("match(@.t, 'x.')", [3]),
        ("match(@.t, 'x')", []),
        ("search(@.t, 'x')", [3]),
        ("search(@.a, '1')", []),
        ("search(@.t, @.a)", []),
        ("search(@.t, '(')", []),
        ("!search(@.t, 'x')", [0, 1, 2]),
    ],
)
def test_filters_select_what_their_tests_hold_for(test: str, selected: list[int]) -> None:
    """With precedences, functions, and values that are not there."""
    rows = [{"a": 1, "n": 0}, {"b": 2, "n": 1}, {"a": 1, "b": 2, "n": 2}]
    last = {"c": 3, "t": "xy", "n": 3, "m": []}
    assert [row["n"] for row in select(f"$[?{test}]", [*rows, last])] == selected


@pytest.mark.parametrize(
    "pattern",
    [
        *(".", "[.]", r"\.", "a.", ".a", r"\[.", r"[\[.]", r"[\].]", r"[.\]]", "[.].", "[a].b"),
        *(r"\\.", r"\\\.", "a.b.c", "(.)", ".{2}", r"[^.]", r"\]."),
    ],
)
def test_a_dot_is_any_character_but_a_line_break(pattern: str) -> None:
    """Unless it is escaped or in a class; as in the library."""
    alphabet = (".", "a", "b", "[", "]", "\\", "\n", "\r")
    texts = [
        "".join(each) for count in (1, 2) for each in itertools.product(alphabet, repeat=count)
    ]
    texts += [".b", "a\nb", "axbxc", "a\rbxc", "\\\\.", "\\.."]
    for name in ("match", "search"):
        query = f"$[?{name}(@, $[0])]"
        expected = jsonpath_rfc9535.find(query, [pattern, *texts]).values()
        assert select(query, [pattern, *texts]) == expected


@pytest.mark.parametrize(
    ("query", "value", "expected"),
    [
        ("$..a", {"a": {"a": 1}, "b": [{"a": 2}]}, [{"a": 1}, 1, 2]),
        ("$..*", [[1, [2]], 3], [[1, [2]], 3, 1, [2], 2]),
        ("$..[0]", [[1, [2]], 3], [[1, [2]], 1, 2]),
        ("$[0,0,1]", [1, 2], [1, 1, 2]),
        ("$['a','b'].x", {"a": {"x": 1}, "b": {"x": 2}}, [1, 2]),
        ("$", None, [None]),
        ("$.*", "text", []),
        ("$..*", 5, []),
    ],
)
def test_values_are_selected_in_order(query: str, value: Any, expected: list[Any]) -> None:
    """Parents before their descendants."""
    assert select(query, value) == expected


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("$", ()),
        ("$.a[0]['b c']", ("a", 0, "b c")),
        ("$[-1]", (-1,)),
        ("$.a.*", None),
        ("$..a", None),
        ("$[0,1]", None),
        ("$[?@.a]", None),
    ],
)
def test_a_singular_query_has_a_path(query: str, keys: Any) -> None:
    """Of names and indexes."""
    assert compile_jsonpath(query).keys == keys


@pytest.mark.parametrize(
    ("query", "value", "steps"),
    [
        ("$.a", {"a": 1}, 1),
        ("$.a.b", {"a": {"b": 1}}, 2),
        ("$[0,1]", [1, 2], 2),
        # One for the selector, one for each selected value.
        ("$[*]", [1, 2, 3], 4),
        ("$[1:]", [1, 2, 3], 3),
        # Three for each node, its children and the selector.
        ("$..a", [[], 1], 2 + 3 * 1 - 1 + 2),
        # Two for each test, and one for each selected value.
        ("$[?@]", [1, 2], 1 + 2 * 2 + 2),
        ("$[?!@]", [1, 2], 1 + 2 * 3),
        ("$[?@ == 1]", [1, 2], 1 + 2 * 3 + 1),
        ("$[?@ == $[0]]", [[1, 2]], 1 + 2 + 1 + 3 + 2 + 1),
        ("$[?@ == $[0]]", [{"a": 1, "b": 2}], 1 + 2 + 1 + 3 + 2 + 1),
        ("$[?@ == $[1]]", [{"a": 1}, {"b": 1}], 1 + 2 * (2 + 1 + 1) + 1 + 1 + 1),
        # A text of 31 characters with its pattern: two, and those of the search.
        ("$[?search(@, 'a')]", ["b" * 31], 1 + 2 + 2 + 5 * (31 + 32) // 32),
        ("$[?match(@, 'a')]", ["b" * 30], 1 + 2 + 1 + 5 * (30 + 32) // 32),
        ("$[?search(@, '(')]", ["b" * 31], 1 + 2 + 2),
    ],
)
def test_a_query_takes_its_steps_and_no_more(
    query: str, value: Any, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with exactly as many, and is refused with one less."""
    path = compile_jsonpath(query)
    monkeypatch.setattr(module, "STEPS_MAX", steps)
    path.select(value)
    monkeypatch.setattr(module, "STEPS_MAX", steps - 1)
    with pytest.raises(RenderError, match="steps") as caught:
        path.select(value)
    assert caught.value.code == "EXPRESSION_BUDGET"


def test_a_query_takes_at_most_250000_steps() -> None:
    """One for the selector, and one for each value."""
    values = [1] * 249_999
    assert len(select("$[*]", values)) == 249_999
    with pytest.raises(RenderError, match="more than 250000 steps"):
        select("$[*]", [*values, 1])


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        ("$[?" + "(" * 31 + "@.a" + ")" * 31 + "]", "$[?" + "(" * 32 + "@.a" + ")" * 32 + "]"),
        ("$" + ".a" * 198, "$" + ".a" * 199),
        ("$." + "a" * 4_094, "$." + "a" * 4_095),
        ("$[" + "0," * 97 + "0]", "$[" + "0," * 98 + "0]"),
    ],
)
def test_the_last_permitted_query_compiles(fits: str, exceeds: str) -> None:
    """32 levels, 200 parts, 4,096 characters."""
    assert compile_jsonpath(fits)
    with pytest.raises(ExpressionInvalid) as caught:
        compile_jsonpath(exceeds)
    assert caught.value.reason == "EXPRESSION_TOO_COMPLEX"


@pytest.mark.parametrize(
    "test",
    [
        *("count(@.*)", "value(@.a)", "1", "'a'", "!1", "@.a && 1", "1 || @.a", "!length(@)"),
        *("search(@, 'a') == true", "true == match(@, 'a')", "length(search(@, 'a')) == 1"),
        *("@.a[?1]", "@.a[?1] && @.b", "count(@[?1]) == 1", "match(search(@, 'a'), 'b')"),
        *("!@[?length(@)]", "value(@[?true]) == 1"),
    ],
)
def test_a_value_is_no_test_and_a_test_is_no_value(test: str) -> None:
    """Anywhere in a filter."""
    with pytest.raises(ExpressionInvalid):
        compile_jsonpath(f"$[?{test}]")
