"""Templates at both sides of their limits, and what they require, name and keep."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

from flowmesh import expressions
from flowmesh.expressions import (
    Call,
    Literal,
    Problem,
    RenderError,
    TemplateInvalid,
    compile_condition,
    compile_go_template,
    compile_template,
    compile_text,
    instant,
    schema_of,
    templates,
)
from flowmesh.expressions.evaluator import Evaluator

MIB = 1024 * 1024


def compiled(value: Any) -> Any:
    return compile_template(value, ("input",))


def problems(value: Any) -> tuple[Problem, ...]:
    with pytest.raises(TemplateInvalid) as caught:
        compiled(value)
    return caught.value.problems


def missing(template: str, data: Any) -> str:
    with pytest.raises(RenderError) as caught:
        compiled(template).render({"input": data})
    return caught.value.message


@pytest.mark.parametrize(
    ("fits", "exceeds", "words"),
    [
        ("{{input" + ".a" * 64 + "}}", "{{input" + ".a" * 65 + "}}", "at most 64 steps"),
        ("{{input[" + "1" * 9 + "]}}", "{{input[" + "1" * 10 + "]}}", "at most 9 digits"),
        ("{{input." + "a" * 4_090 + "}}", "{{input." + "a" * 4_091 + "}}", "longer than 4096"),
        ("{{" + "upper(" * 32 + "input" + ")" * 32 + "}}", "{{" + "upper(" * 33 + "input" + ")" * 33
         + "}}", "32 levels"),
        ("{{input" + "|upper" * 32 + "}}", "{{input" + "|upper" * 33 + "}}", "32 levels"),
        ("{{upper(input" + "|upper" * 31 + ")}}", "{{upper(input" + "|upper" * 32 + ")}}",
         "32 levels"),
        ("{{abs(" + "0." + "1" * 38 + ")}}", "{{abs(" + "0." + "1" * 39 + ")}}", "not a number"),
        ("{{abs(9223372036854775807)}}", "{{abs(99999999999999999999)}}", "kept exactly"),
        ("{{abs(1e308)}}", "{{abs(1e309)}}", "out of range"),
        ("{{abs(-0.5)}}", "{{abs(-)}}", "not a number"),
        ("{{abs(10)}}", "{{abs(010)}}", "is missing"),
    ],
)  # fmt: skip
def test_the_last_permitted_template_compiles(fits: Any, exceeds: Any, words: str) -> None:
    """Steps, digits, characters, levels, numbers and references."""
    assert compiled(fits)
    assert words in problems(exceeds)[0].message


@pytest.mark.parametrize(
    ("fits", "exceeds", "words"),
    [
        ("{{ " + "(" * 32 + ".a" + ")" * 32 + " }}", "{{ " + "(" * 33 + ".a" + ")" * 33 + " }}",
         "32 levels"),
        ("{{ .a" + "|lower" * 32 + " }}", "{{ .a" + "|lower" * 33 + " }}", "32 levels"),
        ("{{ " + ".a" * 64 + " }}", "{{ " + ".a" * 65 + " }}", "at most 64 steps"),
        ("{{ index " + ".a" * 63 + ' "b" }}', "{{ index " + ".a" * 64 + ' "b" }}', "64 steps"),
        ("{{ print 0." + "1" * 38 + " }}", "{{ print 0." + "1" * 39 + " }}", "not a number"),
        ("{{ index .a 999999999 }}", "{{ index .a 1000000000 }}", "counts from 0"),
        ("{{ index .a 0 }}", "{{ index .a -1 }}", "counts from 0"),
        ("{{." + "a" * 4_089 + "}}", "{{." + "a" * 4_096 + "}}", "longer than 4096"),
        ("{{`" + "a" * 4_092 + "`}}", "{{`" + "a" * 4_095 + "`}}", "longer than 4096"),
    ],
)  # fmt: skip
def test_the_last_permitted_go_template_compiles(fits: str, exceeds: str, words: str) -> None:
    """The same bounds in the Go form."""
    assert compile_go_template(fits)
    with pytest.raises(TemplateInvalid) as caught:
        compile_go_template(exceeds)
    assert words in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {{- .n }} b", "a7 b"),
        ("a {{ .n -}} b", "a 7b"),
        ("a {{- .n -}} b", "a7b"),
        ("a {{ .n }} b", "a 7 b"),
        ("a {{- /* c */ -}} {{- .n }}", "a7"),
        ("a {{/* c */}} b", "a  b"),
        ("{{ .n -}} {{- .n }}", "77"),
        ("{{ .n }} {{- /* c */}} {{- .n}}", "77"),
        ("{{-3}}", -3),
        ("{{- 3}}", 3),
        ("{{ .n -}}", 7),
        ("{{ index .l -0 }}", "x"),
        ('{{ index .l 1 "k" }}', "y"),
        ("{{ (index .l 1).k }}", "y"),
        ("{{ index .o .key }}", 1),
        ("{{ index .l (len .one) }}", {"k": "y"}),
        ("{{ true }} {{ false }} {{ nil }}", "true false null"),
        ("{{ not true }}", False),
        ('{{ eq .n 7 }} {{ eq .n 8 7 }} {{ eq .n 8 9 }}', "true true false"),
        ('{{ ne .n 7 }} {{ lt .n 8 }} {{ le .n 7 }} {{ gt .n 7 }} {{ ge .n 7 }}',
         "false true true false true"),
        ('{{ and true (eq .n 7) }} {{ or false (eq .n 8) }}', "true false"),
        ('{{ printf }}', None),
        ('{{ eq .n }}', None),
        ('{{ index }}', None),
        ('{{ .l.k.' + "}}", None),
        ('{{ "\\q" }}', None),
        ('{{ "a" "b" }}', None),
        ('{{ . }', None),
        ("{{ `a}}b` }}", "a}}b"),
    ],
)  # fmt: skip
def test_go_templates_yield_or_are_refused(text: str, expected: Any) -> None:
    """Blanks that are trimmed, members and items, comparisons, and mistakes."""
    data = {"n": 7, "l": ["x", {"k": "y"}], "o": {"a": 1}, "key": "a", "one": "1"}
    if expected is None:
        with pytest.raises(TemplateInvalid):
            compile_go_template(text)
        return
    assert compile_go_template(text).render({"data": data}) == expected


def test_each_reference_counts_and_each_call_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the bound, in one text or in many."""
    monkeypatch.setattr(templates, "REFERENCES_MAX", 3)
    one, two, none = "{{input}}", "{{concat(input, input)}}", "{{uuid()}}"
    for fits in ([one] * 3, one * 3, [one, two], two + none, [none] * 3, {"a": two, "b": one}):
        assert compiled(fits)
    for exceeds in ([one] * 4, one * 4, [two] * 2, two + none + one, [none] * 4):
        assert problems(exceeds)[0].message == "4 references are more than the 3 allowed"


def test_problems_of_a_template_are_bounded() -> None:
    """A thousand are listed, of many texts and of one."""
    for value in (["{{"] * 1_200, "{{}}" * 1_200):
        assert len(problems(value)) == 1_000
    assert len(problems(["{{"] * 999)) == 999


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("{{input.}}", "TEMPLATE_INVALID", "'{{input.}}' at offset 8: a name is missing after '.'"),
        ({"a": "{{x}}"}, "TEMPLATE_UNKNOWN_REFERENCE", "a: unknown name 'x' in '{{x}}' at offset"),
        (["{{x}}", "{{y}}"], "TEMPLATE_UNKNOWN_REFERENCE", "(and 1 more)"),
        (["{{x}}", "{{"], "TEMPLATE_INVALID", "(and 1 more)"),
        ("{{f()}}", "TEMPLATE_UNKNOWN_FUNCTION", "there is no function 'f'"),
    ],
)
def test_an_invalid_template_has_the_code_of_its_problems(
    value: Any, code: str, message: str
) -> None:
    """The common one if they differ; the first is shown with its place."""
    with pytest.raises(TemplateInvalid) as caught:
        compiled(value)
    assert caught.value.reason == code
    assert message in str(caught.value)
    assert ("more)" in str(caught.value)) is (len(caught.value.problems) > 1)


def test_names_in_messages_are_few() -> None:
    """Eight roots and eight members, in order."""
    roots = [f"r{number}" for number in range(9, 0, -1)]
    for count in (8, 9):
        with pytest.raises(TemplateInvalid) as caught:
            compile_template("{{x}}", roots[:count])
        known = ", ".join(sorted(roots[:count])[:8])
        assert caught.value.problems[0].message.endswith(f"known here: {known}")
        data = dict.fromkeys(roots[:count], 1)
        more = ", …" if count > 8 else ""
        assert missing("{{input.x}}", data).endswith(f"it has {known}{more}")
    with pytest.raises(TemplateInvalid, match="known here: none"):
        compile_template("{{x}}", ())
    assert missing("{{input.x}}", {}).endswith("has no member 'x'; it is empty")


@pytest.mark.parametrize(
    ("path", "data", "words"),
    [
        ("[0]", "text", "input is a string, not an array"),
        ("[0]", {"0": 1}, "input is an object, not an array"),
        ("[0]", 5, "input is a number, not an array"),
        ("[0]", None, "input is null, not an array"),
        ("[0]", True, "input is a boolean, not an array"),
        ("[0][0]", ["text"], "input[0] is a string, not an array"),
        ("[0][1]", [[1]], "input[0] has 1 item, none at [1]"),
        ("[2]", [1, 2], "input has 2 items, none at [2]"),
        ("[0]", [], "input has 0 items, none at [0]"),
        ("[0].a", [1], "input[0] is a number, not an object"),
        ("[0].a", [{}], "input[0] has no member 'a'"),
        (".a", [1], "input is an array, not an object"),
        (".a[0]", {"a": "text"}, "input.a is a string, not an array"),
        (".a[0].b[1]", {"a": [{"b": [1]}]}, "input.a[0].b has 1 item, none at [1]"),
        ('["a b"].c', {"a b": 1}, 'input["a b"] is a number, not an object'),
    ],
)
def test_an_index_is_of_an_array_and_a_name_of_an_object(path: str, data: Any, words: str) -> None:
    """Never of a text."""
    for template in (f"{{{{input{path}}}}}", f"text {{{{input{path}}}}}"):
        assert words in missing(template, data)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("['a\\'b']", "a'b"),
        ("['a\"b']", 'a"b'),
        ('["a\\"b"]', 'a"b'),
        ('["\\u0041"]', "A"),
        ("['\\n']", "\n"),
        ("[ 'a' ]", "a"),
        (".a-b", "a-b"),
        (".$a", "$a"),
        ("['}}']", "}}"),
        ("['{{']", "{{"),
    ],
)
def test_keys_are_names_or_quoted(key: str, name: str) -> None:
    """With the escapes of JSON, and of their own quote."""
    template = compiled(f"{{{{input{key}}}}}")
    assert template.render({"input": {name: 5}}) == 5
    assert compiled(f"{{{{default(input{key}, 1)}}}}").render({"input": {name: 5}}) == 5
    again = compiled(f"{{{{{template.references[0]}}}}}")
    assert again.references == template.references


@pytest.mark.parametrize(
    ("expression", "needed"),
    [
        ("input.a", "a"),
        ("upper(input.a)", "a"),
        ("concat(input.a, input.b)", "ab"),
        ("default(input.a, input.b)", "b"),
        ("ifEmpty(input.a, upper(input.b))", "b"),
        ("default(input.a, 'x')", ""),
        ("coalesce(input.a, input.b)", ""),
        ("concat(input.c, default(input.a, input.b))", "cb"),
        ("if(input.a, input.b, input.c)", "abc"),
        ("exists(input.a)", "a"),
    ],
)
def test_references_with_a_fallback_are_not_needed(expression: str, needed: str) -> None:
    """Of `default` and `ifEmpty` the last is, of `coalesce` none."""
    template = compiled({"k": f"{{{{{expression}}}}}"})
    assert "".join(str(each.path[0]) for each in template.needed) == needed


def test_a_schema_is_that_of_each_result() -> None:
    """Of any value if one is unknown."""

    def of(expression: str) -> Any:
        found = compiled(f"{{{{ {expression} }}}}").wholes[""]
        return schema_of(found, lambda each: {"type": "string"} if each.path == ("s",) else {})

    text = {"type": "string"}
    assert of("coalesce(input.s, 1)") == {"anyOf": [text, {"const": 1}, {"type": "null"}]}
    assert of("if(exists(input.x), input.s, 1)") == {"anyOf": [text, {"const": 1}]}
    assert of("ifEmpty(input.s, input.s)") == {"anyOf": [text, text]}
    assert of("default(input.s, input.x)") == {}
    assert of("round(abs(input.s), 0)") == {"type": "number"}


def test_constant_calls_are_computed_up_to_a_mebibyte() -> None:
    """Those above it stay calls; so do calls that cannot be constant."""
    text = "x" * 4_000
    # Each takes its argument and its result, with one byte for each value.
    fits = MIB // (2 * 4_001)
    wholes = compiled([f"{{{{ upper('{text}') }}}}"] * (fits + 2)).wholes
    kinds = [type(wholes[f"[{index}]"]) for index in range(fits + 2)]
    assert kinds == [Literal] * fits + [Call] * 2
    assert [type(compiled(f"{{{{ {each} }}}}").wholes[""]) for each in ("upper('a')", "now()")] == [
        Literal,
        Call,
    ]


@pytest.mark.parametrize(
    ("template", "data", "count"),
    [
        ("{{input}}x", "y" * (256 * 1024 - 1), 32),
        ("{{length(input)}}", "y" * (256 * 1024), 8 * MIB // (256 * 1024 + 2)),
        ("{{length(input)}}", [1] * 100_000, 8 * MIB // (8 * 100_000 + 2)),
        ("{{length(input)}}", dict.fromkeys(map(str, range(50_000))), 8 * MIB // 400_002),
    ],
)
def test_a_render_is_bounded_to_8_mebibytes(template: str, data: Any, count: int) -> None:
    """Of the texts it writes, and of the values its functions see."""
    assert len(compiled([template] * count).render({"input": data})) == count
    with pytest.raises(RenderError) as caught:
        compiled([template] * (count + 1)).render({"input": data})
    assert caught.value.code == "OUTPUT_TOO_LARGE"
    assert "8192 KiB" in caught.value.message


class Lazy(Mapping[str, Any]):
    """A mapping that is no dictionary."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getitem__(self, key: str) -> Any:
        return self._inner

    def __iter__(self) -> Any:
        return iter(("a",))

    def __len__(self) -> int:
        return 1


def test_lazy_values_become_plain_ones_of_64_levels() -> None:
    """Objects, and arrays in them."""
    value: Any = 1
    for _ in range(64):
        value = Lazy(value)
    for template in ("{{input}}", "{{default(input, 1)}}"):
        found = compiled(template).render({"input": value})
        for _ in range(64):
            found = found["a"]
        assert found == 1
        for deeper in (Lazy(value), Lazy([value])):
            with pytest.raises(RenderError, match="more than 64 levels"):
                compiled(template).render({"input": deeper})
    assert compiled("{{first(input)}}").render({"input": (Lazy((1,)),)}) == {"a": [1]}


def test_a_failed_call_is_named_with_80_characters() -> None:
    """A longer one is cut."""
    for length, cut in ((67, False), (68, True)):
        name = "a" * length
        with pytest.raises(RenderError) as caught:
            compiled(f"{{{{upper(input.{name})}}}}").render({"input": {name: 1}})
        call = f"upper(input.{name})"
        assert caught.value.path == (f"{call[:80]}…" if cut else call)


@pytest.mark.parametrize(
    ("text", "mode", "value", "expected"),
    [
        ('{"a": "\\"{{input}}"}', "json", 'x"', '{"a": "\\"x\\""}'),
        ('{"a\\\\": {{input}}}', "json", "x", '{"a\\\\": "x"}'),
        ('{"a": "{{input}}", "b": {{input}}}', "json", 1, '{"a": "1", "b": 1}'),
        ('"\\{{input}}" {{input}}', "json", "x", '"\\x" "x"'),
        ("http://h/{{input}}/{{input}}", "url", "a b", "http://h/a%20b/a%20b"),
        ("http://h/?{{input}}", "url", "..", "http://h/?.."),
        ("http://h/#{{input}}", "url", ".", "http://h/#."),
        ("http://h/?a#{{input}}", "url", "..", "http://h/?a#.."),
        ("http://h/{{input}}?q", "url", "..", None),
        ("http://h/?{{input}}/b/{{input}}", "url", ".", "http://h/?./b/."),
        ("{{input}}/x", "url", "HTTPS://h", "HTTPS://h/x"),
        ("{{input}}/{{input}}", "url", "http://h", "http://h/http%3A%2F%2Fh"),
        ("{{input}}", "url", "http://", None),
        ("{{input}}", "url", "http://h\n", None),
        ("ftp://h/{{input}}", "url", "a", "ftp://h/a"),
        ("http://h/\n{{input}}", "url", "a", None),
        ("{{input}}", "header", {"a": 1}, '{"a":1}'),
        ("a\n{{input}}", "header", "x", None),
        ("{{input}}", "text", "a\r\n\0", "a\r\n\0"),
    ],
)
def test_a_value_is_written_for_its_place(
    text: str, mode: Any, value: Any, expected: str | None
) -> None:
    """In quotes or outside, in the path or behind it, at the beginning."""
    template = compile_text(text, ("input",), mode)
    assert not template.constant
    if expected is None:
        with pytest.raises(RenderError):
            template.render({"input": value})
        return
    assert template.render({"input": value}) == expected


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_999_999, "1970-01-01T00:00:01.999Z"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123Z"),
    ],
)
def test_an_instant_is_written_in_milliseconds(at_us: int, text: str) -> None:
    """In UTC."""
    assert instant(at_us) == text


def test_an_evaluator_keeps_so_many_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one more comes, it forgets all."""
    compiles: list[str] = []

    def counted(source: str, **arguments: Any) -> Any:
        compiles.append(source)
        return compile_condition(source, **arguments)

    monkeypatch.setattr("flowmesh.expressions.evaluator.compile_condition", counted)
    evaluator = Evaluator(2)

    def holds(source: str) -> tuple[bool, str]:
        text = f'{{"source": "{source}", "dialect": "cel", "steps": [], "roots": ["input"]}}'
        return evaluator.evaluate(text, '{"a": 1}')

    assert holds("input.a == 1") == (True, "")
    assert holds("input.a == 2") == (False, "")
    assert holds("input.a == 1") == (True, "")
    assert len(compiles) == 2
    holds_not, error = holds("input.b == 1")
    assert not holds_not
    assert "no member" in error
    assert holds("input.b == 1")[0] is False
    assert holds("input.a == 1") == (True, "")
    assert compiles[2:] == ["input.b == 1", "input.a == 1"]


def test_what_is_compiled_cannot_be_changed() -> None:
    """So it can be shared; only what collects while it is compiled or measured can."""
    names = [each.name for each in walk_packages(expressions.__path__, "flowmesh.expressions.")]
    changeable = {
        name
        for module in map(import_module, names)
        for name, found in vars(module).items()
        if is_dataclass(found) and not found.__dataclass_params__.frozen  # type: ignore[union-attr]
    }
    assert changeable == {"Compilation", "Compiled", "Measured", "Reads"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{true}}", True),
        ("{{ false }}", False),
        ("{{null}}", None),
        ("{{ 5 }}", 5),
        ("{{'a'}}", "a"),
        ("{{true}} {{ null }}", "true null"),
        ("{{input.true}}", 1),
    ],
)
def test_a_constant_can_be_all_of_an_expression(text: str, expected: Any) -> None:
    """As it can be an argument."""
    assert compiled(text).render({"input": {"true": 1}}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab {{ .a # }}", "'{{ .a # }}' at offset 9: unexpected '#'"),
        ("{{- -}}", "'{{- -}}' at offset 4: a value such as .name or \"text\" is missing"),
    ],
)
def test_a_problem_shows_its_action(text: str, message: str) -> None:
    """With the braces."""
    with pytest.raises(TemplateInvalid) as caught:
        compile_go_template(text)
    assert caught.value.problems[0].message == message
