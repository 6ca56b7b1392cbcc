"""Functions of the template language: what they yield, what they refuse, that they are bounded."""

import re
import time
import uuid
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.errors import REASONS
from flowmesh.expressions import (
    FUNCTIONS,
    MOMENT,
    Moment,
    RenderError,
    TemplateInvalid,
    compile_template,
    compile_text,
    result_schema,
    schema_of,
)
from flowmesh.expressions.functions.signatures import RESULTS
from flowmesh.testing.polling import slowness

AT = Moment("execution/node", 1_700_000_000_123_456)
DATA = {
    "name": "Ada Lovelace",
    "none": None,
    "list": [3, 1, 2],
    "words": ["b", "a", "b"],
    "obj": {"a": 1, "b": [True, None]},
    "amount": 12.345,
    "text": '{"x": [1]}',
    "when": "2026-03-01T10:30:00+01:00",
}


def render(expression: str, data: Any = None, moment: Moment = AT) -> Any:
    scope = {"input": DATA if data is None else data, MOMENT: moment}
    return compile_template(f"{{{{ {expression} }}}}", ("input",)).render(scope)


def problems(text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(TemplateInvalid) as caught:
        compile_template(text, ("input",))
    return [(each.code, each.offset, each.message) for each in caught.value.problems]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("upper(input.name)", "ADA LOVELACE"),
        ("input.name | lower", "ada lovelace"),
        ("input.name | split(' ') | last | upper", "LOVELACE"),
        ('default(input.missing, "x")', "x"),
        ('default(input.none.deeper[3], "x")', "x"),
        ('upper(input.missing) | default("x")', "x"),
        ('coalesce(input.none, input.missing, "c")', "c"),
        ("coalesce(input.none, input.missing)", None),
        ("if(gt(input.amount, 10), input.obj, 'small')", {"a": 1, "b": [True, None]}),
        ("if(lt(input.amount, 10), input.missing, 'large')", "large"),
        ("exists(input.name)", True),
        ("exists(input.obj.c)", False),
        ("empty(input.list)", False),
        ("and(exists(input.obj), eq(input.obj.a, 1.0))", True),
        ("or(false, input.missing | empty)", True),
        ("eq(1, true)", False),
        ("eq(input.obj.b, fromJson('[true, null]'))", True),
        ("round(input.amount, 2)", 12.35),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("floor(input.amount)", 12),
        ("sum(input.list)", 6),
        ("avg(input.list)", 2.0),
        ("min(input.list)", 1),
        ("number('12') | add(0.5)", 12.5),
        ("int('12.9')", 12),
        ("fixed(1, 2)", "1.00"),
        ("sort(input.words) | unique | join('-')", "a-b"),
        ("keys(input.obj)", ["a", "b"]),
        ("get(input.obj, 'b') | length", 2),
        ("get(input.list, -1)", 2),
        ("get(input.list, 9, 'none')", "none"),
        ("fromJson(input.text)", {"x": [1]}),
        ("toJson(input.obj)", '{"a":1,"b":[true,null]}'),
        ("merge(input.obj, fromJson('{\"a\": 2}'))", {"a": 2, "b": [True, None]}),
        ("substring(input.name, -8)", "Lovelace"),
        ("contains(input.list, 3)", True),
        ("contains(input.list, true)", False),
        ("startsWith(input.name, 'Ada')", True),
        ("base64Decode('_-8') | default('x')", RenderError),
        ("base64Decode(base64Encode('é?>'))", "é?>"),
        ("urlDecode(urlEncode('a b+&é'))", "a b+&é"),
        ("date(input.when)", "2026-03-01T09:30:00.000Z"),
        ("formatDate(input.when, \"yyyy-MM-dd'T'HH:mm ZZ\", '+02:00')", "2026-03-01T11:30 +02:00"),
        ("formatDate(input.when, 'EEEE, MMMM d, h:mm a')", "Sunday, March 1, 9:30 AM"),
        ("parseDate('3/1/26', 'M/d/yy')", RenderError),
        ("parseDate('1 Mar 2026 1:05 PM', 'd MMM yyyy h:mm a')", "2026-03-01T13:05:00.000Z"),
        ("parseDate('2026-03-01 00:00', 'yyyy-MM-dd HH:mm', '-05:00')", "2026-03-01T05:00:00.000Z"),
        ("dateAdd('2024-02-29', 1, 'years')", "2025-02-28T00:00:00.000Z"),
        ("dateAdd('2026-12-31', -10, 'months')", "2026-02-28T00:00:00.000Z"),
        ("dateAdd(0, 90, 'minutes')", "1970-01-01T01:30:00.000Z"),
        ("dateDiff('2026-03-02', input.when, 'hours')", 14.5),
        ("toEpoch('1970-01-02')", 86_400_000),
        ("now()", "2023-11-14T22:13:20.123Z"),
        ("repeat('a', 0)", ""),
        ("dateDiff(now(), 1700000000000, 'seconds')", 0.123),
        ('"{{ stays }}"', "{{ stays }}"),
        ("'it\\'s'", "it's"),
        ("-1.5e3", -1500.0),
    ],
)
def test_what_expressions_yield(expression: str, expected: Any) -> None:
    """Functions, pipes, literals and references in each other; missing values where allowed."""
    if expected is RenderError:
        with pytest.raises((RenderError, TemplateInvalid)):
            render(expression)
    else:
        found = render(expression)
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_example_yields_what_its_signature_says(name: str) -> None:
    """The examples of the documentation run, and their results fit the declared schema."""
    result = render(FUNCTIONS[name].example)
    assert jsonschema_rs.validator_for(result_schema(name)).is_valid(result)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(("2026-01-31", "yyyy-MM", "days", "+02:00", "aGk=", "%41", "[1]", "12")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("name", FUNCTIONS)
@given(values=st.lists(JSON, max_size=4))
def test_no_function_fails_in_a_way_of_its_own(name: str, values: list[Any]) -> None:
    """On any JSON values it yields JSON of its schema, or a RenderError that names it."""
    arguments = ", ".join(f"input[{index}]" for index in range(len(values)))
    try:
        found = render(f"{name}({arguments})", values)
    except TemplateInvalid as refused:
        codes = {each.code for each in refused.problems}
    except RenderError as failed:
        codes = {failed.code}
    else:
        codes = set()
        assert jsonschema_rs.validator_for(result_schema(name)).is_valid(found)
    assert codes <= {"TEMPLATE_ARGUMENTS_INVALID", "RENDER_FAILED"}


@pytest.mark.parametrize(
    ("text", "code", "offset", "words"),
    [
        ("a {{ uper(input.x) }}", "UNKNOWN_FUNCTION", 5, "did you mean upper?"),
        ("{{input | padstart(3)}}", "UNKNOWN_FUNCTION", 10, "did you mean padStart?"),
        ("{{upper()}}", "ARGUMENTS_INVALID", 2, "takes 1 argument, not 0"),
        ("{{padStart('a')}}", "ARGUMENTS_INVALID", 2, "takes 2 to 3 arguments, not 1"),
        ("{{join(input.a, 5)}}", "ARGUMENTS_INVALID", 2, "separator is a number"),
        (
            "{{dateAdd(now(), 1, 'fortnights')}}",
            "ARGUMENTS_INVALID",
            2,
            "must be one of milliseconds",
        ),
        ("{{formatDate(now(), 'QQ')}}", "ARGUMENTS_INVALID", 2, "must be of yyyy"),
        ("{{formatDate(now(), 'd', 'CET')}}", "ARGUMENTS_INVALID", 2, "offset such as +02:00"),
        ("{{formatDate(now(), 'd', '+02:60')}}", "ARGUMENTS_INVALID", 2, "offset such as +02:00"),
        ("{{repeat('a', -1)}}", "ARGUMENTS_INVALID", 2, "count is below 0"),
        ("{{padStart('a', 999999999)}}", "ARGUMENTS_INVALID", 2, "longer than 262144"),
        ("{{upper(input.x}}", "INVALID", 15, "missing"),
        ("{{upper(input.x,)}}", "INVALID", 16, "cannot begin with"),
        ("{{input.x | }}", "INVALID", 12, "must follow '|'"),
        ("{{upper('x)}}", "INVALID", 0, "not closed"),
        ("{{input.upper()}}", "INVALID", 13, "unexpected"),
        ("{{" + "upper(" * 40 + "input" + ")" * 40 + "}}", "INVALID", 200, "32 levels"),
        ("{{input" + "|upper" * 40 + "}}", "INVALID", 200, "32 levels"),
    ],
)
def test_what_is_wrong_is_found_at_registration(
    text: str, code: str, offset: int, words: str
) -> None:
    """Names, numbers and kinds of arguments, each with its place in the string."""
    ((found, at, message),) = problems(text)
    assert (found, at) == (f"TEMPLATE_{code}", offset)
    assert words in message
    assert found in REASONS


def test_all_mistakes_of_an_expression_are_found_at_once() -> None:
    """Unknown functions, wrong arguments and unknown roots together."""
    found = problems("{{ concat(nope(1), upper(1), other.x) }}")
    assert [(code, offset) for code, offset, _ in found] == [
        ("TEMPLATE_UNKNOWN_FUNCTION", 10),
        ("TEMPLATE_ARGUMENTS_INVALID", 19),
        ("TEMPLATE_UNKNOWN_REFERENCE", 29),
    ]


def test_references_in_calls_are_references_of_the_template() -> None:
    """Whoever looks for dependencies sees them, however deep."""
    template = compile_template(
        "{{ default(tasks.a.output, upper(tasks.b.output.x)) }}", ("tasks",)
    )
    assert list(map(str, template.references)) == ["tasks.a.output", "tasks.b.output.x"]
    assert template.whole is None
    assert not template.constant
    assert not compile_template("{{ uuid() }}", ()).constant


def test_results_in_longer_texts_are_written_as_references_are() -> None:
    """Strings raw, the rest as JSON; in a JSON body inside its quotes."""
    scope = {"input": DATA, MOMENT: AT}
    text = "{{ upper(input.name) }} {{ keys(input.obj) }}"
    assert compile_template(text, ("input",)).render(scope) == 'ADA LOVELACE ["a","b"]'
    body = '{"a": "{{ concat(input.name, "\\"") }}", "n": {{ length(input.list) }}}'
    rendered = compile_text(body, ("input",), "json").render(scope)
    assert orjson.loads(rendered) == {"a": 'Ada Lovelace"', "n": 3}


def test_now_and_uuid_are_the_same_however_often_they_are_rendered() -> None:
    """They change with the task, and a UUID with its place, and with nothing else."""
    template = compile_template(
        {"a": "{{uuid()}} {{uuid()}}", "b": ["{{uuid()}}", "{{now()}}"]}, ()
    )
    first = template.render({MOMENT: AT})
    assert template.render({MOMENT: Moment(AT.key, AT.at_us)}) == first
    ids = [*first["a"].split(), first["b"][0]]
    assert len(set(ids)) == 3
    assert all(uuid.UUID(each).version == 4 for each in ids)
    again = template.render({MOMENT: Moment(AT.key, AT.at_us + 5_000_000)})
    assert (again["a"], again["b"][0]) == (first["a"], first["b"][0])
    assert again["b"][1] == "2023-11-14T22:13:25.123Z"
    other = template.render({MOMENT: Moment("execution/other", AT.at_us)})
    assert not {*other["a"].split(), other["b"][0]} & set(ids)


def test_a_template_without_a_task_has_no_moment() -> None:
    """It fails in words, not with a date of its own making."""
    with pytest.raises(RenderError, match="only available for a task"):
        compile_template("{{now()}}", ()).render({})


def test_functions_cannot_be_made_to_work_without_end() -> None:
    """Constants are computed within a budget, and so is every render."""
    begun = time.process_time()
    many = ["{{ length(range(0, 100000)) }}{{ length(repeat('x', 262144)) }}"] * 2_000
    template = compile_template(many, ())
    with pytest.raises(RenderError) as caught:
        template.render({})
    assert caught.value.code == "OUTPUT_TOO_LARGE"
    assert time.process_time() - begun < slowness()
    growing = "{{ input.t | replace('a', input.t) | length }}"
    with pytest.raises(RenderError, match="longer than"):
        compile_template(growing, ("input",)).render({"input": {"t": "a" * 10_000}})


def test_schemas_of_expressions_follow_their_arguments() -> None:
    """`default` yields what either side does, a call what its function declares."""
    known = {"name": {"type": "string"}, "n": {"type": "integer"}}

    def of(expression: str) -> Any:
        compiled = compile_template(f"{{{{ {expression} }}}}", ("input",)).wholes[""]
        assert compiled is not None
        return schema_of(compiled, lambda found: known.get(str(found.path[0])))

    assert of("input.name") == {"type": "string"}
    assert of("default(input.name, 5)") == {"anyOf": [{"type": "string"}, {"const": 5}]}
    assert of("if(exists(input.n), input.n, input.unknown)") == {}
    assert of("input.name | length") == {"type": "integer"}
    assert of("round(input.n)") == {"type": "integer"}
    assert of("round(input.n, 2)") == {"type": "number"}
    assert of("split(input.name, ',')") == {"type": "array", "items": {"type": "string"}}


def test_every_function_is_documented_once() -> None:
    """A name, a sentence, an example that calls it."""
    for name, function in FUNCTIONS.items():
        assert function.summary.endswith("."), name
        assert re.match(rf"{name}\(", function.example), name
        assert function.result in RESULTS
