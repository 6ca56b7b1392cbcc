"""Operations at their edges: nothing, null, mixed types, unicode, huge numbers."""

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.transforms import Run, TransformError, compile_pipeline

HUGE = 9_223_372_036_854_775_807


def apply(value: Json, operation: str, /, **parameters: Json) -> Json:
    return compile_pipeline([{"operation": operation, **parameters}]).apply(value)


@pytest.mark.parametrize(
    ("operation", "parameters", "value", "expected"),
    [
        # nothing
        ("first", {}, [], None),
        ("last", {}, [], None),
        ("randomOne", {}, [], None),
        ("randomN", {"count": 3}, [], []),
        ("shuffle", {}, [], []),
        ("chunk", {"size": 3}, [], []),
        ("window", {"size": 3}, [1, 2], []),
        ("window", {"size": 3, "partial": True}, [1, 2], [[1, 2], [2]]),
        ("window", {"size": 2, "step": 2}, [1, 2, 3, 4, 5], [[1, 2], [3, 4]]),
        ("zip", {}, [], []),
        ("zip", {"with": []}, [1], []),
        ("partition", {"value": 1}, [], {"matching": [], "rest": []}),
        ("groupBy", {"field": "a"}, [], {}),
        ("countBy", {}, [], {}),
        ("index", {"field": "a"}, [], {}),
        ("merge", {}, [], {}),
        ("keys", {}, {}, []),
        ("fromEntries", {}, [], {}),
        ("joinText", {}, [], ""),
        ("split", {}, "", [""]),
        ("map", {"pipeline": []}, [1, None], [1, None]),
        ("reduce", {"function": "sum"}, [], 0),
        ("reduce", {"function": "product"}, [], 1),
        ("reduce", {"function": "merge"}, [None], {}),
        ("reduce", {"function": "max", "initial": 3}, [], 3),
        ("reduce", {"pipeline": [], "initial": 7}, [], 7),
        ("aggregate", {"function": "median"}, [], None),
        # null and missing members
        ("map", {"mappings": {"x": "a.b", "y": "a"}}, [{"a": None}, {}, 3],
         [{"x": None, "y": None}] * 3),
        ("pick", {"fields": ["a.b", "c"]}, {"a": {"x": 1}, "c": None}, {"c": None}),
        ("omit", {"fields": ["a.b", "a.c.d", "e"]}, [{"a": {"b": 1, "c": 2}}], [{"a": {"c": 2}}]),
        ("default", {"values": {"a": [], "b": 1}}, {"a": None, "b": 0}, {"a": [], "b": 0}),
        ("compact", {"field": "a"}, [{"a": 0}, {"a": None}, {}, 5], [{"a": 0}]),
        ("compact", {"empty": True}, ["", [], {}, 0, False, None], [0, False]),
        ("template", {"template": "<${a}${b.c}>"}, [{"a": None}, {}], ["<>", "<>"]),
        ("enrich", {"mappings": {"x": "a.b"}}, [{"a": 1}], [{"a": 1, "x": None}]),
        ("enrich", {"from": {"1": {"n": "one"}}, "field": "k"}, [{"k": 1}, {"k": 2}, {}],
         [{"k": 1, "n": "one"}, {"k": 2}, {}]),
        ("enrich", {"from": {"true": 1}, "field": "k", "target": "t"}, [{"k": True}, {"k": "x"}],
         [{"k": True, "t": 1}, {"k": "x", "t": None}]),
        ("enrich", {"values": {"a": 1, "b": 2}, "keep": True}, {"a": 0}, {"a": 0, "b": 2}),
        ("calculate", {"left": "a", "operator": "/", "number": 2, "target": "t"},
         [{"a": 3}, {}, {"a": None}], [{"a": 3, "t": 1.5}, {"t": None}, {"a": None, "t": None}]),
        ("countBy", {"field": "k"}, [{"k": 1}, {"k": 1.0}, {"k": None}, {}, {"k": True}],
         {"1": 2, "null": 2, "true": 1}),
        ("index", {"field": "k"}, [{"k": 1, "v": 1}, {"k": 1, "v": 2}], {"1": {"k": 1, "v": 2}}),
        ("sort", {"field": "a", "order": "desc"}, [{"a": 1}, {}, {"a": "x"}, {"a": None}],
         [{"a": "x"}, {"a": 1}, {}, {"a": None}]),
        ("sort", {"fields": ["a", "b"]}, [{"a": 1, "b": 2}, {"a": 0, "b": 3}, {"a": 1, "b": 1}],
         [{"a": 0, "b": 3}, {"a": 1, "b": 1}, {"a": 1, "b": 2}]),
        ("filter", {"all": [{"field": "a", "operator": "exists"}],
                    "any": [{"field": "a", "value": 1}, {"field": "b", "value": 2}]},
         [{"a": 1}, {"a": 5, "b": 2}, {"b": 2}, {"a": 5}], [{"a": 1}, {"a": 5, "b": 2}]),
        ("filter", {"operator": "notExists", "all": [{"operator": "isType", "value": "null"}]},
         [None, 1], [None]),
        # mixed types
        ("unique", {}, [1, True, "1", 1.0, None, [1], [1.0], {"a": 1}], [1, True, "1", None, [1],
                                                                        [1.0], {"a": 1}]),
        ("union", {"with": ["1", 1.0]}, [1, True], [1, True, "1"]),
        ("difference", {"with": [{"id": 1}], "field": "id"}, [{"id": 1, "x": 1}, {"id": "1"}],
         [{"id": "1"}]),
        ("intersection", {"with": [{"b": 1, "a": 2}]}, [{"a": 2, "b": 1}], [{"a": 2, "b": 1}]),
        ("reduce", {"function": "collect", "field": "a"}, [{"a": 1}, {}, {"a": "x"}], [1, "x"]),
        ("reduce", {"function": "countDistinct"}, [1, 1.0, True, "1", None], 3),
        ("reduce", {"function": "concat", "initial": "a"}, ["b", "c"], "abc"),
        ("reduce", {"function": "concat"}, [[1], [2, [3]]], [1, 2, [3]]),
        ("merge", {"with": {"a": {"x": 1}}, "deep": True}, [{"a": {"y": 2}}, {"a": 3}],
         [{"a": {"y": 2, "x": 1}}, {"a": {"x": 1}}]),
        ("merge", {"with": {"a": 1}, "wins": "element"}, {"a": 0}, {"a": 0}),
        ("convert", {"to": "boolean"}, ["yes", "FALSE", 1, True], [True, False, True, True]),
        ("convert", {"to": "value"}, '{"a": [1, null]}', {"a": [1, None]}),
        ("convert", {"to": "json"}, [{"a": "ä"}, None], ['{"a":"ä"}', "null"]),
        ("convert", {"to": "string"}, [1.0, True, None, [1], "x"], ["1", "true", "", "[1]", "x"]),
        ("when", {"operator": "isType", "value": "array", "then": [{"operation": "first"}]}, 5, 5),
        # unicode
        ("uppercase", {}, "straße", "STRASSE"),
        ("capitalize", {}, ["", "élan", "ß"], ["", "Élan", "SS"]),
        ("substring", {"start": 0, "length": 2}, "😀é!", "😀é"),
        ("pad", {"length": 3, "with": "·", "side": "right"}, "é", "é··"),
        ("template", {"template": "$${x} $ ${größe} ${}"}, {"größe": "XL"},
         '${x} $ XL {"größe":"XL"}'),
        ("groupBy", {"field": "größe"}, [{"größe": "ä"}], {"ä": [{"größe": "ä"}]}),
        ("split", {"separator": "—"}, "a—b", ["a", "b"]),
        # huge numbers
        ("aggregate", {"function": "sum"}, [HUGE, 1], float(HUGE)),
        ("aggregate", {"function": "max"}, [HUGE, HUGE - 1], HUGE),
        ("add", {"amount": HUGE}, HUGE, 2.0 * HUGE),
        ("reduce", {"function": "product"}, [HUGE, 2], 2.0 * HUGE),
        ("sort", {}, [HUGE, 1e18, HUGE - 1, 0.5], [0.5, 1e18, HUGE - 1, HUGE]),
        ("filter", {"operator": "lt", "value": HUGE}, [HUGE, HUGE - 1], [HUGE - 1]),
        ("filter", {"value": HUGE}, [HUGE, HUGE - 1, float(HUGE)], [HUGE]),
        ("convert", {"to": "number"}, ["007", " -1.50 ", "1e3", str(HUGE), "9" * 30, True],
         [7, -1.5, 1000.0, HUGE, float("9" * 30), 1]),
        ("joinText", {"separator": " "}, [HUGE, 1.0, 0.1, None], f"{HUGE} 1 0.1 "),
    ],
)  # fmt: skip
def test_the_edges(
    operation: str, parameters: dict[str, Json], value: Json, expected: Json
) -> None:
    """What comes out is what the summary says, to the type of each number."""
    found = apply(value, operation, **parameters)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("operation", "parameters", "value", "words"),
    [
        ("keys", {}, [1], "needs objects, got an array"),
        ("pick", {"fields": ["a"]}, [{}, 1], "item [1]: needs objects, got a number"),
        ("merge", {}, [{}, 3], "item [1]: needs objects, got a number"),
        ("zip", {}, [[1], 2], "needs an array of arrays, got a number in it"),
        ("zip", {"names": ["a"]}, [[1], [2]], "has 1 names for 2 arrays"),
        ("countBy", {}, ["a", []], "item [1]: groups by texts, numbers or booleans, got an array"),
        ("reduce", {"function": "sum"}, ["a"], "sum needs numbers, got a string"),
        ("reduce", {"function": "concat"}, ["a", 1], "concat needs only texts or only arrays"),
        ("reduce", {"function": "product"}, [1e308, 10], "out of the range of numbers"),
        ("reduce", {"pipeline": [{"operation": "first"}]}, [1], "item [0]: operation 1 (first)"),
        ("object", {"members": {"a": [{"operation": "first"}]}}, 1, "item ['a']: operation 1"),
        ("calculate", {"left": "a", "operator": "/", "number": 0, "target": "t"}, [{"a": 1}],
         "item [0]: divides by 0"),
        ("calculate", {"left": "a", "operator": "%", "right": "b", "target": "t"},
         [{"a": 1, "b": "x"}], "needs numbers, got a string"),
        ("convert", {"to": "number"}, ["1", "NaN"], "item [1]: 'NaN' is not a number"),
        ("convert", {"to": "number"}, "1e999", "out of the range"),
        ("convert", {"to": "value"}, "{", "the text is not JSON"),
        ("convert", {"to": "boolean"}, "maybe", "only true, false"),
        ("aggregate", {"function": "sum"}, {"a": [1], "b": 2}, "item ['b']: needs an array"),
        ("join", {"with": [], "on": "a"}, [{}, 1], "item [1]: joins objects, got a number"),
    ],
)  # fmt: skip
def test_what_does_not_fit(
    operation: str, parameters: dict[str, Json], value: Json, words: str
) -> None:
    """Operation, item and kind of value are told."""
    with pytest.raises(TransformError) as caught:
        apply(value, operation, **parameters)
    assert str(caught.value).startswith(f"operation 1 ({operation}): ")
    assert words in str(caught.value)


def test_randomness_is_a_matter_of_the_seed() -> None:
    """A run's seed repeats its choices; each operation, inner ones too, chooses for itself."""
    draw = {"operation": "randomN", "count": 5}
    pipeline = compile_pipeline([{"operation": "map", "pipeline": [draw]}])
    letters = [list("abcdefghijklmnop")] * 3
    first = pipeline.apply(letters, Run("one"))
    assert first == pipeline.apply(letters, Run("one")) != pipeline.apply(letters, Run("two"))
    assert len({"".join(drawn) for drawn in first}) == 3
    seeded = compile_pipeline([{**draw, "seed": 1}])
    assert seeded.apply(letters[0], Run("one")) == seeded.apply(letters[0], Run("two"))


def test_a_chosen_one_is_any_of_them() -> None:
    """Over many runs every item is chosen about as often as the others."""
    pipeline = compile_pipeline([{"operation": "shuffle"}])
    counts = dict.fromkeys("abcd", 0)
    for seed in range(2_000):
        counts[pipeline.apply(list("abcd"), Run(str(seed)))[0]] += 1
    assert all(400 < count < 600 for count in counts.values())


def test_a_fold_sees_accumulator_item_and_index() -> None:
    """As a workflow of graph JSON needs it."""
    step = [
        {"operation": "calculate", "left": "item", "operator": "*", "right": "index",
         "target": "product"},
        {"operation": "calculate", "left": "accumulator", "operator": "+", "right": "product",
         "target": "sum"},
        {"operation": "select", "field": "sum"},
    ]  # fmt: skip
    assert apply([5, 6, 7], "reduce", pipeline=step, initial=100) == 120
