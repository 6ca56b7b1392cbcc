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

CATALOG = [
    "select", "filter", "map", "flatMap", "flatten", "unique", "limit", "skip", "reverse",
    "groupBy", "aggregate", "join", "sort", "sortBy", "uppercase", "lowercase", "trim", "split",
    "concat", "replace", "substring", "template", "round", "floor", "ceil", "abs", "clamp",
    "scale", "percentage", "randomOne", "randomN", "shuffle",
    "reduce", "enrich", "pick", "omit", "merge", "index", "zip", "partition", "window", "jq",
    "jmespath",
    "add", "calculate", "capitalize", "chunk", "compact", "convert", "countBy", "default",
    "difference", "entries", "first", "fromEntries", "intersection", "joinText", "keys", "last",
    "object", "pad", "rename", "slice", "union", "values", "when",
]  # fmt: skip


def test_the_catalog_has_the_operations_promised() -> None:
    """Every operation is there under its name."""
    assert sorted(OPERATIONS) == sorted(CATALOG)


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
        (
            {"operation": "limit", "cuont": 1, "count": 1},
            "[0].cuont",
            "PIPELINE_INVALID",
            "did you mean 'count'",
        ),
        (
            {"operation": "filter", "operator": "startswith", "value": "a"},
            "[0].operator",
            "PIPELINE_INVALID",
            "did you mean 'startsWith'",
        ),
        (
            {"operation": "filter", "all": [{"field": "a", "operator": "egal"}]},
            "[0].all[0].operator",
            "PIPELINE_INVALID",
            "must be one of eq",
        ),
        ({"operation": "filter", "any": [1]}, "[0].any[0]", "PIPELINE_INVALID", "an object"),
        (
            {"operation": "filter", "operator": "between", "value": [1]},
            "[0]",
            "PIPELINE_INVALID",
            "least and the greatest",
        ),
        (
            {"operation": "map", "pipeline": [{"operation": "trimm"}]},
            "[0].pipeline[0].operation",
            "OPERATION_UNKNOWN",
            "did you mean 'trim'",
        ),
        (
            {"operation": "object", "members": {"a b": [{"operation": "limit"}]}},
            '[0].members["a b"][0].count',
            "PIPELINE_INVALID",
            "limit needs 'count'",
        ),
        (
            {"operation": "template", "template": "${a"},
            "[0].template",
            "PIPELINE_INVALID",
            "not closed",
        ),
        (
            {"operation": "template", "template": "${a..b}"},
            "[0].template",
            "PIPELINE_INVALID",
            "field path",
        ),
        ({"operation": "enrich"}, "[0]", "PIPELINE_INVALID", "it needs 'values'"),
        (
            {"operation": "enrich", "from": {"a": 1}, "field": "k"},
            "[0]",
            "PIPELINE_INVALID",
            "'target' must be given",
        ),
        ({"operation": "pick", "fields": ["a[0]"]}, "[0]", "PIPELINE_INVALID", "has an index"),
        ({"operation": "rename", "mappings": {"a": "b.c"}}, "[0]", "PIPELINE_INVALID", "name of"),
        (
            {"operation": "jq", "program": ".", "variables": {"a b": 1}},
            "[0]",
            "PIPELINE_INVALID",
            "not a valid name",
        ),
        ({"operation": "zip", "names": ["a", "a"]}, "[0]", "PIPELINE_INVALID", "twice"),
        ({"operation": "pad", "length": 9, "with": "ab"}, "[0]", "PIPELINE_INVALID", "one char"),
        (
            {"operation": "calculate", "left": "a", "operator": "+", "target": "t"},
            "[0]",
            "PIPELINE_INVALID",
            "'right' or 'number'",
        ),
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
        (
            {"operation": "pad", "length": 2, "field": "a.b"},
            "[0]",
            "PIPELINE_INVALID",
            "'target'",
        ),
    ],
)
def test_a_wrong_operation_is_reported(operation: Any, path: str, code: str, words: str) -> None:
    """Unknown operations and parameters that do not fit are refused with their path."""
    with pytest.raises(PipelineInvalid) as caught:
        compile_pipeline([operation])
    (problem,) = caught.value.problems
    assert (problem.path, problem.code) == (path, code)
    assert words in problem.message
    assert caught.value.reason in REASONS


def test_all_problems_are_reported_at_once() -> None:
    """One pass finds the problems of every operation."""
    with pytest.raises(PipelineInvalid) as caught:
        compile_pipeline([{"operation": "nope"}, {"operation": "skip"}, {"operation": "reverse"}])
    assert [problem.path for problem in caught.value.problems] == ["[0].operation", "[1].count"]


def nested(depth: int) -> list[Any]:
    pipeline: list[Any] = []
    for _ in range(depth - 1):
        pipeline = [{"operation": "map", "pipeline": pipeline}]
    return pipeline


@pytest.mark.parametrize(
    "pipeline",
    [
        None,
        {},
        "x",
        [{"operation": "reverse"}] * 101,
        [{"operation": "map", "pipeline": [{"operation": "reverse"}] * 50}] * 2,
        nested(9),
    ],
)
def test_a_pipeline_is_an_array_of_at_most_a_hundred(pipeline: Any) -> None:
    """Anything else is refused; those inside count, and stand in each other eight deep."""
    compile_pipeline(nested(8))
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


def test_programs_are_read_before_they_run() -> None:
    """What is no jq and no JMESPath is told with its place, all of it at once."""
    pipeline = [
        {"operation": "jq", "program": "map("},
        {"operation": "jq", "program": "$limit", "variables": {"limit": 1}},
        {"operation": "jq", "program": "$limit"},
        {"operation": "map", "pipeline": [{"operation": "jmespath", "program": "nothing(@)"}]},
        {"operation": "jmespath", "program": "a.b"},
    ]
    problems = pipeline_problems(pipeline)
    assert {problem.code for problem in problems} == {"EXPRESSION_INVALID"}
    assert [(problem.path, problem.message) for problem in problems] == [
        ("[0].program", "not jq: syntax error, unexpected end of file, at line 1, column 4"),
        ("[2].program", "not jq: $limit is not defined, at line 1, column 1"),
        ("[3].pipeline[0].program", "not JMESPath: there is no function 'nothing'"),
    ]


def test_templates_inside_inner_pipelines_are_waited_for() -> None:
    """Beside them everything is checked, in the conditions and pipelines inside as well."""
    inner = [{"operation": "limit", "count": "{{input.n}}"}, {"operation": "nope"}]
    conditions = [{"field": "a", "value": "{{input.a}}"}, "{{input.b}}", {"fild": "a"}]
    problems = pipeline_problems(
        [{"operation": "map", "pipeline": inner}, {"operation": "filter", "all": conditions}]
    )
    assert [problem.path for problem in problems] == [
        "[0].pipeline[1].operation",
        "[1].all[2].fild",
    ]


def test_the_place_inside_a_pipeline_is_reported() -> None:
    """From the operation through the item to the operation inside."""
    pipeline = compile_pipeline(
        [{"operation": "map", "pipeline": [{"operation": "reverse"}, {"operation": "round"}]}]
    )
    with pytest.raises(TransformError) as caught:
        pipeline.apply([[1.5], [1, "a"]])
    assert str(caught.value) == (
        "operation 1 (map): item [1]: operation 2 (round): item [0]: needs numbers, got a string"
    )
    assert (caught.value.index, caught.value.operation) == (0, "map")


def test_the_operation_that_fails_is_named_by_its_place() -> None:
    """The second of three operations fails, and the message says so."""
    pipeline = compile_pipeline(
        [{"operation": "reverse"}, {"operation": "uppercase"}, {"operation": "reverse"}]
    )
    with pytest.raises(TransformError) as caught:
        pipeline.apply([1])
    assert str(caught.value) == "operation 2 (uppercase): item [0]: needs texts, got a number"


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["operation", "field", "value", "count", "operator", "order", "with"]),
            st.sampled_from([*CATALOG, "gt", "in", "matches", 0, -1, 1.5, None, [], {}, [1], "("]),
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
