"""What a pipeline may make of a small input, and how long a large one may take."""

import time
from random import Random

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.transforms import Run, TooCostly, TransformError, compile_pipeline
from flowmesh.transforms.limits import INLINE_COST_MAX, ITEMS_MAX

TWICE = {"operation": "object", "members": {"a": [], "b": []}}
ROWS = 1_000_000
# The target is 3 s on a machine of its own; this one may be busy.
SECONDS_MAX = 12.0


def failure(value: Json, *pipeline: Json) -> str:
    with pytest.raises(TransformError) as caught:
        compile_pipeline(list(pipeline)).apply(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "operation", "words"),
    [
        ([0] * (ITEMS_MAX + 1), {"operation": "limit", "count": 1}, "source has more than 1000000"),
        ([0] * 2_000, {"operation": "window", "size": 1_000}, "more than 1000000 items"),
        ([[0] * 1_000] * 1_001, {"operation": "zip"}, "more than 1000000 items"),
        ([[], [0] * 600_000], {"operation": "zip", "longest": True}, "more than 1000000 items"),
        ([{"k": 1}] * 1_001, {"operation": "join", "on": "k", "with": [{"k": 1}] * 1_000},
         "more than 1000000 items"),
        ([[0] * 1_000] * 1_001, {"operation": "reduce", "function": "concat"}, "1000000 items"),
        (["x" * 70_000] * 1_000, {"operation": "reduce", "function": "concat"}, "characters"),
        (["x"] * 10_000, {"operation": "pad", "length": 10_000}, "characters"),
        (["x" * 70_000] * 1_000, {"operation": "joinText"}, "characters"),
        ([{"a": "x" * 1_000}] * 7_000, {"operation": "template", "template": "${a}" * 10},
         "characters"),
        ([{"a": "x" * 1_000}] * 7_000, {"operation": "enrich", "texts": {"t": "${a}" * 10}},
         "characters"),
    ],
)  # fmt: skip
def test_what_an_operation_yields_is_bounded(value: Json, operation: Json, words: str) -> None:
    """Items, rows, windows and text; the operation is named."""
    told = failure(value, operation)
    assert words in told
    assert operation["operation"] in told or "source" in told


@pytest.mark.parametrize(
    ("value", "pipeline"),
    [
        ("x" * 1_000, [TWICE] * 20),
        ({"big": "x" * 1_000_000}, [{"operation": "map", "mappings": {"a": "big", "b": "big"}}]),
        ([{"k": 1, "big": "x" * 1_000}] * 700,
         [{"operation": "join", "on": "k", "with": [{"k": 1, "wide": "y" * 1_000}] * 700}]),
        ([["x" * 1_000_000] * 20], [{"operation": "map", "pipeline": [TWICE, TWICE, TWICE]}]),
        (["x" * 1_000_000] * 30, [{"operation": "window", "size": 10}]),
    ],
)  # fmt: skip
def test_a_value_that_stands_in_itself_twice_is_measured(value: Json, pipeline: Json) -> None:
    """What is small in memory and huge as JSON is refused before it is written."""
    source = [value] * 200 if isinstance(value, dict) else value
    started = time.process_time()
    assert "yields more than 128 MiB" in failure(source, *pipeline)
    assert time.process_time() - started < 5


def test_what_all_operations_yield_is_bounded() -> None:
    """Pipelines inside cannot multiply work without end."""
    reversals = {"operation": "map", "pipeline": [{"operation": "reverse"}] * 26}
    told = failure([[0] * 1_000_000] * 2, reversals)
    assert told.startswith("operation 1 (map): item [1]: operation 25 (reverse): the pipeline")
    assert "more than 50000000 items in all" in told


SORTED = {"operation": "sort"}


@pytest.mark.parametrize(
    ("value", "pipeline"),
    [
        ([*range(1_000)], [{"operation": "window", "size": 900}]),
        ([[0] * 1_000, *[[0]] * 300], [{"operation": "zip", "longest": True}]),
        ([{"k": 1}] * 300, [{"operation": "join", "on": "k", "with": [{"k": 1}] * 300}]),
        ([*range(1_000)], [SORTED] * 44),
        ([*range(1_000)], [{"operation": "map", "pipeline": [TWICE, TWICE, TWICE, TWICE, TWICE]}]),
        ({"a": "x"}, [TWICE] * 20),
        (["x"] * 100, [{"operation": "pad", "length": 10_000}]),
        (["x"] * 100, [{"operation": "template", "template": "y" * 10_000}]),
        ("x" * 1_000, [{"operation": "replace", "search": "x", "replacement": "y" * 300}, SORTED]),
        ('"', [{"operation": "convert", "to": "json"}] * 30),
    ],
)
def test_a_costly_operation_does_not_begin_where_the_cost_is_bounded(
    value: Json, pipeline: list[Json]
) -> None:
    """Work is estimated from sizes before each operation, so the event loop is not blocked."""
    started = time.thread_time()
    with pytest.raises(TooCostly):
        compile_pipeline(pipeline).apply(value, Run("", INLINE_COST_MAX))
    assert time.thread_time() - started < 0.1


def test_a_common_run_is_within_the_cost() -> None:
    """A hundred rows of a few members, with five operations."""
    rows = [{"id": index, "name": f"user-{index}", "ok": index % 2 == 0} for index in range(100)]
    pipeline = [
        {"operation": "filter", "field": "ok", "value": True},
        {"operation": "map", "mappings": {"key": "id", "name": "name"}},
        {"operation": "sort", "field": "name"},
        {"operation": "map", "pipeline": [{"operation": "select", "field": "key"}]},
        {"operation": "limit", "count": 3},
    ]
    found = compile_pipeline(pipeline).apply(rows, Run("", INLINE_COST_MAX))
    assert found == [0, 10, 12]


@pytest.mark.slow
def test_a_million_rows_take_seconds() -> None:
    """filter, map, sort and groupBy together; 1.6 s of CPU where this was written."""
    random = Random(7)
    rows = [
        {
            "id": index,
            "name": f"user-{random.randrange(ROWS)}",
            "active": random.random() < 0.7,
            "country": random.choice(["DE", "FR", "US", "IT", "ES"]),
        }
        for index in range(ROWS)
    ]
    pipeline = compile_pipeline(
        [
            {"operation": "filter", "field": "active", "operator": "eq", "value": True},
            {"operation": "map", "mappings": {"id": "id", "name": "name", "country": "country"}},
            {"operation": "sort", "field": "name"},
            {"operation": "groupBy", "field": "country"},
        ]
    )
    started = time.process_time()
    groups = pipeline.apply(rows)
    assert time.process_time() - started < SECONDS_MAX
    assert sorted(groups) == ["DE", "ES", "FR", "IT", "US"]
    assert sum(map(len, groups.values())) == sum(bool(row["active"]) for row in rows)
    assert all(a["name"] <= b["name"] for a, b in zip(groups["DE"], groups["DE"][1:], strict=False))
