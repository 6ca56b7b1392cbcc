"""Each operation of the catalog does what its summary says."""

from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.transforms import OPERATIONS, Operation, TransformError, compile_pipeline

ROWS = [
    {"id": 3, "name": "Cid", "tags": ["x"], "age": 40},
    {"id": 1, "name": "Ada", "tags": [], "age": None},
    {"id": 2, "name": "Bob", "tags": ["x", "y"]},
]


def apply(value: Any, operation: str, /, **parameters: Any) -> Any:
    return compile_pipeline([{"operation": operation, **parameters}]).apply(value)


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


PURE = [operation for operation in OPERATIONS.values() if operation.language is None]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_is_described(operation: Operation) -> None:
    """Each has a JSON Schema that is one, and an example whose parameters fit it."""
    jsonschema.Draft202012Validator.check_schema(operation.parameters)
    jsonschema.validate(dict(operation.example.parameters), operation.parameters)
    described = operation.describe()
    assert set(described) == {"name", "category", "summary", "parameters", "example"}
    assert orjson.loads(orjson.dumps(described)) == described


@pytest.mark.parametrize("operation", PURE, ids=lambda operation: operation.name)
def test_every_example_is_true(operation: Operation) -> None:
    """Each operation's example yields exactly the output shown."""
    example = operation.example
    assert apply(example.input, operation.name, **example.parameters) == example.output


def test_the_pipeline_of_the_documentation() -> None:
    """filter, map, sort and limit in a row give the first active users by name."""
    pipeline = compile_pipeline(
        [
            {"operation": "filter", "field": "active", "operator": "eq", "value": True},
            {"operation": "map", "mappings": {"userId": "id", "fullName": "name"}},
            {"operation": "sort", "field": "fullName", "order": "asc"},
            {"operation": "limit", "count": 10},
        ]
    )
    users = [{"id": i, "name": f"user-{99 - i}", "active": i % 2 == 0} for i in range(50)]
    result = pipeline.apply(users)
    assert len(result) == 10
    assert result[0] == {"userId": 48, "fullName": "user-51"}


@pytest.mark.parametrize(
    ("operator", "field", "value", "expected"),
    [
        ("eq", "id", 1.0, [1]),
        ("eq", "age", None, [1]),
        ("ne", "id", 1, [3, 2]),
        ("gt", "id", 1, [3, 2]),
        ("gte", "id", 2, [3, 2]),
        ("lt", "name", "Bob", [1]),
        ("lte", "id", 2, [1, 2]),
        ("gt", "age", "a", []),
        ("contains", "name", "o", [2]),
        ("contains", "tags", "x", [3, 2]),
        ("notContains", "tags", "y", [3, 1]),
        ("in", "id", [1, 2, "3"], [1, 2]),
        ("notIn", "id", [1, 2], [3]),
        ("startsWith", "name", "A", [1]),
        ("endsWith", "name", "d", [3]),
        ("matches", "name", "^[AB]", [1, 2]),
        ("between", "id", [2, 3], [3, 2]),
        ("between", "name", ["B", "C"], [2]),
        ("exists", "age", None, [3]),
        ("empty", "tags", None, [1]),
        ("notEmpty", "age", None, [3]),
        ("isType", "age", "null", [1]),
        ("isType", "tags", "array", [3, 1, 2]),
        ("notExists", "age", None, [1, 2]),
        ("eq", "tags[1]", "y", [2]),
    ],
)
def test_filter_operators(operator: str, field: str, value: Any, expected: list[int]) -> None:
    """Every operator compares as JSON does, and never across types."""
    assert ids(apply(ROWS, "filter", operator=operator, field=field, value=value)) == expected


def test_filter_without_a_field_looks_at_the_items() -> None:
    """Plain values are filtered themselves, and true is not 1."""
    assert apply([1, True, 2, "1"], "filter", value=1) == [1]


def test_select_and_map_read_paths() -> None:
    """Paths reach into objects and arrays; map writes null where there is nothing."""
    rows = [{"a": {"b": [{"c": 1}]}}, {}]
    assert apply(rows, "map", mappings={"x": "a.b[0].c"}) == [{"x": 1}, {"x": None}]
    assert apply(rows, "map", field="a.b") == [[{"c": 1}], None]
    assert apply(rows, "select", fields=["a.b"]) == [{"b": [{"c": 1}]}, {}]
    assert apply(rows[0], "select", field="a.b[0]") == {"c": 1}


def test_sorting_is_stable_and_orders_every_type() -> None:
    """Equal items stay in order both ways; numbers, texts, booleans, the rest, null, missing."""
    rows = [{"k": 1, "n": 1}, {"k": 0, "n": 2}, {"k": 1, "n": 3}]
    assert [row["n"] for row in apply(rows, "sort", field="k", order="desc")] == [1, 3, 2]
    mixed = [None, {"a": 1}, True, "b", 2, "a", 1.5, False]
    assert apply(mixed, "sort") == [1.5, 2, "a", "b", False, True, {"a": 1}, None]
    assert ids(apply(ROWS, "sortBy", field="age")) == [3, 1, 2]


def test_flattening() -> None:
    """flatten goes as deep as told, flatMap joins one field."""
    nested = [1, [2, [3, [4]]]]
    assert apply(nested, "flatten") == [1, 2, [3, [4]]]
    assert apply(nested, "flatten", depth=64) == [1, 2, 3, 4]
    assert apply(ROWS, "flatMap", field="tags") == ["x", "x", "y"]
    assert apply([{"a": 1}, {}], "flatMap", field="a") == [1]


def test_unique_compares_by_value() -> None:
    """Objects are equal by their members, and the first of equal ones stays."""
    assert apply([{"a": 1, "b": 2}, {"b": 2, "a": 1}], "unique") == [{"a": 1, "b": 2}]
    assert ids(apply([{"id": 1, "k": 1}, {"id": 2, "k": 1}], "unique", field="k")) == [1]


def test_grouping_and_aggregating() -> None:
    """Groups are named by the value, and aggregate works on groups as on one array."""
    rows = [{"k": 1, "v": 2}, {"k": True, "v": 4}, {"v": 6}, {"k": 1, "v": None}]
    groups = apply(rows, "groupBy", field="k")
    assert list(groups) == ["1", "true", "null"]
    assert apply(groups, "aggregate", function="sum", field="v") == {"1": 2, "true": 4, "null": 6}
    for function, expected in {"sum": 12, "avg": 4, "count": 3, "min": 2, "max": 6}.items():
        assert apply(rows, "aggregate", function=function, field="v") == expected
    assert apply(rows, "aggregate", function="count") == 4
    assert [apply([], "aggregate", function=f) for f in ("sum", "avg", "min")] == [0, None, None]
    assert apply(["b", "a"], "aggregate", function="min") == "a"
    assert apply([0.1] * 10, "aggregate", function="sum") == 1.0


def test_joining() -> None:
    """Inner and left joins, merged or under a name, one row for each match."""
    left = [{"id": 1, "u": 7}, {"id": 2, "u": 8}]
    right = [{"u": 7, "name": "A", "id": 99}, {"u": 7, "name": "B"}]
    joined = apply(left, "join", on="u", **{"with": right})
    assert joined == [{"id": 1, "u": 7, "name": "A"}, {"id": 1, "u": 7, "name": "B"}]
    outer = apply(left, "join", on="u", type="left", **{"with": right[1:], "as": "user"})
    assert outer == [{"id": 1, "u": 7, "user": right[1]}, {"id": 2, "u": 8, "user": None}]


def test_texts() -> None:
    """Text operations work on a text, on an array and on a field, under a new name if told."""
    assert apply("ab", "uppercase") == "AB"
    assert apply(["ab"], "uppercase") == ["AB"]
    assert apply([{"a": "x"}, {"b": 1}], "uppercase", field="a", target="A") == [
        {"a": "x", "A": "X"},
        {"b": 1},
    ]
    assert apply("abcdef", "substring", start=-2) == "ef"
    assert apply("a1b22", "replace", search="[0-9]+", replacement="\\1", regex=True) == "a\\1b\\1"
    assert apply({"a": 1.0, "b": None, "c": [1]}, "concat", fields=["a", "b", "c"], target="t") == {
        "a": 1.0,
        "b": None,
        "c": [1],
        "t": "1[1]",
    }


def test_numbers() -> None:
    """Rounding is what people expect, also of huge numbers."""
    assert apply([2.5, -2.5, 1.005, 3, 1e300], "round") == [3, -3, 1, 3, 1e300]
    assert apply([1.005, 2.675], "round", digits=2) == [1.01, 2.68]
    assert apply([-1.5, 1e300], "floor") == [-2, 1e300]
    assert apply([{"p": 5}], "clamp", field="p", max=3) == [{"p": 3}]


@pytest.mark.parametrize(
    ("value", "operation", "parameters", "words"),
    [
        ({"a": 1}, "limit", {"count": 1}, "operation 1 (limit): needs an array, got an object"),
        (["a", 1], "uppercase", {}, "(uppercase): item [1]: needs texts, got a number"),
        (["a"], "round", {}, "needs numbers, got a string"),
        ([True], "abs", {}, "needs numbers, got a boolean"),
        ([{}, 1], "uppercase", {"field": "a"}, "item [1]: field 'a' needs objects, got a number"),
        ([1], "select", {"fields": ["a"]}, "needs objects, got a number"),
        ([{"k": []}], "groupBy", {"field": "k"}, "groups by texts"),
        (["a", 1], "aggregate", {"function": "sum"}, "sum needs numbers"),
        ([1e308, 1e308], "aggregate", {"function": "sum"}, "out of the range"),
        ([1e308], "scale", {"factor": 10}, "out of the range"),
        ([[0] * 1000] * 1001, "flatten", {}, "more than 1000000 items"),
        (["a" * 1000] * 70_000, "uppercase", {}, "more than 67108864 characters"),
        ("a" * 10_000, "replace", {"search": "a", "replacement": "b" * 10_000}, "characters"),
        ([{"a": [0] * 1000}] * 1001, "flatMap", {"field": "a"}, "more than 1000000 items"),
    ],
)
def test_data_that_does_not_fit_fails_by_name(
    value: Any, operation: str, parameters: dict[str, Any], words: str
) -> None:
    """An operation that cannot work with its data says which one it was and why."""
    with pytest.raises(TransformError) as caught:
        apply(value, operation, **parameters)
    assert words in str(caught.value)
    assert (caught.value.index, caught.value.operation) == (0, operation)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "id", "name", "k"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON, st.sampled_from(PURE))
def test_any_data_is_transformed_or_refused(value: Any, operation: Operation) -> None:
    """No data makes an operation fail in another way, change its input or answer differently."""
    pipeline = compile_pipeline([{"operation": operation.name, **operation.example.parameters}])
    before = repr(value)
    try:
        result = pipeline.apply(value)
    except TransformError:
        return
    assert repr(value) == before
    assert repr(pipeline.apply(value)) == repr(result)
