"""Problems of JSON Schemas, with bounded time and memory for any value."""

import time
from typing import Any

import orjson
import pytest

from flowmesh.plan.schemas import VIOLATIONS_MAX, Schema, SchemaProblem

MANY = 30_000
WIDE = {f"k{number}": number for number in range(MANY)}


def problems(schema: Any, value: Any) -> tuple[SchemaProblem, ...]:
    return Schema(orjson.dumps(schema)).problems(value)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_the_first_problems_are_reported_with_their_places() -> None:
    """Each with the keyword that it fails."""
    schema = {"propertyNames": {"maxLength": 3}, "items": {"type": "string"}, "required": ["a"]}
    found = problems(schema, {"long": 1})
    assert {(each.path, each.schema_path) for each in found} == {
        ("", "#/propertyNames/maxLength"),
        ("", "#/required"),
    }
    assert len(problems(schema, list(range(1_000)))) == VIOLATIONS_MAX
    assert problems(schema, list(range(1_000)))[1].path == "[1]"


@pytest.mark.parametrize(
    "schema",
    [
        {"propertyNames": {"maxLength": 1}},
        {"required": [f"x{number}" for number in range(5_000)]},
        {"allOf": [{"minProperties": MANY + number} for number in range(1, 5_000)]},
        {"dependentRequired": {f"k{number}": ["x"] for number in range(5_000)}},
        {"items": {"$ref": "#"}, "additionalProperties": False},
    ],
    ids=["names", "required", "all", "dependent", "one"],
)
def test_for_a_wide_value_the_first_problem_is_reported(schema: Any) -> None:
    """Each of so many would have had a copy of all of it: the process was killed for its memory."""
    begun_s = time.monotonic()
    found = problems(schema, WIDE)
    assert time.monotonic() - begun_s < 5  # some 0.1 s; it were minutes
    assert len(found) == 1
    assert found[0].schema_path != "#"
    assert not problems(schema, [])


def test_a_value_that_fits_none_of_many_choices_is_reported() -> None:
    """The problem of a choice has those of all that could be chosen in it."""
    choices = {"anyOf": [{"minProperties": MANY + number} for number in range(1, 5_000)]}
    begun_s = time.monotonic()
    (found,) = problems(choices, WIDE)
    assert time.monotonic() - begun_s < 5
    assert (found.path, found.schema_path) == ("", "#")
    assert found.message == "the value does not fit and is too large to locate why"


def test_choices_that_refer_to_choices_end() -> None:
    """Twice as many problems on each level would be a million below the twentieth."""
    again = {"type": "array", "items": {"$ref": "#"}}
    schema = {"anyOf": [again, {**again, "minItems": 1}]}
    assert problems(schema, nested(3))[0].schema_path == "#/anyOf"
    begun_s = time.monotonic()
    (found,) = problems(schema, nested(60))
    assert time.monotonic() - begun_s < 5
    assert found.schema_path == "#"


@pytest.mark.parametrize("levels", [300, 900])
def test_what_is_nested_too_deep_does_not_fit(levels: int) -> None:
    """Also where it would have to be compared as a whole, which raised an error of its own."""
    (found,) = problems({"enum": [1]}, nested(levels))
    assert found.message == "the value is nested too deep to be validated"
    assert not problems({"type": "array"}, nested(levels))
