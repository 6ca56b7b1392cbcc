"""Paths, functions and choice rules of the Amazon States Language."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.standards import choices
from flowmesh.standards.intrinsics import Randomness
from flowmesh.standards.paths import PathFailed, PathInvalid, compile_path, compile_reference, put
from flowmesh.standards.payloads import fill_template, look_up, problems_of

DATA = {"n": 3, "t": "x", "a": [1, 2, 3], "o": {"q": 1}, "p": {"q": 2, "r": 2}, "j": '{"b": 1}'}
RANDOMNESS = Randomness(lambda: "an-id", lambda: 0.5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$", DATA),
        ("$.o.q", 1),
        ("$['o']['q']", 1),
        ("$.a[-1]", 3),
        ("$.a[*]", [1, 2, 3]),
        ("$.a[?(@ > 1)]", [2, 3]),
        ("$.none[*]", []),
        ("$..q", [1, 2]),
        ("$$.Execution.Id", 7),
        ("States.Format('{} is {} \\{\\}', $.t, $.o)", 'x is {"q":1} {}'),
        ("States.Format('it\\'s {}', 1)", "it's 1"),
        ("States.StringToJson($.j)", {"b": 1}),
        ("States.JsonToString($.o)", '{"q":1}'),
        ("States.Array(1, 'two', $.n, true, null)", [1, "two", 3, True, None]),
        ("States.ArrayPartition($.a, 2)", [[1, 2], [3]]),
        ("States.ArrayContains($.a, 2)", True),
        ("States.ArrayContains($.a, true)", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayGetItem($.a, 1)", 2),
        ("States.ArrayLength($.a)", 3),
        ("States.ArrayUnique(States.Array(1, 1, '1'))", [1, "1"]),
        ("States.Base64Encode('Data')", "RGF0YQ=="),
        ("States.Base64Decode('RGF0YQ==')", "Data"),
        ("States.Hash('a', 'MD5')", "0cc175b9c0f1b6a831c399e269772661"),
        ("States.JsonMerge($.o, $.p, false)", {"q": 2, "r": 2}),
        ("States.MathRandom(1, 11)", 6),
        ("States.MathAdd($.n, -1)", 2),
        ("States.MathAdd(1, '-1')", 0),
        ("States.MathAdd('+7', $.n)", 10),
        ("States.ArrayRange('1', '5', '2')", [1, 3, 5]),
        ("States.StringSplit('a,b;c', ',;')", ["a", "b", "c"]),
        ("States.UUID()", "an-id"),
        ("States.MathAdd(States.ArrayLength($.a), States.MathAdd(1, 1))", 5),
    ],
)
def test_what_paths_and_functions_give(text: str, value: Json) -> None:
    """Each kind of path and each function gives what the language says."""
    assert look_up(text, DATA, {"Execution": {"Id": 7}}, RANDOMNESS) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "$.", "$.a[", "$.a[?match(@, 'x'))", "$" + ".a" * 600,
        "States.Nope()", "States.UUID(1)", "States.MathAdd(1)", "States.Array(1", "States.Array(,)",
        "States.Array('x)", "States.Format('{}', $.a) more",
        "States.MathAdd(" * 12 + "1" + ",1)" * 12,
    ],
)  # fmt: skip
def test_what_is_no_path_and_no_function(text: str) -> None:
    """Each is refused with a reason, when the document is registered."""
    [(path, why)] = problems_of({"x.$": text})
    assert path == ("x.$",)
    assert why


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("$.gone", "States.ParameterPathFailure"),
        ("$.a[9]", "States.ParameterPathFailure"),
        ("States.StringToJson($.t)", "States.IntrinsicFailure"),
        ("States.ArrayRange(1, 9, 0)", "States.IntrinsicFailure"),
        ("States.ArrayRange(1, 9999999999, 1)", "States.IntrinsicFailure"),
        ("States.Format('{} {}', 1)", "States.IntrinsicFailure"),
        ("States.Hash('a', 'ROT13')", "States.IntrinsicFailure"),
        ("States.JsonMerge($.o, $.p, true)", "States.IntrinsicFailure"),
        ("States.MathAdd($.t, 1)", "States.IntrinsicFailure"),
        ("States.MathAdd('1.5', 1)", "States.IntrinsicFailure"),
        ("States.MathAdd('٣', 1)", "States.IntrinsicFailure"),
        ("States.MathAdd(' 1', 1)", "States.IntrinsicFailure"),
    ],
)
def test_what_fails_with_a_name_of_the_language(text: str, error: str) -> None:
    """Data that does not fit fails with the error that the language names."""
    with pytest.raises(PathFailed) as failed:
        look_up(text, DATA, None, RANDOMNESS)
    assert failed.value.error == error


def test_templates_are_filled_at_every_depth() -> None:
    """Lookups stand in objects and lists; what is only text stays."""
    template = {"a": [{"b.$": "$.n"}, "$.n"], "c": {"d.$": "States.UUID()"}}
    made = {"a": [{"b": 3}, "$.n"], "c": {"d": "an-id"}}
    assert fill_template(template, DATA, None, RANDOMNESS) == made


def test_results_are_put_where_the_path_leads() -> None:
    """Objects on the way are made, the data given stays as it was, anything else is an error."""
    keys = compile_reference("$.a.b[0].c").keys
    assert keys == ("a", "b", 0, "c")
    data = {"a": {"b": [{"c": 1}], "d": 2}}
    assert put(data, keys, 7) == {"a": {"b": [{"c": 7}], "d": 2}}
    assert data["a"]["b"] == [{"c": 1}]
    assert put(None, ("x", "y"), 1) == {"x": {"y": 1}}
    with pytest.raises(PathFailed, match="'b' is read from a value that is no object"):
        put({"a": 1}, ("a", "b"), 1)
    for text in ("$.a[*]", "$$.a", "$..a"):
        with pytest.raises(PathInvalid):
            compile_reference(text)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"Variable": "$.n", "NumericEquals": 3}, True),
        ({"Variable": "$.n", "NumericLessThanPath": "$.a[0]"}, False),
        ({"Variable": "$.t", "NumericLessThan": 9}, False),
        ({"Variable": "$.t", "StringGreaterThanEquals": "x"}, True),
        ({"Variable": "$.t", "StringMatches": "*x*"}, True),
        ({"Variable": "$.when", "TimestampLessThan": "2030-01-01T00:00:00+01:00"}, True),
        ({"Variable": "$.when", "IsTimestamp": True}, True),
        ({"Variable": "$.t", "IsTimestamp": False}, True),
        ({"Variable": "$.no", "BooleanEquals": False}, True),
        ({"Variable": "$.no", "NumericEquals": 0}, False),
        ({"Variable": "$.gone", "IsPresent": False}, True),
        ({"Variable": "$.nothing", "IsNull": True}, True),
        ({"Not": {"Variable": "$.n", "IsString": True}}, True),
        ({"And": [{"Variable": "$.n", "IsNumeric": True},
                  {"Or": [{"Variable": "$.no", "IsBoolean": True}]}]}, True),
    ],
)  # fmt: skip
def test_which_rules_hold(rule: Json, holds: bool) -> None:
    """Comparisons hold for values of their type, tests for any value."""
    data = {**DATA, "when": "2024-01-01T00:00:00Z", "no": False, "nothing": None}
    assert list(choices.problems_of(rule)) == []
    assert choices.holds(rule, data, None) is holds


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [("a*c", "abbc", True), ("a*c", "abcd", False), ("*.log", "x.log", True), ("a\\*", "a*", True),
     ("a\\*", "ab", False), ("*", "", True), ("a*a", "a", False), ("x*y*z", "x1y2y3z", True),
     ("[a]", "a", False)],
)  # fmt: skip
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    """A star is any text and nothing else is special; many stars take no more time than one."""
    assert choices.holds({"Variable": "$", "StringMatches": pattern}, text, None) is matches
    assert not choices.holds({"Variable": "$", "StringMatches": "*a" * 500}, "a" * 400 + "b", None)


def test_a_rule_about_what_is_not_there_is_an_error() -> None:
    """A variable that is missing fails the state instead of not holding."""
    with pytest.raises(PathFailed) as failed:
        choices.holds({"Variable": "$.gone", "IsNull": True}, {}, None)
    assert failed.value.error == "States.Runtime"


def test_paths_that_are_singular_say_so() -> None:
    """A path to one place is told as its keys, any other as none."""
    assert compile_path("$.a['b'][0]").keys == ("a", "b", 0)
    assert compile_path("$.a[*]").keys is None
