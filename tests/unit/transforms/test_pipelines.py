"""Pipelines are checked whole before they run; every problem has a place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.errors import REASONS
from flowmesh.transforms import (
    OPERATIONS,
    PipelineInvalid,
    TransformError,
    compile_pipeline,
    pipeline_problems,
)

CATALOGUE = [
    "select", "filter", "map", "flatMap", "flatten", "unique", "limit", "skip", "reverse",
    "groupBy", "aggregate", "join", "sort", "sortBy", "uppercase", "lowercase", "trim", "split",
    "concat", "replace", "substring", "round", "floor", "ceil", "abs", "clamp", "scale",
    "percentage",
]  # fmt: skip


def test_the_catalogue_has_the_operations_promised() -> None:
    """Every operation is there under its name."""
    assert sorted(OPERATIONS) == sorted(CATALOGUE)


@pytest.mark.parametrize(
    ("operation", "path", "code", "words"),
    [
        ({"operation": "fliter"}, "[0].operation", "OPERATION_UNKNOWN", "did you mean 'filter'"),
        ({"field": "a"}, "[0]", "PIPELINE_INVALID", "'operation' is missing"),
        (3, "[0]", "PIPELINE_INVALID", "not a number"),
        ({"operation": "limit"}, "[0].count", "PIPELINE_INVALID", "limit needs 'count'"),
        ({"operation": "limit", "count": -1}, "[0].count", "PIPELINE_INVALID", "at least 0"),
        ({"operation": "limit", "count": True}, "[0].count", "PIPELINE_INVALID", "whole number"),
        ({"operation": "limit", "count": "{{x}}"}, "[0].count", "PIPELINE_INVALID", "whole number"),
        ({"operation": "limit", "count": 1, "x": 1}, "[0].x", "PIPELINE_INVALID", "no parameter"),
        ({"operation": "sort", "order": "up"}, "[0].order", "PIPELINE_INVALID", "asc, desc"),
        ({"operation": "sort", "field": "a..b"}, "[0].field", "PIPELINE_INVALID", "field path"),
        ({"operation": "map"}, "[0]", "PIPELINE_INVALID", "exactly one of"),
        ({"operation": "map", "mappings": {"a": 1}}, "[0].mappings", "PIPELINE_INVALID", "object"),
        ({"operation": "filter", "operator": "in", "value": 1}, "[0]", "PIPELINE_INVALID", "array"),
        (
            {"operation": "filter", "operator": "matches", "value": "(?=a)b"},
            "[0]",
            "PIPELINE_INVALID",
            "RE2",
        ),
        ({"operation": "clamp", "min": 2, "max": 1}, "[0]", "PIPELINE_INVALID", "greater"),
        ({"operation": "join", "with": []}, "[0]", "PIPELINE_INVALID", "'on' is missing"),
        ({"operation": "join", "with": [1], "on": "a"}, "[0]", "PIPELINE_INVALID", "objects"),
        ({"operation": "trim", "field": "a.b"}, "[0]", "PIPELINE_INVALID", "'target'"),
    ],
)
def test_what_is_wrong_with_an_operation_is_told(
    operation: Any, path: str, code: str, words: str
) -> None:
    """Unknown operations and parameters that do not fit are refused with their path."""
    with pytest.raises(PipelineInvalid) as caught:
        compile_pipeline([operation])
    (problem,) = caught.value.problems
    assert (problem.path, problem.code) == (path, code)
    assert words in problem.message
    assert caught.value.reason in REASONS


def test_all_problems_are_told_at_once() -> None:
    """One pass finds the problems of every operation."""
    with pytest.raises(PipelineInvalid) as caught:
        compile_pipeline([{"operation": "nope"}, {"operation": "skip"}, {"operation": "reverse"}])
    assert [problem.path for problem in caught.value.problems] == ["[0].operation", "[1].count"]


@pytest.mark.parametrize("pipeline", [None, {}, "x", [{"operation": "reverse"}] * 101])
def test_a_pipeline_is_an_array_of_at_most_a_hundred(pipeline: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(PipelineInvalid):
        compile_pipeline(pipeline)


def test_templates_fit_until_they_are_rendered() -> None:
    """Before rendering, a template stands for any parameter; the rest is checked all the same."""
    pipeline = [
        {"operation": "limit", "count": "{{input.n}}"},
        {"operation": "filter", "operator": "in", "value": "{{input.ids}}"},
        {"operation": "join", "with": "{{tasks.a.output}}", "on": "id"},
        {"operation": "clamp", "min": "{{input.low}}", "max": 1},
        "{{input.last}}",
    ]
    assert pipeline_problems(pipeline) == ()
    assert pipeline_problems("{{input.pipeline}}") == ()
    (problem,) = pipeline_problems([{"operation": "limit", "count": "3"}])
    assert problem.path == "[0].count"


def test_the_operation_that_fails_is_named_by_its_place() -> None:
    """The second of three operations fails, and the message says so."""
    pipeline = compile_pipeline(
        [{"operation": "reverse"}, {"operation": "uppercase"}, {"operation": "reverse"}]
    )
    with pytest.raises(TransformError) as caught:
        pipeline.apply([1])
    assert str(caught.value) == "operation 2 (uppercase): needs texts, got a number"


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["operation", "field", "value", "count", "operator", "order", "with"]),
            st.sampled_from(
                [*CATALOGUE, "gt", "in", "matches", 0, -1, 1.5, None, [], {}, [1], "("]
            ),
        ),
        max_size=3,
    )
)
def test_any_pipeline_compiles_or_is_refused(pipeline: Any) -> None:
    """No pipeline makes the compiler fail in another way than PipelineInvalid."""
    try:
        compile_pipeline(pipeline)
    except PipelineInvalid as error:
        invalid = error
    else:
        return
    assert all(problem.message for problem in invalid.problems)
