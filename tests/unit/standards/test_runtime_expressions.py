"""Values with runtime expressions as jq programs, and errors of Serverless Workflow."""

import jq
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.standards.jq_values import (
    MalformedExpression,
    expressions_in,
    program_of,
    unwrap,
    uri_program,
    variables_in,
)
from flowmesh.standards.problem_details import BASE, canonical, error_of

DATA = {"x": "v", "n": {"m": 1}, "id": "a/b"}


def made(value: Json) -> Json:
    return jq.compile(program_of(value)).input_value(DATA).first()


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"a": "${ .x }", "b": ["${ .n }", 1, None]}, {"a": "v", "b": [{"m": 1}, 1, None]}),
        (" ${ .n.m } ", 1),
        ("n is ${ .n } and ${ .x }", 'n is {"m":1} and v'),
        ('${ "}" + "\\({a: .x}.a)" }!', "}v!"),
        ("${ empty }", None),
        ("${ .x, .n }", "v"),
        ("${ .x # a comment }", "v"),
        ("\\(.x)", "\\(.x)"),
        ("$.x", "$.x"),
    ],
)
def test_a_value_is_made_by_a_program(value: Json, result: Json) -> None:
    """Whole expressions keep their type, those in a text become text, the rest stays as it is."""
    assert made(value) == result


def test_an_expression_without_its_end_is_reported() -> None:
    """A brace that is opened and never closed is not taken for text."""
    with pytest.raises(MalformedExpression):
        expressions_in({"a": "${ {b: 1}"})


def test_expressions_are_found_with_their_places() -> None:
    """Each expression of a value is told with the path to it."""
    found = expressions_in({"a": ["x", "${ .y } ${ .z }"]})
    assert {(each.source, each.path) for each in found} == {(".y", ("a", 1)), (".z", ("a", 1))}


@pytest.mark.parametrize(
    ("text", "source"), [(".a", ".a"), ("${ .a }", ".a"), ("${.a} + ${.b}", "${.a} + ${.b}")]
)
def test_an_expression_may_stand_bare(text: str, source: str) -> None:
    """Braces around the whole are taken off; two expressions are not one."""
    assert unwrap(text) == source


def test_names_in_an_endpoint_are_filled_in_and_quoted() -> None:
    """Members of the data are quoted for a URL; what is missing is empty."""
    program = uri_program("http://x/{id}?q={x}&z={gone}")
    assert jq.compile(program).input_value(DATA).first() == "http://x/a%2Fb?q=v&z="
    assert jq.compile(program).input_value(7).first() == "http://x/?q=&z="


def test_variables_are_those_behind_a_dollar() -> None:
    """Names behind a dollar are found, without what is looked up in them."""
    assert variables_in("$a + $b_2.c") == {"a", "b_2"}


@pytest.mark.parametrize(
    ("class_", "details", "type_", "status"),
    [
        ("Timeout", None, "timeout", 408),
        ("NetworkError", None, "communication", 500),
        ("ServerError", {"http": {"status": 503}}, "communication", 503),
        ("AuthenticationError", {"http": {"status": 401}}, "authentication", 401),
        ("AuthenticationError", {"http": {"status": 403}}, "authorization", 403),
        ("Timeout", {"http": {"status": 408}}, "communication", 408),
        ("ExpressionError", None, "expression", 400),
        ("ValidationError", None, "validation", 400),
        ("TypeError", None, "runtime", 500),
    ],
)
def test_a_failure_is_an_error_of_the_standard(
    class_: str, details: Json, type_: str, status: int
) -> None:
    """The table of docs/serverless-workflow.md; an error that was one before stays the same."""
    error = error_of(class_, "it broke", details, "/do/0/a")
    assert (error["type"], error["status"]) == (BASE + type_, status)
    assert error["instance"] == "/do/0/a"
    assert error_of("any", "", {"problem": error}, "/elsewhere") is error


def test_earlier_names_of_the_types_mean_the_same() -> None:
    """Types as earlier texts of the standard write them are the types of today."""
    earlier = "https://serverlessworkflow.io/dsl/errors/types/timeout"
    assert canonical(earlier) == BASE + "timeout"
    assert canonical("https://mine") == "https://mine"
