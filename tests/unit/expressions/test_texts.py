"""Templates in bodies, urls and headers: a value cannot become syntax."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowmesh.expressions import RenderError, TemplateInvalid, compile_text
from flowmesh.expressions.texts import Mode

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def render(text: str, mode: Mode, **data: Any) -> str:
    return compile_text(text, ["input"], mode).render({"input": data})


def test_the_json_body_of_the_payment_task() -> None:
    """A bare reference becomes a number, a quoted one the inside of a string."""
    body = '{\n  "amount": {{input.amount}},\n  "currency": "{{input.currency}}"\n}\n'
    rendered = render(body, "json", amount=99.5, currency="EUR")
    assert orjson.loads(rendered) == {"amount": 99.5, "currency": "EUR"}


@given(TEXT, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.lists(TEXT))
def test_a_json_body_stays_json_for_any_data(text: str, value: Any) -> None:
    """No value breaks out of its quotes, and the body parses to exactly the values."""
    body = r'{"a\"": "\\", "b": "x\\{{input.t}}\"y", "c": {{input.value}}, "d": [{{input.t}}]}'
    rendered = render(body, "json", t=text, value=value)
    assert orjson.loads(rendered) == {
        'a"': "\\",
        "b": f'x\\{text}"y',
        "c": value,
        "d": [text],
    }


def test_an_object_inside_quotes_is_escaped_json() -> None:
    """An object in a string of a JSON body is its JSON as text."""
    rendered = render('{"raw": "{{input.o}}"}', "json", o={"k": 'v"'})
    assert orjson.loads(orjson.loads(rendered)["raw"]) == {"k": 'v"'}


def test_text_is_raw() -> None:
    """Other bodies get strings as they are and the rest as JSON."""
    assert render("a={{input.a}}\n{{input.b}}", "text", a='"&\n', b=[1]) == 'a="&\n\n[1]'


@given(TEXT)
def test_a_value_in_a_url_stays_in_its_place(text: str) -> None:
    """Nothing in a value starts a segment, a parameter, a fragment or a new line."""
    if text in {".", ".."}:
        return
    url = render("http://h/a/{{input.t}}?q={{input.t}}", "url", t=text)
    path, _, query = url.removeprefix("http://h/a/").partition("?q=")
    assert path == query
    assert not set(path) & set("/?#&=\r\n\0 ")


def test_a_reference_that_begins_a_url_is_raw_and_must_be_http() -> None:
    """The base address comes as it is; other schemes and bare paths are refused."""
    assert (
        render("{{input.b}}/x/{{input.s}}", "url", b="https://h:1/p", s="a/b")
        == "https://h:1/p/x/a%2Fb"
    )
    for base in ("file:///etc/passwd", "//h", "", "javascript:x", "https://", "http://h\r\nx"):
        with pytest.raises(RenderError) as caught:
            render("{{input.b}}/x", "url", b=base)
        assert caught.value.code == "URL_INVALID"


@pytest.mark.parametrize("segment", [".", ".."])
def test_dot_segments_are_refused_in_a_path(segment: str) -> None:
    """A value cannot climb up the path; in a query it may be any text."""
    with pytest.raises(RenderError) as caught:
        render("http://h/a/{{input.s}}", "url", s=segment)
    assert caught.value.code == "URL_INVALID"
    assert render("http://h/?q={{input.s}}", "url", s=segment) == f"http://h/?q={segment}"


@pytest.mark.parametrize("bad", ["a\rb", "a\nX: y", "a\0"])
def test_line_breaks_are_refused_in_headers(bad: str) -> None:
    """A header value with CR, LF or NUL fails with HEADER_INVALID and is not repeated."""
    assert render("Bearer {{input.key}}", "header", key="k1") == "Bearer k1"
    with pytest.raises(RenderError) as caught:
        render("Bearer {{input.key}}", "header", key=bad)
    assert caught.value.code == "HEADER_INVALID"
    assert caught.value.path == "input.key"


def test_a_bad_template_is_refused_like_any_other() -> None:
    """Texts report the same problems as values do."""
    with pytest.raises(TemplateInvalid) as caught:
        compile_text("x {{nope.a}} {{", ["input"], "text")
    assert [problem.code for problem in caught.value.problems] == [
        "TEMPLATE_UNKNOWN_REFERENCE",
        "TEMPLATE_INVALID",
    ]
    assert compile_text("plain", [], "json").constant


@given(TEXT)
def test_data_is_never_evaluated_again(text: str) -> None:
    """A value that is a template itself is written and not followed."""
    value = "{{input.secret}}" + text
    assert render("<{{input.v}}>", "text", v=value, secret="leaked") == f"<{value}>"
