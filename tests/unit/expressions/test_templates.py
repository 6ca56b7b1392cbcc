"""Templates over JSON values: types, text, errors, limits, and data that stays data."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.errors import REASONS
from flowmesh.expressions import RenderError, TemplateInvalid, compile_template
from flowmesh.expressions.templates import REFERENCES_MAX, STRING_BYTES_MAX

ROOTS = ("input", "tasks", "items")
SCOPE = {
    "input": {
        "userId": 7,
        "name": "Ada",
        "obj": {"a": [1, None, True]},
        "none": None,
        "nested": {"field": "deep"},
        "odd key": 1,
    },
    "tasks": {"fetch-user": {"output": {"email": "a@b.c", "orders": [{"items": ["x", "y"]}]}}},
    "items": [{"name": "first"}],
}


def render(template: Any, scope: Mapping[str, Any] = SCOPE) -> Any:
    return compile_template(template, ROOTS).render(scope)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{input.userId}}", 7),
        ("{{ input.userId }}", 7),
        ("{{tasks.fetch-user.output.email}}", "a@b.c"),
        ("{{tasks.fetch-user.output.orders[0].items}}", ["x", "y"]),
        ("{{input.nested.field}}", "deep"),
        ("{{items[0].name}}", "first"),
        ("{{input.obj}}", {"a": [1, None, True]}),
        ("{{input.none}}", None),
        ('{{input["odd key"]}}', 1),
        ("{{input['odd key']}}", 1),
        ("{{input}}", SCOPE["input"]),
        ("Hello {{input.name}}!", "Hello Ada!"),
        ("{{input.name}}{{input.userId}}", "Ada7"),
        ("{{input.obj}} {{input.none}}", '{"a":[1,null,true]} null'),
        ("no template }} here {", "no template }} here {"),
        (
            ["{{input.userId}}", {"a": {"b": "{{input.name}}", "c": 1}}],
            [7, {"a": {"b": "Ada", "c": 1}}],
        ),
        (5, 5),
        (None, None),
    ],
)
def test_a_reference_alone_keeps_its_type_and_one_in_text_is_written(
    template: Any, expected: Any
) -> None:
    """A reference alone keeps its type; inside text, strings are raw and the rest is JSON."""
    assert render(template) == expected


def test_references_say_where_they_point_and_where_they_stand() -> None:
    """Every reference is listed in order, with its root, its path and its place."""
    template = compile_template(
        {"a": ["{{input.x}}"], "b c": "{{tasks.t1.output[0]}} {{items}}"}, ROOTS
    )
    found = [(r.root, r.path, r.at) for r in template.references]
    assert found == [
        ("input", ("x",), "a[0]"),
        ("tasks", ("t1", "output", 0), '["b c"]'),
        ("items", (), '["b c"]'),
    ]
    assert not template.constant
    assert template.whole is None


def test_a_whole_template_differs_from_one_inside_a_value() -> None:
    """Only a string that is one reference is whole, not a list of it and not a longer string."""
    whole = compile_template("{{input.x}}", ROOTS).whole
    assert whole is not None
    assert str(whole) == "input.x"
    assert compile_template(["{{input.x}}"], ROOTS).whole is None
    assert compile_template(" {{input.x}}", ROOTS).whole is None
    assert compile_template({"a": 1}, ROOTS).constant


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("a {{input.x", 2, "not closed"),
        ("{{input.a {{input.b}}", 0, "not closed"),
        ("{{}}", 2, "empty"),
        ("{{   }}", 5, "empty"),
        ("{{input.a b}}", 9, "unexpected"),
        ("{{input..a}}", 8, "a name is missing"),
        ("{{input.}}", 8, "a name is missing"),
        ("{{input[-1]}}", 7, "brackets hold"),
        ("{{input[0}}", 7, "brackets hold"),
        ("{{input.f()}}", 9, "unexpected"),
        ("{{1+1}}", 3, "unexpected"),
        ("{{+1}}", 2, "cannot begin with"),
        ("{{input[99999999999]}}", 7, "at most"),
        ('{{input["\\q"]}}', 7, "escape"),
        ("{{input." + "a" * 5000 + "}}", 0, "longer than"),
        ("{{input" + ".a" * 70 + "}}", 135, "at most 64 steps"),
    ],
)
def test_bad_syntax_is_refused_with_its_offset(text: str, offset: int, words: str) -> None:
    """A template that does not parse is refused, and the message says what and where."""
    with pytest.raises(TemplateInvalid) as caught:
        compile_template({"field": [text]}, ROOTS)
    (problem,) = caught.value.problems
    assert (problem.path, problem.code, problem.offset) == ("field[0]", "TEMPLATE_INVALID", offset)
    assert words in problem.message
    assert caught.value.reason in REASONS


def test_all_problems_are_reported_at_once() -> None:
    """One pass finds every problem, of several kinds, each with its own place."""
    with pytest.raises(TemplateInvalid) as caught:
        compile_template({"a": "{{nope.x}} {{input.}}", "b": "{{", "{{input.k}}": 1}, ROOTS)
    problems = caught.value.problems
    assert [(p.path, p.code) for p in problems] == [
        ("a", "TEMPLATE_UNKNOWN_REFERENCE"),
        ("a", "TEMPLATE_INVALID"),
        ("b", "TEMPLATE_INVALID"),
        ('["{{input.k}}"]', "TEMPLATE_INVALID"),
    ]
    assert "known here: input, items, tasks" in problems[0].message
    assert [violation.field for violation in caught.value.violations] == [p.path for p in problems]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("input.email", "input has no member 'email'; it has name, nested"),
        ("input.name.first", "input.name is a string, not an object"),
        ("input.name[0]", "input.name is a string, not an array"),
        ("input.none.x", "input.none is null"),
        ("items[3]", "items has 1 item, none at [3]"),
        ("items.name", "items is an array, not an object"),
        ("tasks.gone.output", "tasks has no member 'gone'; it has fetch-user"),
    ],
)
def test_a_missing_value_says_what_is_there_instead(reference: str, words: str) -> None:
    """A look-up that ends early names the path asked for and what stands at its last step."""
    for template in ("{{" + reference + "}}", "text {{" + reference + "}}"):
        with pytest.raises(RenderError) as caught:
            render(template)
        assert caught.value.path == reference
        assert words in caught.value.message


class Unfinished(dict[str, Any]):
    """Lists a task that has no output, as the tasks of an execution do."""

    def __iter__(self) -> Iterator[str]:
        return iter(("charge",))


def test_a_task_that_has_no_output_is_not_called_unknown() -> None:
    """It is there, and did not come to one."""
    with pytest.raises(RenderError, match=r"tasks\.charge has no output: it was skipped"):
        render("{{tasks.charge.output}}", {"tasks": Unfinished()})


def test_an_error_never_holds_a_value_of_the_data() -> None:
    """Names of members are told, their contents are not."""
    with pytest.raises(RenderError) as caught:
        render("{{input.token.x}}", {"input": {"token": "s3cret"}})
    assert "s3cret" not in str(caught.value)


class Lazy(Mapping[str, Any]):
    """A mapping that counts what was looked up."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> Any:
        self.asked.append(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_a_scope_may_look_its_members_up_on_demand() -> None:
    """Any mapping is a scope, only what is referenced is looked up, and results are plain."""
    tasks = Lazy({"a": {"output": 1}, "b": {"output": 2}})
    assert render("{{tasks.b.output}}", {"tasks": tasks}) == 2
    assert tasks.asked == ["b"]
    assert type(render("{{tasks}}", {"tasks": tasks})) is dict
    assert render("x{{tasks}}", {"tasks": tasks}) == 'x{"a":{"output":1},"b":{"output":2}}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.sampled_from(["{{input.secret}}", "{{", "}}", "{{{{input.secret}}}}", "${input.secret}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab{}", max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_data_is_never_evaluated_again(data: Any) -> None:
    """Data that looks like a template comes out as it went in, in the second round as well."""
    scope = {"input": {"data": data, "secret": "leaked"}}
    first = render({"whole": "{{input.data}}", "text": "<{{input.data}}>"}, scope)
    assert first["whole"] == data
    written = data if isinstance(data, str) else orjson.dumps(data).decode()
    assert first["text"] == f"<{written}>"
    second = render("{{tasks.a.output.whole}}", {"tasks": {"a": {"output": first}}})
    assert second == data


@given(st.text("{}[]input.tasks \"'\\0-", max_size=60))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    """No text makes the compiler fail in another way than TemplateInvalid."""
    try:
        template = compile_template(text, ROOTS)
    except TemplateInvalid:
        return
    assert template.constant == ("{{" not in text)


def test_text_is_bounded_in_one_string_and_in_a_whole_render() -> None:
    """A string grows to 256 KiB and no further, in characters as in bytes of UTF-8."""
    assert len(render("{{input}}!", {"input": "x" * (STRING_BYTES_MAX - 1)})) == STRING_BYTES_MAX
    for value in ("x" * STRING_BYTES_MAX, "é" * (STRING_BYTES_MAX // 2), ["y" * 99] * 4000):
        with pytest.raises(RenderError) as caught:
            render({"a": "{{input}}!"}, {"input": value})
        assert caught.value.code == "OUTPUT_TOO_LARGE"
        assert caught.value.path == "a"
    many = ["{{input}}{{input}}"] * 100
    with pytest.raises(RenderError, match="8192 KiB"):
        render(many, {"input": "x" * 100_000})


def test_nesting_and_number_of_references_are_bounded() -> None:
    """A value is nested at most 64 deep and holds at most 10,000 references."""
    value: Any = "{{input.name}}"
    for _ in range(64):
        value = [value]
    inner = render(value)
    for _ in range(64):
        (inner,) = inner
    assert inner == "Ada"
    for deeper in ([value], _nest(100_000)):
        with pytest.raises(TemplateInvalid) as caught:
            compile_template(deeper, ROOTS)
        assert caught.value.reason == "NESTING_TOO_DEEP"
    with pytest.raises(TemplateInvalid, match="more than"):
        compile_template(["{{input}}"] * (REFERENCES_MAX + 1), ROOTS)


def _nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_rendering_does_not_change_the_template() -> None:
    """Two renders of one template are independent of each other."""
    template = compile_template({"a": "{{input.x}}", "b": [1]}, ROOTS)
    first = template.render({"input": {"x": 1}})
    assert template.render({"input": {"x": 2}}) == {"a": 2, "b": [1]}
    assert first == {"a": 1, "b": [1]}
