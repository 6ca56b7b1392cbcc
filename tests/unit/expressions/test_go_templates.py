"""The Go form of templates: what it yields, what it refuses and where."""

import uuid
from datetime import datetime
from typing import Any

import pytest

from flowmesh.expressions import MOMENT, Moment, RenderError, TemplateInvalid, compile_go_template
from flowmesh.expressions.scanner import EXPRESSIONS_MAX

DATA = {
    "name": "Ada",
    "status": "",
    "count": 3,
    "none": None,
    "data": {"a": [1, None]},
    "list": [{"id": 7}],
    "key": "name",
    "steps": {"step-name": {"field": "x", "n": 1, "odd key": 2}},
}
SCOPE = {"data": DATA, MOMENT: Moment("execution/node", 1_700_000_000_123_456)}


def render(text: Any) -> Any:
    return compile_go_template(text).render(SCOPE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ .name }}", "Ada"),
        ("{{.name}} has {{ .count }}", "Ada has 3"),
        ("{{ .count }}", 3),
        ("{{ lower .name }}", "ada"),
        ("{{ .name | lower | upper }}", "ADA"),
        ('{{ default "pending" .status }}', "pending"),
        ('{{ default "pending" .missing.deeper }}', "pending"),
        ('{{ .none | default "pending" }}', "pending"),
        ("{{ .count | default 5 }}", 3),
        ("{{ json .data }}", '{"a":[1,null]}'),
        ("{{ .steps.step-name.field }}", "x"),
        ('{{index .steps "step-name" "field"}}', "x"),
        ('{{ index .steps "step-name" "odd key" }}', 2),
        ("{{ (index .list 0).id }}", 7),
        ("{{ index . .key }}", "Ada"),
        ('{{ index .list 0 "id" | print "n" }}', "n7"),
        ('{{ eq .name "Bob" "Ada" }}', True),
        ("{{ gt (len .name) 2 }}", True),
        ("{{ $.name }}{{ `{{raw}}` }}", "Ada{{raw}}"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("a  {{- .name -}}\n b", "aAdab"),
        ({"k": ["{{ .count }}", 1]}, {"k": [3, 1]}),
        ("{{ . }}", DATA),
        ("no action }}", "no action }}"),
        ('{{ "a\\"b" }}', 'a"b'),
    ],
)
def test_what_actions_yield(text: Any, expected: Any) -> None:
    """Fields with hyphens, functions before their arguments, pipes that fill the last one."""
    assert render(text) == expected


def test_identities_and_times_are_of_their_forms() -> None:
    """A UUID of version 4 and an RFC 3339 date, the same when they are rendered again."""
    made = render(["{{ uuidv4 }}", "{{ now }}", "{{uuidv4}}"])
    assert uuid.UUID(made[0]).version == 4
    assert made[0] != made[2]
    assert datetime.fromisoformat(made[1]).timestamp() == 1_700_000_000.123
    assert render(["{{ uuidv4 }}", "{{ now }}", "{{uuidv4}}"]) == made


@pytest.mark.parametrize(
    ("text", "code", "offset", "words"),
    [
        ("a {{ .name", "INVALID", 2, "not closed"),
        ("{{ }}", "INVALID", 3, "a value such as"),
        ("{{ lwer .name }}", "UNKNOWN_FUNCTION", 3, "did you mean lower?"),
        ("{{ lower }}", "ARGUMENTS_INVALID", 3, "takes 1 argument, not 0"),
        ('{{ default "x" }}', "ARGUMENTS_INVALID", 3, "a default and a value"),
        ("{{ .a | .b }}", "INVALID", 8, "must follow '|'"),
        ("{{ (lower .a }}", "INVALID", 13, "')' is missing"),
        ("{{ .a ) }}", "INVALID", 6, "unexpected"),
        ("{{ .a # }}", "INVALID", 6, "unexpected"),
        ("{{ index .list -1 }}", "INVALID", 3, "counts from 0"),
        ("{{ " + "(" * 40 + ".a" + ")" * 40 + " }}", "INVALID", 36, "32 levels"),
        ("{{ .a" + "|lower" * 40 + " }}", "INVALID", 198, "32 levels"),
        ("{{ ." + "a" * 5000 + " }}", "INVALID", 0, "longer than"),
    ],
)
def test_what_is_wrong_has_its_place(text: str, code: str, offset: int, words: str) -> None:
    """In the text as it was written, whatever it is rewritten as."""
    with pytest.raises(TemplateInvalid) as caught:
        compile_go_template({"k": [text]})
    (problem,) = caught.value.problems
    assert (problem.path, problem.code, problem.offset) == ("k[0]", f"TEMPLATE_{code}", offset)
    assert words in problem.message


@pytest.mark.parametrize(
    "word", ["if .a", "range .list", "with .a", "end", 'template "x"', "$x := 1"]
)
def test_what_is_not_there_is_refused_by_its_name(word: str) -> None:
    """Control flow, definitions and variables."""
    with pytest.raises(TemplateInvalid) as caught:
        compile_go_template(f"{{{{ {word} }}}}")
    (problem,) = caught.value.problems
    assert problem.code == "FEATURE_UNSUPPORTED"


def test_a_missing_value_fails_unless_there_is_a_default() -> None:
    """Go would write `<no value>` and go on."""
    with pytest.raises(RenderError, match="has no member 'nope'"):
        render("{{ .nope }}")


def test_a_template_is_bounded_in_its_actions() -> None:
    """The last permitted action compiles, and the next is refused."""
    assert compile_go_template("{{.a}}" * EXPRESSIONS_MAX)
    with pytest.raises(TemplateInvalid, match=r"has at most 10000 actions$"):
        compile_go_template("{{.a}}" * (EXPRESSIONS_MAX + 1))


def test_an_error_counts_its_further_problems() -> None:
    """The first one is told, with the number of the others."""
    with pytest.raises(TemplateInvalid, match=r"\(and 2 more\)$") as caught:
        compile_go_template({"a": "{{", "b": "{{", "c": "{{"})
    assert len(caught.value.problems) == 3
