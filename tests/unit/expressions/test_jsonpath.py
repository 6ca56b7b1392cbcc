"""JSONPath: what queries select, what is refused, and that no query runs away."""

import time
from contextlib import suppress
from typing import Any

import jsonpath_rfc9535
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.expressions import ExpressionInvalid, RenderError, compile_condition
from flowmesh.expressions.jsonpath import STEPS_MAX, compile_jsonpath

STORE = {
    "book": [
        {"category": "fiction", "author": "A", "price": 8.95, "isbn": "1"},
        {"category": "reference", "author": "B", "price": 22.99},
        {"category": "fiction", "author": "C\nD", "price": 12, "tags": ["x", "y"]},
    ],
    "open": False,
    "none": None,
}


def select(query: str, value: Any = None) -> list[Any]:
    return compile_jsonpath(query).select(STORE if value is None else value)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("$.book[0].author", ["A"]),
        ("$['book'][-1].tags", [["x", "y"]]),
        ("$..price", [8.95, 22.99, 12]),
        ("$.book[?@.price < 13].author", ["A", "C\nD"]),
        ("$.book[?@.isbn].price", [8.95]),
        ("$.book[?!@.isbn && @.price > 20].author", ["B"]),
        ("$.book[?@.price == $.book[2].price].author", ["C\nD"]),
        ("$.book[?length(@.author) == 1].author", ["A", "B"]),
        ("$.book[?count(@.*) == 4].author", ["A", "C\nD"]),
        ("$.book[?match(@.category, 'f.*')].price", [8.95, 12]),
        ("$.book[?search(@.author, 'C.D')].price", []),
        ("$.book[?value(@..tags) == value($.book[2].tags)].price", [12]),
        ("$.book[1:].author", ["B", "C\nD"]),
        ("$.book[::-2].price", [12, 8.95]),
        ("$['open','none']", [False, None]),
        ("$[?@ == null]", [None]),
        ("$[?@ == false]", [False]),
        ("$.nope..x", []),
    ],
)
def test_what_queries_select(query: str, expected: list[Any]) -> None:
    """Names, indexes, slices, descendants, filters and the functions of RFC 9535."""
    assert select(query) == expected


@pytest.mark.parametrize(
    ("query", "offset"),
    [
        ("book", 0),
        ("$.book[", 6),
        ("$[?@.a ==]", 9),
        ("$[?nope(@)]", 3),
        ("$[?@.* == 1]", 7),
        ("$[99999999999999999999]", 2),
        ("$[?@.n == 1 < 2]", 12),
        ("$[?match(@, 'a') == true]", -1),
        ("$[?length(@)]", -1),
        ("$[?true]", -1),
        ("$.a b", -1),
    ],
)
def test_what_is_no_query_is_refused_with_its_place(query: str, offset: int) -> None:
    """At registration, wherever the parser says it is."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_jsonpath(query)
    assert caught.value.reason == "EXPRESSION_INVALID"
    assert offset < 0 or abs(caught.value.offset - offset) <= 1


@pytest.mark.parametrize(
    "query",
    ["$[?" + "(" * 60 + "@.a" + ")" * 60 + "]", "$" + ".a" * 250, "$." + "a" * 5_000,
     "$[?" + "@.a || " * 120 + "@.b]", "$" + "[?@" * 60 + "]" * 60],
)  # fmt: skip
def test_queries_are_bounded(query: str) -> None:
    """Nesting, parts and length."""
    with pytest.raises(ExpressionInvalid) as caught:
        compile_jsonpath(query)
    assert caught.value.reason == "EXPRESSION_TOO_COMPLEX"


@pytest.mark.parametrize(
    "query",
    ["$..[?@..[?@..*]]", "$" + "[*,*,*,*,*,*]" * 12, "$..a[?$.a == $.a]", "$..*..*..*..*..*",
     "$.a[?search(@.t, '(a*)*b')]"],
)  # fmt: skip
def test_no_query_runs_away(query: str) -> None:
    """It ends within its steps, with an answer or with the refusal that names them."""
    items = [{"b": [{"c": each} for each in range(40)], "t": "a" * 2_000} for _ in range(60)]
    begun = time.process_time()
    with suppress(RenderError):
        select(query, {"a": items})
    assert time.process_time() - begun < 1


def test_what_takes_too_many_steps_is_refused_in_words() -> None:
    """With a code of its own."""
    with pytest.raises(RenderError, match=f"more than {STEPS_MAX} steps") as caught:
        select("$" + "[*,*,*,*,*,*]" * 12, [[[[[[[[[[[[1]]]]]]]]]]]])
    assert caught.value.code == "EXPRESSION_BUDGET"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(("a", "b", "ab", 1.0)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=12,
)
VALUE = st.sampled_from(
    ("1", "true", "null", "'a'", "@.a", "@['b']", "$.a", "length(@)", "count(@.*)")
)
TEST = st.builds("{} {} {}".format, VALUE, st.sampled_from(("==", "!=", "<", ">=")), VALUE) | (
    st.sampled_from(("@.a", "!@.b", "@.*", "$.b", "match(@, 'a.?')", "search(@.a, 'b')"))
)
FILTER = st.builds("?{}".format, TEST) | st.builds("?({} && {}) || {}".format, TEST, TEST, TEST)
SELECTOR = st.sampled_from(("'a'", "'b'", "0", "-1", "*", "1:", "::-1", "0,*", "'a',0")) | FILTER
SEGMENT = st.builds("{}[{}]".format, st.sampled_from(("", "..")), SELECTOR)


@settings(max_examples=300, deadline=None)
@given(segments=st.lists(SEGMENT, min_size=1, max_size=3), value=JSON)
def test_the_library_selects_the_same(segments: list[str], value: Any) -> None:
    """What evaluates within bounds agrees with what does so without."""
    query = "$" + "".join(segments)
    expected = jsonpath_rfc9535.find(query, value).values()
    assert repr(compile_jsonpath(query).select(value)) == repr(expected)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("$.book[?@.price > 20]", True),
        ("$.book[?@.price > 30]", False),
        ("$.open", False),
        ("$.none", False),
        ("$.nope", False),
        ("$.book[0].price", True),
    ],
)
def test_a_condition_holds_when_something_is_selected(query: str, holds: bool) -> None:
    """Something that is neither false nor null."""
    condition = compile_condition(query, dialect="jsonpath")
    assert condition is not None
    assert condition.evaluate({"context": STORE}) is holds


def test_jq_conditions_are_checked_and_left_to_the_sandbox() -> None:
    """What parses is for a worker, what does not is refused."""
    assert compile_condition(".amount > 100", dialect="jq") is None
    with pytest.raises(ExpressionInvalid, match="not a jq program"):
        compile_condition(".amount >", dialect="jq")
