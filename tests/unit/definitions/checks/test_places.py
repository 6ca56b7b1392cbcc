"""A problem inside a string has its own line and column in any string style."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from flowmesh.definitions import Problem, check, read_source
from flowmesh.definitions.planning.compile import no_library
from flowmesh.definitions.reading.documents import Source, parse

WRONG = "tasks.no.output"
EXPRESSION = "{{ " + WRONG + " }}"
HEAD = """apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: w}
spec:
  tasks:
  - id: a
    taskRef: noop
    input:
"""
STYLES = {
    "plain": "x: a {{ tasks.no.output }} b",
    "plain over lines": "x: a\n        bb  ccc\n\n        {{ tasks.no.output }} b",
    "single quotes": "x: 'it''s {{ tasks.no.output }}'",
    "single quotes over lines": "x: 'it''s\n\n       q  {{ tasks.no.output }}'",
    "double quotes": r'x: "t\tq\u00e9\x20\" \N {{ tasks.no.output }}"',
    "double quotes over lines": 'x: "t\\\n        q\n\n    {{ tasks.no.output }}"',
    "a literal block": "x: |\n        one\n\n          two {{ tasks.no.output }}\n",
    "a literal block with an indent": "x: |2- # {{\n          one\n        {{ tasks.no.output }}",
    "a folded block": "x: >-\n        one\n        two\n\n          {{ tasks.no.output }}\n",
    "beyond the plane": 'x: "😀 é \U0001f600 {{ tasks.no.output }}"',
    "in a list": "x:\n      - 1\n      - [a, 'b {{ tasks.no.output }}']",
}


def problems_of(source: str, kind: str) -> list[Problem]:
    reading = read_source(source.encode(), kind)
    return [*reading.problems, *check(reading, no_library)]


def rest_of_line(source: str, problem: Problem) -> str:
    """Return the text from the problem on."""
    return source.split("\n")[problem.line - 1][problem.column - 1 :]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_yaml(style: str) -> None:
    """The reference that leads nowhere is where the caret is put."""
    source = f"{HEAD}      {STYLES[style]}\n"
    (problem,) = problems_of(source, "application/yaml")
    assert problem.code == "TEMPLATE_UNKNOWN_REFERENCE"
    assert rest_of_line(source, problem).startswith(WRONG)


@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"ensure_ascii": False}])
def test_the_escapes_of_json(options: dict[str, Any]) -> None:
    """Also those of two surrogates, which YAML does not have; and what follows them."""
    given_ = {"x": f'a"\\ud83d\n\u0001\té\U0001f600 /{EXPRESSION}', "y": "b{{ upper( }}"}
    node = {"id": "a", "taskRef": "noop", "condition": "input.x\n == ~", "input": given_}
    document = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {"tasks": [node]},
    }
    source = json.dumps(document, **options)
    found = {
        problem.place: rest_of_line(source, problem) for problem in problems_of(source, "json")
    }
    assert found["tasks[0].input.y"].startswith("}}")
    assert found["tasks[0].condition"].startswith("~")
    del node["condition"], given_["y"]
    source = json.dumps(document, **options)
    (problem,) = problems_of(source, "json")
    assert rest_of_line(source, problem).startswith(WRONG)


def test_a_trimmed_condition_keeps_its_positions() -> None:
    """Offsets count in what was compiled, which is a part of the string."""
    source = parse(b"x: '  a > ~  '\n", "application/yaml")
    (placed,) = source.place([Problem("", "", ("x",), offset=4, inside="a > ~")])
    assert (placed.line, placed.column) == (1, 11)


@pytest.mark.parametrize("problem", [
    Problem("", "", ("x",), offset=99),
    Problem("", "", ("x",), offset=1, inside="elsewhere"),
    Problem("", "", ("x",), offset=0, inside="a"),
    Problem("", "", ("x",)),
])  # fmt: skip
def test_an_unknown_position_points_at_the_string(problem: Problem) -> None:
    """Behind its end, in another text, in one that is there twice, in none."""
    (placed,) = parse(b"x: 'a b a'\n", "application/yaml").place([problem])
    assert (placed.line, placed.column) == (1, 4)


# Without surrogates, NUL, braces, and the breaks of lines that YAML folds.
PLAIN = st.characters(exclude_categories=["Cs"], exclude_characters="\0{}\x85\u2028\u2029")
texts = st.text(PLAIN, max_size=40)


@given(
    before=texts,
    after=texts,
    style=st.sampled_from([None, "'", '"', "|", ">"]),
    unicode=st.booleans(),
    width=st.sampled_from([10, 80]),
)
def test_any_surrounding_text_keeps_positions(
    before: str, after: str, style: str, unicode: bool, width: int
) -> None:
    """Blanks, breaks, quotes and escapes of every kind, written by a YAML and a JSON writer."""
    value = f"{before}{WRONG}{after}"
    options: Any = {"default_style": style, "allow_unicode": unicode, "width": width}
    written = yaml.safe_dump([value], **options)
    # It folds lines that begin with a blank, which readers do not put together again.
    assume(yaml.safe_load(written) == [value])
    for source, kind in (
        (written, "application/yaml"),
        (json.dumps([value], ensure_ascii=not unicode), "application/json"),
    ):
        read = parse(source.encode(), kind)
        assert read.documents == ([value],)
        assert pointed(read, len(before)).startswith(WRONG)


def pointed(read: Source, offset: int) -> str:
    """Return the text at a character of the first item; lines end as in YAML."""
    (placed,) = read.place([Problem("", "", (0,), offset=offset)])
    text = read.text.replace("\r\n", "\n")
    for other in "\r\x85\u2028\u2029":
        text = text.replace(other, "\n")
    return text.split("\n")[placed.line - 1][placed.column - 1 :]
