"""Patterns of users are bounded: in compilation, in search, and in what a condition does inline."""

import time
from typing import Any

import pytest

from flowmesh.definitions.problems import Problems
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.expressions import RenderError, compile_condition
from flowmesh.expressions.conditions import Condition
from flowmesh.expressions.jsonpath import compile_jsonpath
from flowmesh.expressions.patterns import compile_pattern

# What a busy machine may take for work of some 20 ms.
MOST_S = 1.0
HUGE = r"\pL{500}"


def condition(source: str) -> Condition:
    made = compile_condition(source, dialect="cel", roots=("event",))
    assert made is not None
    return made


def event(*texts: str) -> dict[str, Any]:
    return {"event": {"l": list(texts), "matches": "m", "p": "a"}}


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("event.l.exists(x, x.matches('^a+$'))", True),
        ('event.l.exists(x, matches(x, "^a.c$"))', True),
        (r"event.l.all(x, x.matches(r'^\w+$'))", True),
        (r"event.l.all(x, x.matches('^\\d+$'))", False),
        ("event.matches == 'm' && event.l.exists(matches, matches == 'abc')", True),
        ("event.l[0].matches(event.p)", True),
        ("!'matches(' .matches('b')", True),
    ],
)
def test_matches_searches_a_pattern(source: str, holds: bool) -> None:
    """In both forms of the call; a member or a text of this name is none."""
    assert condition(source).evaluate(event("aa", "abc")) is holds


@pytest.mark.parametrize(
    "call", ["event.l.matches('a')", "event.p.matches('(')", f"event.p.matches(r'{HUGE}')"]
)
def test_a_search_that_is_impossible_fails(call: str, capfd: pytest.CaptureFixture[str]) -> None:
    """No value is printed."""
    with pytest.raises(RenderError):
        condition(call).evaluate(event("secret"))
    assert "secret" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "source",
    [
        r"event.l.exists(x, x.matches(r'\w{50}\w{50}'))",
        r"event.l.exists(x, x.matches(r'\pL{50}'))",
        "event.l.exists(x, x.matches('(x+x+)+y'))",
        r"event.l.exists(x, x.matches(r'[01]*1[01]{900}$'))",
        "event.l.exists(x, x.matches(x))",
        "event.l.exists(x, event.l.exists(y, x.matches('(a{30}){30}')))",
    ],
)
def test_what_is_prompt_takes_no_more_than_some_ms(source: str) -> None:
    """Of many short texts and of a long one; otherwise it belongs in a child process."""
    made = condition(source)
    for scope in (event(*["01b"] * 1_500), event("01" * 8_000), event("a")):
        if not made.is_prompt(scope):
            continue
        begun = time.perf_counter()
        made.evaluate(scope)
        assert time.perf_counter() - begun < MOST_S, source


def test_a_usual_pattern_is_prompt() -> None:
    """A condition with a small pattern runs on the event loop."""
    assert condition("event.l.exists(x, x.matches('^[a-z]{2,20}$'))").is_prompt(event("abc"))


def test_a_pattern_compiles_within_a_bound() -> None:
    """A pattern with huge repeats is refused in milliseconds."""
    begun = time.perf_counter()
    with pytest.raises(ValueError, match="too large repeats"):
        compile_pattern(HUGE)
    assert time.perf_counter() - begun < MOST_S


def test_patterns_of_data_count_in_a_path() -> None:
    """A path that takes each pattern from the data ends at its budget."""
    path = compile_jsonpath("$.l[?search(@, @)]")
    patterns = [rf"\p{{L}}{{9}}{number}" for number in range(5_000)]
    begun = time.perf_counter()
    with pytest.raises(RenderError, match="steps"):
        path.select({"l": patterns})
    assert time.perf_counter() - begun < 5 * MOST_S


@pytest.mark.parametrize(
    "pattern", [r"\pL{40}", HUGE, r"(?:\pL{50}){9}", r"\p{Alphabetic}{900}", "a"]
)
def test_a_schema_of_many_patterns_is_refused_before_they_are_compiled(pattern: str) -> None:
    """Ten thousand of them took minutes; those of one schema compile within a bound."""
    schema = {"anyOf": [{"pattern": f"{pattern}{number}"} for number in range(4_000)]}
    problems = Problems()
    begun = time.perf_counter()
    assert not check_schema(schema, (), problems)
    assert time.perf_counter() - begun < 10 * MOST_S
    assert problems.found[-1].code == "SCHEMA_TOO_COMPLEX"


def test_a_usual_schema_has_many_patterns() -> None:
    """300 small patterns in a schema are within its budget."""
    schema = {"properties": {f"p{number}": {"pattern": r"^\w{1,40}$"} for number in range(300)}}
    assert check_schema(schema, (), Problems())
